// The memory balloon's driver: tells the host which pages it may have, which are taken back, how memory stands, and which are
// free. It moves page numbers only; which pages, and how many, is the owner's policy. Owned by whoever found the device;
// constant-initialised, never moved. Task context, except on_interrupt() (interrupt context).
//
//     check(balloon.start(platform, transport, {.observer = &policy}));
//     if (balloon.target() > balloon.pages()) check(balloon.inflate(page_numbers));   // up to 256; policy.changed(inflated) follows
//     for (;;) { balloon.device().wait(deadline); balloon.poll(); }
//
// A page belongs to the host from inflate() on, and is ours again when deflate() has been answered (changed(deflated)), never
// earlier, whether MUST_TELL_HOST was negotiated or not. Before stop(), deflate everything: a reset tells the host nothing.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "drivers/balloon/abi.hpp"
#include "libvirtio/device.hpp"

namespace virtio {

enum class BalloonChange : std::uint8_t { target, inflated, deflated, reported };

/// Whoever decides about memory. All functions run in task context, inside poll() (changed() for a failed request also inside
/// stop() and recover()), and must not wait.
struct BalloonObserver {
    /// `error` is none, or why the request ended without the host's answer: its pages are then not in the balloon after an
    /// inflate, and still in it after a deflate.
    void (*changed)(BalloonObserver& observer, BalloonChange change, Error error) noexcept = nullptr;
    /// The value of a statistic that Options::statistics lists.
    std::uint64_t (*statistic)(BalloonObserver& observer, BalloonStatistic which) noexcept = nullptr;
};

class BalloonDevice {
public:
    static constexpr unsigned kBatch = 256; // page numbers in one request: 1 MiB
    static constexpr unsigned kReportSegments = 32;

    struct Options {
        BalloonObserver* observer = nullptr;
        /// What statistic() answers; empty: no statistics queue. The same ones every time (BALLOON-026).
        std::span<const BalloonStatistic> statistics{};
        bool reporting = false;      // the owner reports free pages
        bool deflate_on_oom = false; // the owner really takes pages back when memory runs out
    };

    constexpr BalloonDevice() noexcept = default;
    BalloonDevice(const BalloonDevice&) = delete;
    BalloonDevice& operator=(const BalloonDevice&) = delete;

    Result<> start(Platform& platform, Transport& transport, const Options& options) noexcept;
    Result<> start(Platform& platform, Transport& transport) noexcept { return start(platform, transport, Options{}); }
    void on_interrupt(std::uint16_t vector = 0) noexcept { device_.on_interrupt(vector); }
    /// Answers, statistics, the target. Bounded; returns how many requests it handled.
    unsigned poll() noexcept;
    Result<> stop() noexcept;
    /// The device has gone, or is about to: stop(), and the transport is forgotten and may be destroyed; start() takes the next one.
    Result<> remove() noexcept;
    /// Reset and start again: requests in flight end with an error, the pages in the balloon stay there, `actual` is told again.
    Result<> recover() noexcept;
    [[nodiscard]] bool needs_recovery() const noexcept { return needs_recovery_; }

    /// How many 4 KiB pages the host would like to have: its number as it stands, which may be nonsense.
    [[nodiscard]] std::uint32_t target() const noexcept { return target_; }
    /// How many pages are in the balloon, as told to the host (`actual`).
    [[nodiscard]] std::uint32_t pages() const noexcept { return pages_; }

    /// Gives pages: numbers of 4 KiB units, at most kBatch. One request at a time. Errors: busy, invalid_argument, not_started,
    /// queue_broken.
    [[nodiscard]] Result<> inflate(std::span<const std::uint32_t> page_numbers) noexcept;
    [[nodiscard]] bool inflating() const noexcept { return inflate_.busy; }
    /// Asks for pages back. Errors: as inflate().
    [[nodiscard]] Result<> deflate(std::span<const std::uint32_t> page_numbers) noexcept;
    [[nodiscard]] bool deflating() const noexcept { return deflate_.busy; }
    /// Reports free memory, at most kReportSegments pieces and what the queue holds; it must stay unused until changed(reported).
    /// Errors: unsupported_request (not negotiated), busy, invalid_argument, not_started, queue_broken.
    [[nodiscard]] Result<> report(std::span<const Segment> pieces) noexcept;
    [[nodiscard]] bool reporting() const noexcept { return report_request_.busy; }
    [[nodiscard]] unsigned report_limit() const noexcept;
    [[nodiscard]] bool can_report() const noexcept { return report_queue_.created(); }

    [[nodiscard]] Device& device() noexcept { return device_; }
    [[nodiscard]] static std::span<const FeatureName> feature_names() noexcept { return kBalloonFeatureNames; }

private:
    struct Lane : Request {
        BalloonDevice* owner = nullptr;
        std::byte* data = nullptr; // page numbers, or statistics
        std::uint32_t count = 0;
        bool busy = false;
    };

    [[nodiscard]] Result<> run() noexcept;
    void end() noexcept;
    [[nodiscard]] Result<> send(Virtqueue& queue, Lane& lane, std::size_t offset, std::span<const std::uint32_t> numbers) noexcept;
    void tell(BalloonChange change, Error error) noexcept;
    void write_actual() noexcept;
    void read_target() noexcept;
    void offer_statistics() noexcept;
    static void inflated(Request& request) noexcept;
    static void deflated(Request& request) noexcept;
    static void statistics_wanted(Request& request) noexcept;
    static void reported(Request& request) noexcept;
    [[nodiscard]] bool abandoned() const noexcept;

    Device device_;
    Options options_;
    Platform* platform_ = nullptr;
    Transport* transport_ = nullptr;
    DmaDomain* domain_ = nullptr;
    DmaMemory memory_; // page numbers twice, then statistics
    std::uint32_t target_ = 0;
    std::uint32_t pages_ = 0;
    unsigned handled_ = 0;
    bool needs_recovery_ = false;
    bool statistics_due_ = false;
    Lane inflate_;
    Lane deflate_;
    Lane statistics_;
    Lane report_request_;
    Virtqueue inflate_queue_;
    Virtqueue deflate_queue_;
    Virtqueue statistics_queue_;
    Virtqueue report_queue_;
};

} // namespace virtio
