// The life of a device as its specification orders it (VIRTIO 1.4, 3.1.1): reset, acknowledge, negotiate, queues, ok; then stop
// or recover. A front end (blk, net, ...) owns one by value and drives it from task context; on_interrupt() alone belongs to
// interrupt context. Constant-initialised, never moved, outlived by its transport and platform.
//
//     device.begin(platform, transport, kBlkType);            // reset .. DRIVER; offered() and config() of what is offered
//     device.negotiate(policy, kDependencies);                // FEATURES_OK, read back; config() of what was negotiated
//     device.connect_interrupts(1);                           // messages, a shared message, the line, or polling: in that order
//     device.add_queue(0, queue_, {.maximum_size = 256});
//     device.run();                                           // DRIVER_OK; kicks reach the device from here on
//     ...
//     device.stop(Error::closed);                             // confirmed reset, then every request in flight ends
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "libvirtio/config.hpp"
#include "libvirtio/event.hpp"
#include "libvirtio/feature.hpp"
#include "libvirtio/platform.hpp"
#include "libvirtio/status.hpp"
#include "libvirtio/transport.hpp"
#include "libvirtio/virtqueue.hpp"

namespace virtio {

enum class InterruptMode : std::uint8_t {
    polled,         // none: the owner polls
    line,           // one line, acknowledged through the status register
    shared_message, // one message for everything
    two_messages,   // configuration, and all queues together
    message_per_queue
};
[[nodiscard]] const char* name(InterruptMode mode) noexcept;

class Device {
public:
    static constexpr unsigned kMostQueues = 64; // added at once; reset_queue() serves indices below
    /// Event bits: queue i marks bit min(i, 30); configuration changes mark bit 31.
    static constexpr std::uint32_t kConfigBit = 1u << 31;
    [[nodiscard]] static constexpr std::uint32_t queue_bit(unsigned index) noexcept { return 1u << (index < 30 ? index : 30); }
    static constexpr std::uint32_t kAllQueues = ~kConfigBit;

    static constexpr std::uint64_t kControlDeadlineNs = 1'000'000'000; // reset, FEATURES_OK
    static constexpr std::uint64_t kSpinNs = 1'000'000;                // a reset is spun on that long, then slept on
    static constexpr std::uint64_t kWatchdogNs = 100'000'000;
    static constexpr std::uint64_t kWatchdogGraceNs = 10'000'000; // for an interrupt that is on its way
    static constexpr std::uint64_t kConfigLookNs = 50'000'000;    // without interrupts: between two looks at its generation
    static constexpr std::uint64_t kPollIntervalNs = 200'000;     // sleeping without interrupts

    constexpr Device() noexcept = default;
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    // --- starting, in this order ---

    /// Errors: no_device (another type), reset_timeout, device_gone, already_started.
    [[nodiscard]] Result<> begin(Platform& platform, Transport& transport, std::uint32_t type) noexcept;
    /// The policy's ring features are added here: VERSION_1 is required (legacy: ANY_LAYOUT is wanted); of kRingFeatures those are wanted that the platform allows
    /// and the transport can serve.
    /// Errors: feature_missing, feature_dependency, feature_refused (refusal() says which bit), dma_domain_missing.
    [[nodiscard]] Result<> negotiate(const Policy& policy, std::span<const Dependency> dependencies) noexcept;
    /// Finds the best interrupts there are for `queues` queues. Never fails: polling is the last resort.
    void connect_interrupts(std::uint16_t queues) noexcept;
    /// Creates queue `index` and hands it to the device; on a running device only after reset_queue(), and then it starts at once.
    /// Errors: see Virtqueue::create; interrupt_unavailable, device_gone, not_started, already_started (running).
    [[nodiscard]] Result<> add_queue(std::uint16_t index, Virtqueue& queue, const QueueOptions& options) noexcept;
    [[nodiscard]] Result<> run() noexcept;

    // --- ending ---

    /// Resets the device, waits for the confirmation, ends every request in flight with `error` and frees the rings. Where the
    /// reset is never confirmed and the device cannot be cut off, the memory is quarantined. Errors: reset_timeout.
    Result<> stop(Error error = Error::device_reset) noexcept;
    /// After stop(), where the device has gone: the transport is forgotten and may be destroyed. begin() makes a new start, with another.
    void forget() noexcept;
    /// Start-up failed: sets FAILED (INIT: when any of the steps goes wrong) and frees what was made.
    void abort() noexcept;

    /// RING_RESET (VIRTIO 1.4, 2.6.1): takes one queue back while the others run. When the device has confirmed, every request in
    /// flight there has ended with `error` and the ring's memory is free; add_queue() makes it anew, with other options if wanted.
    /// Errors: unsupported_request (not negotiated), invalid_argument (no queue of this device), reset_timeout, device_gone: the
    /// queue then stays as it is but for its kicks, its requests with the device, until stop().
    Result<> reset_queue(Virtqueue& queue, Error error = Error::device_reset) noexcept;

    // --- running ---

    /// Interrupt context, general registers only: acknowledges, marks, wakes. Touches no ring.
    void on_interrupt(std::uint16_t vector) noexcept;

    /// What interrupts mark for this device's queues (queue_bit) and, unless set_config_event() moved it, its configuration.
    [[nodiscard]] Event& event() noexcept { return event_; }
    /// Configuration changes mark `bits` of `event` instead: one task can watch many devices.
    void set_config_event(Event& event, std::uint32_t bits) noexcept {
        config_event_ = &event;
        config_bits_ = bits;
    }
    /// Whether a configuration change was announced since the last call.
    [[nodiscard]] bool take_config_change() noexcept {
        // Asked in every poll(): a look costs less than an exchange.
        return config_changed_.load(std::memory_order_relaxed) != 0 && config_changed_.exchange(0, std::memory_order_acquire) != 0;
    }

    /// Sleeps until the event is marked or `deadline_ns` comes (false). Without interrupts it naps and returns true. After
    /// kWatchdogNs without an interrupt it looks at the queues itself; used buffers found there are counted as a rescue.
    bool wait(std::uint64_t deadline_ns) noexcept;

    /// DEVICE_NEEDS_RESET is set, or a queue is broken.
    [[nodiscard]] bool needs_reset() noexcept;

    [[nodiscard]] bool started() const noexcept { return status_.live(); }
    [[nodiscard]] const FeatureSet& offered() const noexcept { return offered_; }
    [[nodiscard]] const FeatureSet& features() const noexcept { return features_; }
    [[nodiscard]] const Refusal& refusal() const noexcept { return refusal_; }
    [[nodiscard]] const DeviceIdentity& identity() const noexcept { return identity_; }
    [[nodiscard]] const Config& config() const noexcept { return config_; }
    [[nodiscard]] InterruptMode interrupt_mode() const noexcept { return mode_; }
    [[nodiscard]] std::uint64_t interrupts() const noexcept { return interrupts_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t spurious_interrupts() const noexcept { return spurious_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t watchdog_rescues() const noexcept { return rescues_; }
    [[nodiscard]] Platform& platform() const noexcept { return *platform_; }
    [[nodiscard]] Transport& transport() const noexcept { return *transport_; }
    [[nodiscard]] DmaDomain& domain() const noexcept { return *domain_; }
    /// Queues added so far, for listings; an entry may be null.
    [[nodiscard]] std::span<Virtqueue* const> queues() const noexcept { return {queues_.data(), queue_count_}; }

private:
    [[nodiscard]] Result<> advance(std::uint8_t bit) noexcept;
    [[nodiscard]] Result<> reset() noexcept;
    [[nodiscard]] Result<Virtqueue**> place_of(std::uint16_t index) noexcept;
    void look_at_configuration() noexcept;
    static void interrupt(void* context, std::uint16_t vector) noexcept;
    [[nodiscard]] std::uint16_t vector_of(std::uint16_t queue) const noexcept;

    Platform* platform_ = nullptr;
    Transport* transport_ = nullptr;
    DmaDomain* domain_ = nullptr;
    Event* config_event_ = nullptr;
    std::uint32_t config_bits_ = 0;
    std::uint32_t queue_count_ = 0;
    Event event_;
    std::atomic<std::uint32_t> config_changed_{0}; // a whole word: an exchange of a byte is a library call on riscv64
    std::atomic<bool> listening_{false};           // interrupts before run() and after stop() are dropped
    std::atomic<std::uint64_t> interrupts_{0};
    std::atomic<std::uint64_t> spurious_{0};
    std::uint64_t rescues_ = 0;
    std::uint64_t looked_at_config_ = 0;
    std::uint32_t config_generation_ = 0;
    std::uint64_t interrupts_before_ = 0; // the device began
    std::uint64_t quiet_since_ = 0;       // start of the waits that ended without an event; 0: the last one had one
    std::uint16_t messages_ = 0;
    bool zero_shared_ = false;       // message 0 announces a queue as well
    std::uint64_t reset_queues_ = 0; // bit i: queue i was reset by itself and may be made anew
    InterruptMode mode_ = InterruptMode::polled;
    InterruptStatus interrupt_status_;
    DeviceStatus status_;
    DeviceIdentity identity_;
    FeatureSet offered_;
    FeatureSet features_;
    Refusal refusal_;
    Config config_;
    std::array<Virtqueue*, kMostQueues> queues_{};
};

} // namespace virtio
