// The balloon's policy: a task follows the host's target while everything else runs. It gives pages from the allocator's top, where
// those freed last lie (pages the host really backs), one request of 256 at a time; it keeps a floor of free memory above what the
// heap leaves for DMA and stacks, and takes pages back when memory runs short if the host allows that (DEFLATE_ON_OOM). Free memory
// is reported in blocks of 2 MiB, which nobody can allocate while the host discards them. Owned by the device manager. Task context.
//
//     static constinit kernel::BalloonService service;
//     auto started = service.start(platform, transport);
//     kernel::BalloonStatus status = service.status();
#pragma once

#include <array>
#include <cstdint>

#include "drivers/balloon/balloon.hpp"
#include "kernel/balloon/page_record.hpp"
#include "kernel/balloon/policy.hpp"
#include "kernel/task/task.hpp"
#include "kernel/task/wait_queue.hpp"

namespace kernel {

/// All in pages of 4 KiB.
struct BalloonStatus {
    std::uint64_t target = 0; // the host's number, as it stands
    std::uint64_t pages = 0;  // in the balloon, as told to the host
    std::uint64_t floor = 0;  // free pages below which nothing is given
    std::uint64_t given = 0;  // since the start
    std::uint64_t taken_back = 0;
    std::uint64_t reported = 0; // free pages that the host was told of
    std::uint64_t lost = 0;     // in requests that a device kept which never confirmed its reset
};

class BalloonService final : private virtio::BalloonObserver {
public:
    constexpr BalloonService() noexcept = default;
    BalloonService(const BalloonService&) = delete;
    BalloonService& operator=(const BalloonService&) = delete;

    /// Starts the device and its task. Errors: those of BalloonDevice::start, out_of_memory.
    virtio::Result<> start(virtio::Platform& platform, virtio::Transport& transport);
    /// Takes all pages back, as far as the host answers within a few seconds, then ends the device.
    virtio::Result<> stop();
    /// The device has gone, or is about to: stop(), and start() takes the next one.
    virtio::Result<> remove();

    [[nodiscard]] BalloonStatus status() const noexcept;
    [[nodiscard]] virtio::BalloonDevice& device() noexcept { return device_; }
    [[nodiscard]] const virtio::BalloonDevice& device() const noexcept { return device_; }

private:
    static void on_change(virtio::BalloonObserver& observer, virtio::BalloonChange change, virtio::Error error) noexcept;
    static std::uint64_t on_statistic(virtio::BalloonObserver& observer, virtio::BalloonStatistic which) noexcept;
    static bool relieve(std::size_t pages);
    [[nodiscard]] bool take_back_for(std::size_t pages);
    void serve();
    void recover_if_needed();
    [[nodiscard]] BalloonSituation situation() const;
    [[nodiscard]] bool take(const BalloonStep& step);
    [[nodiscard]] bool give(std::size_t count);
    [[nodiscard]] bool take_back(std::size_t count);
    [[nodiscard]] bool provide_room(std::size_t count);
    void report_free_memory();
    /// Waits until `busy` says no; false: it never will.
    [[nodiscard]] bool finish(bool (virtio::BalloonDevice::*busy)() const noexcept);

    virtio::BalloonDevice device_;
    PageRecord record_;
    WaitQueue relieved_;
    Task* task_ = nullptr;
    std::array<std::uint32_t, kBalloonBatch> numbers_{};
    std::array<virtio::Segment, virtio::BalloonDevice::kReportSegments> pieces_{};
    virtio::Error inflate_error_ = virtio::Error::none;
    virtio::Error deflate_error_ = virtio::Error::none;
    virtio::Error report_error_ = virtio::Error::none;
    std::uint64_t in_report_ = 0;                  // pages that are out of reach while the host is told of them
    std::uint64_t needed_free_ = 0;                // somebody waits until so many pages are free
    std::uint64_t give_up_ns_ = ~std::uint64_t{0}; // stop(): no answer is waited for after this
    BalloonStatus counted_;
    bool stopping_ = false;
    bool floor_told_ = false;
};

/// The machine's balloon, or null.
[[nodiscard]] BalloonService* balloon() noexcept;

} // namespace kernel
