// The console device's driver: up to 31 ports, announced, named, opened and removed by control messages where the device has
// them (MULTIPORT), one console port otherwise; its size; emergency output for a panic. Owned by whoever found the device;
// constant-initialised, never moved. Task context, except on_interrupt() (interrupt context) and emergency_write() (any).
//
//     static constinit virtio::ConsoleDevice console;
//     check(console.start(platform, transport));
//     for (;;) { console.device().wait(deadline); console.poll(); }          // or an observer with a task of its own
//     if (ConsolePort* port = console.console()) (void)port->write(bytes);
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "drivers/console/abi.hpp"
#include "drivers/console/port.hpp"
#include "libvirtio/device.hpp"

namespace virtio {

struct ConsoleCounters {
    std::uint64_t control_messages = 0; // from the device
    std::uint64_t bad_control = 0;      // of those: unknown, too short, a port that cannot be, in the wrong state
    std::uint64_t ports_refused = 0;    // announced, but too many or no memory
    std::uint64_t recoveries = 0;
};

class ConsoleDevice {
public:
    static constexpr unsigned kMaximumPorts = 31;             // 64 queues
    static constexpr std::uint64_t kSettleNs = 5'000'000'000; // for a host that is short of time

    struct Options {
        std::uint32_t maximum_ports = kMaximumPorts;
        std::uint16_t queue_size = 64;
        bool multiport = true;
        ConsoleObserver* observer = nullptr;
    };

    constexpr ConsoleDevice() noexcept = default;
    ConsoleDevice(const ConsoleDevice&) = delete;
    ConsoleDevice& operator=(const ConsoleDevice&) = delete;

    /// The whole negotiation. The ports come later, by poll(). Errors: Device's, out_of_memory; device().refusal() says which bit.
    Result<> start(Platform& platform, Transport& transport, const Options& options) noexcept;
    Result<> start(Platform& platform, Transport& transport) noexcept { return start(platform, transport, Options{}); }
    void on_interrupt(std::uint16_t vector = 0) noexcept { device_.on_interrupt(vector); }
    /// The owner's service: control messages, input, finished output, size. Bounded; returns how many buffers it handled.
    unsigned poll() noexcept;
    /// Between start() and the owner's service: polls until settled(), for kSettleNs at most; returns settled(). The ports that the device
    /// had at the start are then known, unless it is one that leaves messages unanswered.
    bool settle() noexcept;
    /// Ends everything with `closed`; ports are gone. Errors: reset_timeout (the memory is then never used again).
    Result<> stop() noexcept;
    /// The device has gone, or is about to: stop(), and the transport is forgotten and may be destroyed; start() takes the next one.
    Result<> remove() noexcept;
    /// Reset and start again, after a moment for output that is still moving: what is in flight then is lost and counted, the device
    /// announces its ports anew, those that were open are opened again.
    Result<> recover() noexcept;
    /// A queue is broken, or a port's buffers cannot come back otherwise.
    [[nodiscard]] bool needs_recovery() const noexcept { return needs_recovery_; }

    /// Writes without rings, memory or waiting, in any state from begin() on, even in a panic. Nothing happens on a device without
    /// EMERG_WRITE. (VIRTIO 1.4, 5.3.4)
    void emergency_write(const char* text, std::size_t size) noexcept;
    [[nodiscard]] bool has_emergency_write() const noexcept { return emergency_; }

    /// The announced port of that name, or null.
    [[nodiscard]] ConsolePort* find(std::string_view name) noexcept;
    /// The first announced console port, or null.
    [[nodiscard]] ConsolePort* console() noexcept;
    /// All port objects; look at present().
    [[nodiscard]] std::span<ConsolePort> ports() noexcept { return {ports_.data(), port_limit_}; }

    [[nodiscard]] Device& device() noexcept { return device_; }
    [[nodiscard]] const ConsoleCounters& counters() const noexcept { return counters_; }
    /// Nothing of ours waits for the device's control queue: the ports that it had at the start have been announced.
    [[nodiscard]] bool settled() const noexcept;
    [[nodiscard]] bool multiport() const noexcept { return multiport_; }
    [[nodiscard]] static std::span<const FeatureName> feature_names() noexcept { return kConsoleFeatureNames; }

private:
    friend class ConsolePort;
    static constexpr unsigned kControlReceive = 64;
    static constexpr unsigned kControlBytes = 256; // a message and a name
    static constexpr unsigned kControlTransmit = 16;
    static constexpr unsigned kPasses = 4;
    static constexpr std::uint64_t kQuiesceNs = 50'000'000;

    struct ControlSlot : Request {
        ConsoleDevice* owner = nullptr;
        bool ready = false; // carries PORT_READY, which the device answers with up to three messages
    };

    [[nodiscard]] Result<> start_queues() noexcept;
    [[nodiscard]] Result<> start_control() noexcept;
    [[nodiscard]] Result<> run() noexcept;
    void quiesce() noexcept;
    void end() noexcept;
    [[nodiscard]] bool service_control() noexcept; // true: look again
    void look_again(std::uint32_t bits) noexcept;  // tells whoever serves the device, from any task
    void catch_up() noexcept;                      // input was taken: the messages that went before it
    void handle(const std::byte* data, std::uint32_t length) noexcept;
    void handle_port(ConsolePort& port, ConsoleEvent event, std::uint16_t value, const std::byte* data, std::uint32_t length) noexcept;
    void add_port(ConsolePort& port) noexcept;
    void bad_control() noexcept { ++counters_.bad_control; }
    static void control_received(Request& request) noexcept;
    static void control_sent(Request& request) noexcept;
    [[nodiscard]] bool lend_control(unsigned index) noexcept;
    void send_readies() noexcept;
    void pump_control() noexcept;
    [[nodiscard]] bool send_control(std::uint32_t id, ConsoleEvent event, std::uint16_t value) noexcept;
    void ask_ready(ConsolePort& port, bool accepted) noexcept;
    void ask_open(ConsolePort& port) noexcept;
    void read_size() noexcept;
    void request_recovery(const char* why) noexcept;

    Device device_;
    Options options_;
    Platform* platform_ = nullptr;
    Transport* transport_ = nullptr;
    ConsoleCounters counters_;
    std::uint32_t port_limit_ = 0;   // ports that we serve
    std::uint32_t device_ports_ = 0; // ports that the device may announce
    // Answers that wait for a control slot, one bit per port: a flood of requests cannot queue more than this.
    std::uint32_t ready_wanted_ = 0;
    std::uint32_t ready_accepted_ = 0;
    std::uint32_t open_wanted_ = 0;
    std::uint32_t refused_id_ = 0;
    unsigned readies_in_flight_ = 0;
    unsigned control_lent_ = 0;
    unsigned handled_ = 0;
    bool refuse_wanted_ = false;
    bool device_ready_wanted_ = false;
    bool multiport_ = false;
    bool emergency_ = false;
    bool needs_recovery_ = false;
    bool control_armed_ = false;
    bool in_control_ = false;        // among control messages
    std::uint16_t control_free_ = 0; // bit per control transmit slot
    DmaMemory control_receive_memory_;
    DmaMemory control_transmit_memory_;
    DmaDomain* domain_ = nullptr;
    std::array<ControlSlot, kControlReceive> control_receive_slots_{};
    std::array<ControlSlot, kControlTransmit> control_transmit_slots_{};
    Virtqueue control_receive_;
    Virtqueue control_transmit_;
    std::array<ConsolePort, kMaximumPorts> ports_{};
};

} // namespace virtio
