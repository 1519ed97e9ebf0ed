// One port of a console device: a byte stream each way. Owned by its ConsoleDevice, lives as long as it, whether the device
// announces the port or not (present()). Task context; one processor; calls do not overlap.
//
//     if (ConsolePort* port = console.find("org.example.log")) {
//         port->open();                                         // tell the host that somebody listens
//         auto sent = port->write(bytes, deadline_ns);          // waits for room; closed: nobody is there
//         auto got = port->read(buffer, deadline_ns);           // at least one byte, or timeout
//     }
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "drivers/console/abi.hpp"
#include "libvirtio/device.hpp"

namespace virtio {

class ConsoleDevice;
class ConsolePort;

/// What happened to a port; told to the observer from poll(), from a write that finds finished buffers, and from a read that finds input and
/// with it the messages that went before.
enum class ConsoleChange : std::uint8_t { added, removed, named, became_console, host_opened, host_closed, readable, room, resized };

/// Somebody who follows all ports of a device. Both functions run in task context and must not destroy the device.
struct ConsoleObserver {
    /// May read, write, open and close ports; must not wait.
    void (*changed)(ConsoleObserver& observer, ConsolePort& port, ConsoleChange change) noexcept = nullptr;
    /// How read(), write() and drain() wait where another task calls poll(): until something changed on `port`, or `deadline_ns`.
    /// Null: they poll the device themselves, sleep on its event, and recover it when it needs that.
    void (*wait)(ConsoleObserver& observer, ConsolePort& port, std::uint64_t deadline_ns) noexcept = nullptr;
};

struct ConsoleSize {
    std::uint16_t columns = 0; // 0: unknown
    std::uint16_t rows = 0;
};

/// Bytes, as the port's user counts them.
struct ConsolePortCounters {
    std::uint64_t received = 0;
    std::uint64_t sent = 0;        // handed to the device
    std::uint64_t dropped = 0;     // accepted, but the host side closed, the port went or the device was reset
    std::uint64_t bad_lengths = 0; // input buffers whose length was a lie: thrown away
};

/// A large write that the device reads from the caller's memory, without a copy. Its memory belongs to the device until
/// finished(). Used through ConsolePort::write(); public for owners who do not wait.
struct ConsoleWrite : Request {
    static constexpr unsigned kParts = 16;

    [[nodiscard]] bool finished() const noexcept { return port == nullptr; }

    ConsolePort* port = nullptr; // null: not in use
    const std::byte* next = nullptr;
    std::size_t rest = 0;
    std::size_t sent = 0;
    std::uint32_t epoch = 0; // the connection that it is for
    std::array<DmaMapping, kParts> parts{};
    unsigned part_count = 0;
};

class ConsolePort {
public:
    static constexpr std::uint64_t kForever = std::numeric_limits<std::uint64_t>::max();
    static constexpr unsigned kReceiveSlots = 16;
    static constexpr unsigned kReceiveBytes = 1024;
    static constexpr unsigned kTransmitSlots = 8;
    static constexpr unsigned kTransmitBytes = 4096;
    static constexpr unsigned kNameBytes = 64;
    /// From so many bytes on, a write without a deadline is done without a copy.
    static constexpr std::size_t kLargeWrite = std::size_t{2} * kTransmitBytes;

    constexpr ConsolePort() noexcept = default;
    ConsolePort(const ConsolePort&) = delete;
    ConsolePort& operator=(const ConsolePort&) = delete;

    // --- what it is ---

    [[nodiscard]] std::uint32_t id() const noexcept { return id_; }
    [[nodiscard]] bool present() const noexcept { return present_; }
    [[nodiscard]] bool is_console() const noexcept { return console_; }
    /// As the device named it, unprintable bytes replaced; empty: no name.
    [[nodiscard]] std::string_view name() const noexcept { return {name_.data(), name_length_}; }
    /// Whether somebody has the host's side open. Without MULTIPORT always.
    [[nodiscard]] bool host_open() const noexcept { return present_ && host_open_; }
    [[nodiscard]] ConsoleSize size() const noexcept { return size_; }
    [[nodiscard]] bool opened() const noexcept { return guest_open_; }
    [[nodiscard]] const ConsolePortCounters& counters() const noexcept { return counters_; }

    // --- opening ---

    /// Tells the host that this side is open: input is sent only then. Errors: device_gone.
    Result<> open() noexcept;
    void close() noexcept;

    // --- input ---

    /// Takes what has come, at most `into.size()` bytes; 0: nothing. Never waits.
    [[nodiscard]] std::size_t take(std::span<std::byte> into) noexcept;
    /// Waits for at least one byte. Errors: timeout, device_gone (the port was removed), closed (this side is not open, or the
    /// host's side is closed and everything has been read).
    [[nodiscard]] Result<std::size_t> read(std::span<std::byte> into, std::uint64_t deadline_ns = kForever) noexcept;
    [[nodiscard]] bool readable() const noexcept { return filled_count_ != 0; }

    // --- output ---

    /// Accepts what there is room for, at most all; 0: full. Never waits. Errors: closed, device_gone.
    [[nodiscard]] Result<std::size_t> put(std::span<const std::byte> from) noexcept;
    /// Accepts all, waiting for room until `deadline_ns`; returns how much was accepted, which is less only if the deadline passed
    /// or the host side closed meanwhile, even if it is open again. Errors, if nothing was: timeout, closed, device_gone.
    [[nodiscard]] Result<std::size_t> write(std::span<const std::byte> from, std::uint64_t deadline_ns = kForever) noexcept;
    /// Waits until the device has everything. Errors: timeout, closed, device_gone.
    Result<> drain(std::uint64_t deadline_ns) noexcept;
    /// The last words of a machine: behind what was said before, and the device has it all when this returns. (QEMU throws away what comes by
    /// ConsoleDevice::emergency_write() while its host side is full.) Owner's context, interrupts or not; the observer is told nothing any
    /// more. False: not everything within `patience_ns`, or nobody listens.
    [[nodiscard]] bool emergency_put(std::string_view text, std::uint64_t patience_ns) noexcept;
    [[nodiscard]] bool writable() const noexcept;
    /// Lends the caller's memory: see ConsoleWrite. One at a time. Errors: busy, closed, device_gone, ring_full, empty_request,
    /// dma_map_failed.
    [[nodiscard]] Result<> begin(ConsoleWrite& write, std::span<const std::byte> from) noexcept;

    [[nodiscard]] const Virtqueue& receive_queue() const noexcept { return receive_; }
    [[nodiscard]] const Virtqueue& transmit_queue() const noexcept { return transmit_; }

private:
    friend class ConsoleDevice;
    static constexpr std::uint8_t kNoSlot = 0xff;
    static constexpr std::uint64_t kReturnNs = 200'000'000; // how long a closed port may keep our memory

    struct Slot : Request {
        ConsolePort* port = nullptr;
        std::uint32_t epoch = 0; // transmit: host_epoch_ when it was lent
        std::uint32_t bytes = 0; // transmit
    };

    // For ConsoleDevice.
    void attach(ConsoleDevice& owner, std::uint32_t id) noexcept;
    [[nodiscard]] Result<> prepare() noexcept; // memory, and input buffers lent
    [[nodiscard]] bool service() noexcept;     // true: look again
    [[nodiscard]] bool collect() noexcept;     // input; true: more came meanwhile
    void set_host_open(bool open) noexcept;
    void set_name(std::span<const std::byte> bytes) noexcept;
    void remove() noexcept;
    [[nodiscard]] bool has_leftovers() noexcept; // output of a port of this number that is gone
    void forget() noexcept;                      // after a reset: memory is given back, the device's knowledge is gone
    void tell(ConsoleChange change) noexcept;

    static void received(Request& request) noexcept;
    static void transmitted(Request& request) noexcept;
    static void large_transmitted(Request& request) noexcept;
    [[nodiscard]] unsigned index_of(const Slot& slot, const Slot* slots) const noexcept { return static_cast<unsigned>(&slot - slots); }
    [[nodiscard]] bool lend_receive(unsigned index) noexcept;
    void lend_open_slot() noexcept;
    void discard_open_slot() noexcept;
    void begin_epoch() noexcept {
        ++host_epoch_;
        under_way_ = 0;
    }
    void reclaim() noexcept;
    void flush() noexcept; // kicks, arms, and takes what was finished meanwhile
    [[nodiscard]] bool arm_transmit() noexcept;
    [[nodiscard]] Result<> check() const noexcept;
    void submit_large() noexcept;
    void continue_large() noexcept;
    void end_large(Error error) noexcept;
    [[nodiscard]] Result<std::size_t> write_large(std::span<const std::byte> from) noexcept;
    void wait(std::uint64_t deadline_ns) noexcept;
    /// The device has all that was accepted.
    [[nodiscard]] bool idle() const noexcept { return under_way_ == 0 && large_ == nullptr && fill_ == 0; }
    [[nodiscard]] bool stuck() const noexcept;
    void free_memory(DmaMemory& memory, std::span<const Slot> slots) noexcept;

    ConsoleDevice* owner_ = nullptr;
    ConsoleWrite* large_ = nullptr;
    DmaDomain* domain_ = nullptr;
    DmaMemory receive_memory_;
    DmaMemory transmit_memory_;
    ConsoleWrite own_write_; // write() without a deadline
    std::uint64_t stuck_since_ = 0;
    ConsolePortCounters counters_;
    std::uint32_t id_ = 0;
    std::uint32_t host_epoch_ = 0;  // grows when the host closes: buffers of an older one may never come back
    std::uint32_t under_way_ = 0;   // transmit slots lent in this epoch: only these can be counted on to come back
    std::uint32_t incarnation_ = 0; // grows when the port goes
    std::uint32_t lost_ = 0;        // buffers that never came back from connections and ports before
    std::uint32_t fill_ = 0;        // bytes in the open transmit slot
    std::uint32_t read_offset_ = 0;
    std::uint16_t free_slots_ = 0; // bit per transmit slot
    ConsoleSize size_;
    std::uint8_t open_slot_ = kNoSlot;
    std::uint8_t filled_first_ = 0;
    std::uint8_t filled_count_ = 0;
    std::uint8_t name_length_ = 0;
    bool present_ = false;
    bool console_ = false;
    bool host_open_ = false;
    bool closing_ = false; // the host's side is closing just now
    bool guest_open_ = false;
    bool receive_armed_ = false;
    bool transmit_armed_ = false;
    bool room_wanted_ = false;
    bool large_stalled_ = false;
    std::array<std::uint8_t, kReceiveSlots> filled_{}; // received and not yet read, in order
    std::array<char, kNameBytes> name_{};
    std::array<Slot, kReceiveSlots> receive_slots_{};
    std::array<Slot, kTransmitSlots> transmit_slots_{};
    Virtqueue receive_;
    Virtqueue transmit_;
};

} // namespace virtio
