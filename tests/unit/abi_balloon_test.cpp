// The balloon's constants and layouts, compared with the system's header, which Linux guests have used for years.
#include <doctest/doctest.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>

#include <cstddef>
#include <cstdio>

#include "drivers/balloon/abi.hpp"

using namespace virtio;

namespace {
template<class T> constexpr unsigned number(T value) { return static_cast<unsigned>(value); }
} // namespace

TEST_CASE("balloon constants equal the system's (trap 36: page numbers count 4 KiB)") {
    struct Pair {
        const char* what;
        unsigned long long ours, theirs;
    };
    const Pair pairs[] = {
        {"type", kBalloonType, VIRTIO_ID_BALLOON},
        {"MUST_TELL_HOST", number(BalloonFeature::must_tell_host), VIRTIO_BALLOON_F_MUST_TELL_HOST},
        {"STATS_VQ", number(BalloonFeature::stats_vq), VIRTIO_BALLOON_F_STATS_VQ},
        {"DEFLATE_ON_OOM", number(BalloonFeature::deflate_on_oom), VIRTIO_BALLOON_F_DEFLATE_ON_OOM},
        {"FREE_PAGE_HINT", number(BalloonFeature::free_page_hint), VIRTIO_BALLOON_F_FREE_PAGE_HINT},
        {"PAGE_POISON", number(BalloonFeature::page_poison), VIRTIO_BALLOON_F_PAGE_POISON},
        {"PAGE_REPORTING", number(BalloonFeature::page_reporting), VIRTIO_BALLOON_F_REPORTING},
        {"page shift", kBalloonPageShift, VIRTIO_BALLOON_PFN_SHIFT},
        {"hint stop", kFreePageHintStop, VIRTIO_BALLOON_CMD_ID_STOP},
        {"hint done", kFreePageHintDone, VIRTIO_BALLOON_CMD_ID_DONE},
        {"config.num_pages", balloon_config::kPages.offset, offsetof(virtio_balloon_config, num_pages)},
        {"config.actual", balloon_config::kActual.offset, offsetof(virtio_balloon_config, actual)},
        {"config.free_page_hint_cmd_id", balloon_config::kFreePageHintCommand.offset,
         offsetof(virtio_balloon_config, free_page_hint_cmd_id)},
        {"config.poison_val", balloon_config::kPoison.offset, offsetof(virtio_balloon_config, poison_val)},
        {"SWAP_IN", number(BalloonStatistic::swap_in), VIRTIO_BALLOON_S_SWAP_IN},
        {"SWAP_OUT", number(BalloonStatistic::swap_out), VIRTIO_BALLOON_S_SWAP_OUT},
        {"MAJFLT", number(BalloonStatistic::major_faults), VIRTIO_BALLOON_S_MAJFLT},
        {"MINFLT", number(BalloonStatistic::minor_faults), VIRTIO_BALLOON_S_MINFLT},
        {"MEMFREE", number(BalloonStatistic::free_memory), VIRTIO_BALLOON_S_MEMFREE},
        {"MEMTOT", number(BalloonStatistic::total_memory), VIRTIO_BALLOON_S_MEMTOT},
        {"AVAIL", number(BalloonStatistic::available_memory), VIRTIO_BALLOON_S_AVAIL},
        {"CACHES", number(BalloonStatistic::disk_caches), VIRTIO_BALLOON_S_CACHES},
        {"HTLB_PGALLOC", number(BalloonStatistic::huge_page_allocations), VIRTIO_BALLOON_S_HTLB_PGALLOC},
        {"HTLB_PGFAIL", number(BalloonStatistic::huge_page_failures), VIRTIO_BALLOON_S_HTLB_PGFAIL},
        {"statistics", kBalloonStatistics, VIRTIO_BALLOON_S_NR},
        {"sizeof statistic", kBalloonStatisticBytes, sizeof(virtio_balloon_stat)},
        {"statistic.val", kBalloonStatisticValueOffset, offsetof(virtio_balloon_stat, val)},
    };
    for (const Pair& pair : pairs) CHECK_MESSAGE(pair.ours == pair.theirs, pair.what);

    struct Newer {
        const char* what;
        unsigned long long ours, value;
        const char* section;
    };
    const Newer newer[] = {
        {"inflateq", kInflateQueue, 0, "5.5.2"},       {"deflateq", kDeflateQueue, 1, "5.5.2"},
        {"statsq", kStatisticsQueue, 2, "5.5.2"},      {"free_page_vq", kFreePageQueue, 3, "5.5.2"},
        {"reporting_vq", kReportingQueue, 4, "5.5.2"},
    };
    for (const Newer& entry : newer) CHECK_MESSAGE(entry.ours == entry.value, entry.what << ", VIRTIO 1.4, " << entry.section);
    std::printf("abi balloon: %zu constants equal the system's header, %zu newer ones the specification's\n", std::size(pairs),
                std::size(newer));
}
