// The memory balloon's wire format (VIRTIO 1.4, 5.5): type, features, configuration, queues, statistics.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "libvirtio/base.hpp"
#include "libvirtio/config.hpp"
#include "libvirtio/feature.hpp"

namespace virtio {

/// VIRTIO 1.4, 5.5.1
inline constexpr std::uint32_t kBalloonType = 5;

/// VIRTIO 1.4, 5.5.3
enum class BalloonFeature : std::uint8_t {
    must_tell_host = 0,
    stats_vq = 1,
    deflate_on_oom = 2,
    free_page_hint = 3,
    page_poison = 4,
    page_reporting = 5
};

namespace balloon_config {
// VIRTIO 1.4, 5.5.4
inline constexpr Field<std::uint32_t> kPages{.offset = 0};
inline constexpr Field<std::uint32_t> kActual{.offset = 4};
inline constexpr Field<std::uint32_t> kFreePageHintCommand{.offset = 8,
                                                           .feature = static_cast<std::uint8_t>(BalloonFeature::free_page_hint)};
inline constexpr Field<std::uint32_t> kPoison{.offset = 12, .feature = static_cast<std::uint8_t>(BalloonFeature::page_poison)};
} // namespace balloon_config

/// VIRTIO 1.4, 5.5.2. Devices that do not offer FREE_PAGE_HINT have no queue 3, and some of them (QEMU) then number on without a
/// gap: see balloon_reporting_queue().
inline constexpr std::uint16_t kInflateQueue = 0;
inline constexpr std::uint16_t kDeflateQueue = 1;
inline constexpr std::uint16_t kStatisticsQueue = 2;
inline constexpr std::uint16_t kFreePageQueue = 3;
inline constexpr std::uint16_t kReportingQueue = 4;

/// A page number on the wire counts 4 KiB units whatever the page size is (VIRTIO 1.4, 5.5.6; trap 36).
inline constexpr unsigned kBalloonPageShift = 12;

/// VIRTIO 1.4, 5.5.6.4
enum class BalloonStatistic : std::uint16_t {
    swap_in = 0,
    swap_out = 1,
    major_faults = 2,
    minor_faults = 3,
    free_memory = 4,
    total_memory = 5,
    available_memory = 6,
    disk_caches = 7,
    huge_page_allocations = 8,
    huge_page_failures = 9
};
inline constexpr unsigned kBalloonStatistics = 10;

/// One statistic: a 16-bit tag and a 64-bit value, without padding (VIRTIO 1.4, 5.5.6.3).
inline constexpr std::size_t kBalloonStatisticBytes = 10;
inline constexpr std::size_t kBalloonStatisticValueOffset = 2;

/// VIRTIO 1.4, 5.5.6.5
inline constexpr std::uint32_t kFreePageHintStop = 0;
inline constexpr std::uint32_t kFreePageHintDone = 1;

inline constexpr FeatureName kBalloonFeatureNames[] = {
    {static_cast<std::uint8_t>(BalloonFeature::must_tell_host), "MUST_TELL_HOST"},
    {static_cast<std::uint8_t>(BalloonFeature::stats_vq), "STATS_VQ"},
    {static_cast<std::uint8_t>(BalloonFeature::deflate_on_oom), "DEFLATE_ON_OOM"},
    {static_cast<std::uint8_t>(BalloonFeature::free_page_hint), "FREE_PAGE_HINT"},
    {static_cast<std::uint8_t>(BalloonFeature::page_poison), "PAGE_POISON"},
    {static_cast<std::uint8_t>(BalloonFeature::page_reporting), "PAGE_REPORTING"},
};

} // namespace virtio
