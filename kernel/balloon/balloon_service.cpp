#include "kernel/balloon/balloon_service.hpp"

#include <algorithm>
#include <limits>
#include <span>

#include "kernel/log/log.hpp"
#include "kernel/memory/heap.hpp"
#include "kernel/memory/pages.hpp"
#include "kernel/processor/processor.hpp"
#include "kernel/time/clock.hpp"

namespace kernel {
namespace {

using virtio::BalloonStatistic;
using virtio::Error;

static_assert(kBalloonBatch == virtio::BalloonDevice::kBatch);
static_assert(kPageSize == std::size_t{1} << virtio::kBalloonPageShift);

constexpr std::size_t kStackBytes = 32 * 1024;
constexpr std::size_t kFloorAboveReserve = 1024; // 4 MiB for the heap to grow in
constexpr std::uint64_t kRetryNs = 500'000'000;  // when the target could not be reached
constexpr std::uint64_t kReportNs = 2'000'000'000;
constexpr std::uint64_t kReliefNs = 1'000'000'000;
constexpr std::uint64_t kStopNs = 3'000'000'000;
constexpr std::size_t kReportAtOnce = 16384; // pages out of everybody's reach while the host discards them: 64 MiB
constexpr std::size_t kReportRun = 4096;
constexpr unsigned kReportRounds = 16;

// Six of them, 60 bytes: a multiple of an entry's 10 and of the 6 that the text of the specification asks for (BALLOON-023). There
// is no swap and no huge page pool here, so those are not statistics of ours.
constexpr std::array kStatistics{BalloonStatistic::free_memory, BalloonStatistic::total_memory, BalloonStatistic::available_memory,
                                 BalloonStatistic::disk_caches, BalloonStatistic::major_faults, BalloonStatistic::minor_faults};

constinit BalloonService* the_balloon = nullptr;

void* address_of(std::uint32_t page) noexcept { return reinterpret_cast<void*>(std::uintptr_t{page} * kPageSize); }
std::uint64_t reserve() { return heap_statistics().reserve / kPageSize; }

} // namespace

BalloonService* balloon() noexcept { return the_balloon; }

virtio::Result<> BalloonService::start(virtio::Platform& platform, virtio::Transport& transport) {
    virtio::BalloonObserver::changed = &BalloonService::on_change;
    virtio::BalloonObserver::statistic = &BalloonService::on_statistic;
    stopping_ = false;
    give_up_ns_ = kNever;
    counted_ = {};
    const virtio::BalloonDevice::Options options{.observer = this, .statistics = kStatistics, .reporting = true, .deflate_on_oom = true};
    if (auto started = device_.start(platform, transport, options); !started) return started;
    auto task =
        spawn("balloon", [](void* service) { static_cast<BalloonService*>(service)->serve(); }, this, kStackBytes, TaskLifetime::joinable);
    if (!task) {
        (void)device_.stop();
        return virtio::fail(task.error());
    }
    task_ = *task;
    the_balloon = this;
    if (device_.device().features().has(virtio::BalloonFeature::deflate_on_oom)) set_heap_relief(&BalloonService::relieve);
    return {};
}

virtio::Result<> BalloonService::stop() {
    if (the_balloon == this) {
        set_heap_relief(nullptr);
        the_balloon = nullptr;
    }
    give_up_ns_ = now_ns() + kStopNs;
    if (task_ != nullptr) {
        stopping_ = true;
        device_.device().event().mark(virtio::Device::kAllQueues);
        wake_hint();
        join(*task_);
        task_ = nullptr;
    }
    // The host is told of every page before the device ends (trap 36).
    while (record_.size() != 0 && take_back(kBalloonBatch)) {
    }
    auto stopped = device_.stop();
    if (!stopped && stopped.error() != Error::device_gone) return stopped; // a device that may still be at work keeps what it has
    // It is reset and has no balloon any more.
    while (const std::size_t count = record_.pop(numbers_)) {
        for (std::size_t i = 0; i < count; ++i) free_pages(address_of(numbers_[i]), 1);
        note_ballooned(-static_cast<std::ptrdiff_t>(count));
    }
    while (void* page = record_.take_any_storage()) free_pages(page, 1);
    return {};
}

virtio::Result<> BalloonService::remove() {
    const auto stopped = stop();
    static_cast<void>(device_.remove());
    return stopped;
}

BalloonStatus BalloonService::status() const noexcept {
    BalloonStatus status = counted_;
    status.target = device_.target();
    status.pages = device_.pages();
    status.floor = reserve() + kFloorAboveReserve;
    return status;
}

void BalloonService::on_change(virtio::BalloonObserver& observer, virtio::BalloonChange change, Error error) noexcept {
    auto& service = static_cast<BalloonService&>(observer);
    switch (change) {
    case virtio::BalloonChange::target: service.floor_told_ = false; break;
    case virtio::BalloonChange::inflated: service.inflate_error_ = error; break;
    case virtio::BalloonChange::deflated: service.deflate_error_ = error; break;
    case virtio::BalloonChange::reported: service.report_error_ = error; break;
    }
}

std::uint64_t BalloonService::on_statistic(virtio::BalloonObserver& observer, BalloonStatistic which) noexcept {
    const PageStatistics pages = page_statistics();
    // What is being reported is free, too, and back in a moment.
    const std::uint64_t free = pages.free + static_cast<BalloonService&>(observer).in_report_;
    switch (which) {
    case BalloonStatistic::free_memory: return free * kPageSize;
    // What the host has taken is not there, so that this follows `actual`.
    case BalloonStatistic::total_memory: return std::uint64_t{pages.total - pages.ballooned} * kPageSize;
    case BalloonStatistic::available_memory: return (free > reserve() ? free - reserve() : 0) * kPageSize;
    default: return 0; // no cache, and no page is ever fetched on a fault
    }
}

// --- the task ---

void BalloonService::serve() {
    std::uint64_t report_at = now_ns() + kReportNs;
    while (!stopping_) {
        const std::uint64_t now = now_ns();
        const BalloonSituation before = situation();
        const bool wants_more = before.pages < before.target;
        const std::uint64_t look = wants_more ? now + kRetryNs : now + kReportNs;
        if (!device_.device().event().pending()) (void)device_.device().wait(std::min(look, report_at));
        (void)device_.poll();
        recover_if_needed();
        while (!stopping_ && device_.device().started()) {
            const BalloonStep step = next_balloon_step(situation());
            if (step.kind == BalloonStep::Kind::rest || !take(step)) break;
        }
        while (void* page = record_.take_spare_storage()) free_pages(page, 1);
        if (!floor_told_ && device_.pages() < device_.target()) {
            floor_told_ = true;
            log(LogLevel::info, "balloon: the host wants %u pages, %u can be given", static_cast<unsigned>(device_.target()),
                static_cast<unsigned>(device_.pages()));
        }
        if (now_ns() < report_at) continue;
        report_free_memory();
        report_at = now_ns() + kReportNs;
    }
}

void BalloonService::recover_if_needed() {
    if (!device_.needs_recovery() || stopping_) return;
    auto recovered = device_.recover();
    log(LogLevel::warning, "balloon: reset%s%s", recovered ? "" : ": ", recovered ? "" : virtio::message(recovered.error()));
    if (!recovered) sleep_until(now_ns() + kRetryNs);
}

BalloonSituation BalloonService::situation() const {
    const std::uint64_t free = free_page_count();
    BalloonSituation now;
    now.target = device_.target();
    now.pages = device_.pages();
    now.free = free;
    now.floor = reserve() + kFloorAboveReserve;
    now.low = reserve();
    now.needed = needed_free_ > free ? needed_free_ - free : 0;
    now.may_take_back = const_cast<virtio::BalloonDevice&>(device_).device().features().has(virtio::BalloonFeature::deflate_on_oom);
    return now;
}

bool BalloonService::take(const BalloonStep& step) {
    return step.kind == BalloonStep::Kind::give ? give(step.count) : take_back(step.count);
}

bool BalloonService::finish(bool (virtio::BalloonDevice::*busy)() const noexcept) {
    while ((device_.*busy)()) {
        if (!device_.device().started()) return false; // the reset was never confirmed
        if (!device_.device().wait(std::min(give_up_ns_, now_ns() + kRetryNs)) && now_ns() >= give_up_ns_) return false;
        (void)device_.poll();
        recover_if_needed();
    }
    return true;
}

bool BalloonService::provide_room(std::size_t count) {
    while (record_.room() < count) {
        auto page = allocate_pages(1);
        if (!page) return false;
        record_.add_storage(*page);
    }
    return true;
}

bool BalloonService::give(std::size_t count) {
    if (!provide_room(count)) return false;
    std::size_t got = 0;
    while (got < count) {
        auto page = allocate_pages(1);
        if (!page) break;
        const std::uint64_t number = reinterpret_cast<std::uintptr_t>(*page) / kPageSize;
        if (number > std::numeric_limits<std::uint32_t>::max()) { // beyond what the wire can name
            free_pages(*page, 1);
            break;
        }
        numbers_[got++] = static_cast<std::uint32_t>(number);
    }
    const auto given = std::span(numbers_).first(got);
    const auto keep = [&] {
        for (const std::uint32_t number : given) free_pages(address_of(number), 1);
        return false;
    };
    if (got == 0) return false;
    if (!device_.inflate(given)) return keep();
    if (!finish(&virtio::BalloonDevice::inflating)) {
        counted_.lost += got; // never used again: the host may still take them
        return false;
    }
    if (inflate_error_ != Error::none) return keep();
    for (const std::uint32_t number : given) (void)record_.push(number);
    note_ballooned(static_cast<std::ptrdiff_t>(got));
    counted_.given += got;
    return true;
}

bool BalloonService::take_back(std::size_t count) {
    const std::size_t got = record_.pop(std::span(numbers_).first(std::min(count, numbers_.size())));
    const auto wanted = std::span(numbers_).first(got);
    const auto put_back = [&] {
        for (const std::uint32_t number : wanted) (void)record_.push(number);
        return false;
    };
    if (got == 0) return false;
    if (!device_.deflate(wanted)) return put_back();
    if (!finish(&virtio::BalloonDevice::deflating) || deflate_error_ != Error::none) return put_back();
    for (const std::uint32_t number : wanted) free_pages(address_of(number), 1);
    note_ballooned(-static_cast<std::ptrdiff_t>(got));
    counted_.taken_back += got;
    relieved_.wake_all();
    return true;
}

// --- when memory runs out ---

bool BalloonService::relieve(std::size_t pages) {
    // malloc runs on any processor (and has its lock held); the balloon's task, its queues and whoever waits for them are the first one's.
    bool enough = false;
    call_on(processors::boot, [&] { enough = the_balloon != nullptr && the_balloon->take_back_for(pages); });
    return enough;
}

bool BalloonService::take_back_for(std::size_t pages) {
    if (&current_task() == task_ || device_.pages() == 0) return false;
    const std::uint64_t wanted = reserve() + pages;
    const std::uint64_t deadline = now_ns() + kReliefNs;
    while (free_page_count() < wanted && device_.pages() != 0) {
        needed_free_ = std::max(needed_free_, wanted);
        device_.device().event().mark(virtio::Device::queue_bit(virtio::kDeflateQueue));
        wake_hint();
        if (!relieved_.wait(deadline)) break;
    }
    needed_free_ = 0; // whoever else waits asks again
    return free_page_count() >= wanted;
}

// --- free page reporting ---

void BalloonService::report_free_memory() {
    virtio::Device& device = device_.device();
    if (!device_.can_report() || !device.domain().direct()) return;
    std::array<PageRun, virtio::BalloonDevice::kReportSegments> runs;
    for (unsigned round = 0; round < kReportRounds && !stopping_; ++round) {
        const BalloonSituation now = situation();
        std::size_t budget =
            now.free > now.floor ? static_cast<std::size_t>(std::min<std::uint64_t>((now.free - now.floor) / 2, kReportAtOnce)) : 0;
        std::size_t count = 0;
        while (count < device_.report_limit() && budget >= kReportBlockPages) {
            auto run = isolate_unreported_run(std::min(budget, kReportRun));
            if (!run) break;
            auto mapping =
                device.domain().map(static_cast<const std::byte*>(run->first), run->count * kPageSize, virtio::DmaDirection::from_device);
            pieces_[count] = {mapping ? mapping->address : virtio::DmaAddress{}, static_cast<std::uint32_t>(run->count * kPageSize)};
            runs[count++] = *run;
            in_report_ += run->count;
            budget -= std::min(budget, run->count);
        }
        if (count == 0) return;
        // BALLOON-044: out of reach until the answer.
        report_error_ = Error::none;
        const bool sent = device_.report(std::span(pieces_).first(count)).has_value();
        const bool back = !sent || finish(&virtio::BalloonDevice::reporting);
        in_report_ = 0;
        if (!back) return; // may still be discarded: never used again
        const bool taken = sent && report_error_ == Error::none;
        for (std::size_t i = 0; i < count; ++i) {
            return_isolated_run(runs[i], taken ? ReportOutcome::reported : ReportOutcome::not_reported);
            if (taken) counted_.reported += runs[i].count;
        }
        if (!taken) return;
    }
}

} // namespace kernel
