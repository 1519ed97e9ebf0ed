// A virtio device for unit tests: registers, configuration, split and packed rings, written from the specification and sharing no
// code with the library's ring engines. It really walks the rings in memory, keeps a list of every rule that it saw broken, obeys or
// ignores the driver's suppression, and lies when told to. Single-threaded; device addresses are host pointers.
//
//     fake::HostPlatform platform;
//     fake::FakeDevice device{{.type = 2, .features = FeatureSet::of(RingFeature::version_1), .queue_sizes = {128}}};
//     driver.start(platform, device);
//     device.on_notify = [&](unsigned queue) { while (auto chain = device.take(queue)) device.use(queue, *chain, 0); };
//     CHECK(device.violations.empty());
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "libvirtio/feature.hpp"
#include "libvirtio/platform.hpp"
#include "libvirtio/transport.hpp"
#include "tests/unit/support/incoherent_domain.hpp"

namespace fake {

/// Memory from malloc (so that AddressSanitizer sees every byte), a clock that moves only when it is told to or when somebody
/// waits, and allocation failure on demand.
class HostPlatform final : public virtio::Platform {
public:
    HostPlatform() = default;
    ~HostPlatform();

    void* dma_allocate(std::size_t bytes, std::size_t alignment) noexcept override;
    void dma_free(void* memory, std::size_t bytes) noexcept override;
    virtio::DmaAddress dma_address(const void* memory) noexcept override { return {reinterpret_cast<std::uintptr_t>(memory)}; }
    std::size_t dma_contiguous(const void* memory, std::size_t bytes) noexcept override;
    virtio::Result<virtio::DmaDomain*> dma_domain(const virtio::DeviceIdentity& device, bool translated) noexcept override;
    std::uint64_t now_ns() noexcept override {
        if (on_look) on_look();
        return clock_ns += tick_ns;
    }
    void wait(const virtio::Event& event, std::uint64_t deadline_ns) noexcept override;
    void wake() noexcept override { ++wakes; }
    void log(virtio::LogLevel level, const char* text) noexcept override;

    std::uint64_t clock_ns = 1'000'000;
    std::uint64_t tick_ns = 100;             // every look at the clock takes this long
    long allocations_until_failure = -1;     // the allocation that counts this down to 0 fails, and all after it
    std::size_t contiguous_limit = SIZE_MAX; // memory is contiguous for the device only up to multiples of this
    unsigned wakes = 0;
    unsigned waits = 0;
    std::function<void()> on_wait; // the outside world moves while the driver sleeps
    std::function<void()> on_look; // and while it looks at the clock
    std::vector<std::string> log_lines;
    std::map<void*, std::size_t> live; // allocations not yet freed
    Firewall firewall;                 // what is lent to devices
    /// Whether a device sees a caller's memory itself, not a copy of it.
    [[nodiscard]] bool in_place() const { return domain_.in_place(); }

private:
    WatchedDomain domain_{*this, firewall};
};

struct Part {
    std::byte* data = nullptr;
    std::uint32_t length = 0;
};

/// One chain that the driver made available.
struct Chain {
    std::uint16_t head = 0;
    std::vector<Part> readable;
    std::vector<Part> writable;

    [[nodiscard]] std::size_t readable_bytes() const;
    [[nodiscard]] std::size_t writable_bytes() const;
    /// Copies out of the readable parts; into the writable parts. Return how many bytes.
    std::size_t read(std::size_t offset, void* out, std::size_t bytes) const;
    std::size_t write(std::size_t offset, const void* data, std::size_t bytes) const;
};

/// A place in a packed ring, with the wrap counter of its lap.
struct PackedCursor {
    unsigned slot = 0;
    bool wrap = true;
    void advance(std::uint16_t size, unsigned slots = 1);
};

class FakeDevice : public virtio::Transport {
public:
    struct Options {
        std::uint32_t type = 0;
        virtio::FeatureSet features{}; // offered; VERSION_1 is not added by itself. RING_PACKED is, by packed_by_default()
        std::vector<std::uint8_t> config{};
        std::vector<std::uint16_t> queue_sizes{};               // maximum per queue; 0: no such queue
        std::uint16_t messages = 8;                             // message interrupts granted at most; 0: none
        bool line = true;                                       // a line interrupt is there
        virtio::QueueLayout layout = virtio::QueueLayout::free; // another one: a legacy device
    };
    explicit FakeDevice(Options options);

    // --- the device's behaviour ---

    std::function<void(unsigned queue)> on_notify; // called by each kick
    std::function<void(std::uint8_t status)> on_status;
    std::function<void()> on_config_read;
    std::function<void(std::size_t offset, unsigned width, std::uint32_t value)> on_config_write; // after the bytes have changed
    std::function<bool(const virtio::FeatureSet& chosen)> agrees;                                 // otherwise FEATURES_OK does not stick
    bool refuse_features = false;                                                                 // FEATURES_OK does not stick
    std::uint64_t reset_reads = 0;                   // status reads that still show the old value after a reset
    bool queue_reset_hangs = false;                  // a queue's reset is never confirmed
    virtio::FeatureSet cannot{};                     // what this transport cannot serve
    bool gone = false;                               // vanished: every register reads all ones
    bool ignore_no_interrupt = false;                // interrupts although the available ring's flags ask for none
    bool ignore_suppression = false;                 // interrupts although the driver asked for none
    bool drop_interrupts = false;                    // never interrupts
    std::uint16_t refuse_vector = virtio::kNoVector; // reads back "no vector" for this one
    bool generation_always_changes = false;
    const Firewall* firewall = nullptr; // what the device is pointed at must be lent to it: a violation otherwise

    // --- the device's side of the rings ---

    /// The next available chain of a queue, walked and checked; nullopt when there is none.
    [[nodiscard]] std::optional<Chain> take(unsigned queue);
    /// Puts a chain on the used ring and interrupts if the driver wants to know. In a packed ring with IN_ORDER, all chains taken
    /// before it are used with it.
    void use(unsigned queue, const Chain& chain, std::uint32_t written) { use(queue, chain.head, written); }
    void use(unsigned queue, std::uint32_t id, std::uint32_t written);
    /// Several at once: one index update, one interrupt.
    void use_batch(unsigned queue, const std::vector<std::pair<std::uint32_t, std::uint32_t>>& elements);
    /// Asks for a kick (or not): flags or avail_event as negotiated.
    void want_kicks(unsigned queue, bool wanted);
    [[nodiscard]] unsigned available(unsigned queue) const; // chains made available and not yet taken

    // --- lies ---

    void poke_used_index(unsigned queue, std::uint16_t index); // packed: uses a buffer id that was never lent
    [[nodiscard]] std::uint16_t used_index(unsigned queue) const;
    void scribble_descriptors(unsigned queue, std::uint8_t pattern); // what the driver must never read back
    void interrupt_queue(unsigned queue);                            // spurious, or late
    void raise_reason(std::uint32_t reason) { isr_ |= reason; }      // without an interrupt
    void config_changed();                                           // bumps the generation and interrupts
    void needs_reset();                                              // DEVICE_NEEDS_RESET, announced as a configuration change

    // --- what was seen ---

    struct Queue {
        std::uint16_t maximum = 0, size = 0, vector = virtio::kNoVector;
        bool enabled = false;
        std::byte *descriptors = nullptr, *driver = nullptr, *device = nullptr;
        std::uint16_t next_available = 0, used = 0, interrupted_at = 0;
        unsigned kicks = 0, interrupts = 0;
        bool kicks_wanted = true;
        bool was_reset = false; // by itself: it may be set up again on a running device
        std::uint32_t last_notification = 0;
        // Packed rings:
        bool packed = false;
        PackedCursor next, used_at;          // where the next available descriptor is read, the next used one written
        unsigned used_slots = 0;             // ever
        std::vector<std::uint16_t> slots_of; // by buffer id; 0: not in flight
        std::vector<std::uint16_t> order;    // buffer ids taken and not used, the oldest first
        bool lied = false;                   // used what it had not taken: what it finds from here on is nobody's fault
        bool wrecked = false;                // it cannot find its way any more
    };
    std::vector<Queue> queues;
    std::vector<std::uint8_t> config;
    std::vector<std::uint8_t> status_writes;
    std::vector<std::string> violations; // rules of the specification that the driver broke
    virtio::FeatureSet offered, accepted;
    std::uint32_t generation = 0;
    unsigned config_reads = 0;
    unsigned resets = 0;

    // --- Transport ---

    virtio::Result<virtio::DeviceIdentity> identity() noexcept override;
    const char* name() const noexcept override { return "fake"; }
    virtio::Result<std::uint8_t> status() noexcept override;
    virtio::Result<> set_status(std::uint8_t value) noexcept override;
    virtio::FeatureSet unsupported() const noexcept override { return cannot; }
    unsigned feature_words() const noexcept override { return legacy() ? 1 : 4; }
    virtio::QueueLayout queue_layout() const noexcept override { return layout_; }
    virtio::Result<std::uint32_t> device_features(unsigned word) noexcept override;
    virtio::Result<> set_driver_features(unsigned word, std::uint32_t value) noexcept override;
    std::size_t config_size() const noexcept override { return config.size(); }
    virtio::Result<std::uint32_t> read_config(std::size_t offset, unsigned width) noexcept override;
    virtio::Result<> write_config(std::size_t offset, unsigned width, std::uint32_t value) noexcept override;
    virtio::Result<std::uint32_t> config_generation() noexcept override;
    virtio::Result<std::uint32_t> queue_maximum(std::uint16_t index) noexcept override;
    virtio::Result<virtio::QueueGrant> queue_enable(std::uint16_t index, const virtio::QueueSetup& setup) noexcept override;
    virtio::Result<> queue_reset(std::uint16_t index, std::uint64_t deadline_ns) noexcept override;
    virtio::Result<std::uint16_t> connect_messages(std::uint16_t wanted, const virtio::InterruptTarget& target) noexcept override;
    virtio::Result<std::uint16_t> set_config_vector(std::uint16_t vector) noexcept override;
    virtio::Result<> connect_line(const virtio::InterruptTarget& target) noexcept override;
    void disconnect_interrupts() noexcept override;
    virtio::InterruptStatus interrupt_status() const noexcept override;
    bool cut_off() noexcept override { return can_cut_off; }
    bool can_cut_off = false;

private:
    struct Bell {
        FakeDevice* device;
        unsigned queue;
    };
    void violation(const std::string& what) { violations.push_back(what); }
    [[nodiscard]] unsigned packed_available(const Queue& queue) const;
    void packed_part(Chain& chain, const std::byte* descriptor);
    void packed_take(Queue& queue, Chain& chain);
    void packed_use(Queue& queue, std::uint32_t id, std::uint32_t written);
    void packed_interrupt_if_wanted(Queue& queue, unsigned slots);
    void packed_want_kicks(Queue& queue, bool wanted);
    void packed_scribble(Queue& queue, std::uint8_t pattern);
    void inspect(const Chain& chain);
    void inspect(const std::byte* data, std::size_t bytes, Firewall::Access access, const char* what);
    void interrupt_if_wanted(Queue& queue, std::uint16_t old_index);
    void raise(Queue& queue);
    void notified(unsigned queue, std::uint32_t value);
    void walk(Queue& queue, Chain& chain, std::uint64_t table, std::uint32_t entries, std::uint32_t index, bool indirect);

    std::uint32_t type_;
    std::uint16_t messages_;
    bool line_;
    virtio::QueueLayout layout_;
    std::uint8_t status_ = 0;
    std::uint8_t old_status_ = 0;
    std::uint64_t reset_reads_left_ = 0;
    std::uint16_t config_vector_ = virtio::kNoVector;
    std::uint16_t granted_ = 0;
    bool line_connected_ = false;
    mutable std::uint32_t isr_ = 0;
    virtio::InterruptTarget target_;
    std::vector<Bell> bells_;
};

/// Whether every FakeDevice that offers VERSION_1 offers RING_PACKED too: set by the environment (RINGSIDE_FAKE_RING=packed), so
/// that one suite runs over either kind of ring.
[[nodiscard]] bool packed_by_default();

} // namespace fake
