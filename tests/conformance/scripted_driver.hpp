// A small driver for split and packed rings, written by hand from VIRTIO 1.4 and independent of libvirtio, that can break one rule at
// a time. The negative twins of the clause tests use it: what it breaks, and nothing else, is what the referee must report.
// Without a fault it keeps every rule, which is tested too. Single-threaded; `look` is called between its stores, so that the
// device's side sees every state in between.
//
//     auto driver = scripted::make({.packed = true, .size = 16, .fault = Fault::flags_before_rest}, memory, notify, look);
//     ... tell the device driver->descriptor_area(), driver_area(), device_area() ...
//     driver->add(readable, writable, scripted::Shape::direct);
//     driver->publish();
//     driver->kick();
//     driver->reap();
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace scripted {

/// What it does wrong, from misbehave() on; what concerns the set-up of the ring, from the beginning.
enum class Fault : std::uint8_t {
    none,
    // set-up
    misaligned,       // ring areas at addresses that their alignment forbids
    dirty_ring,       // the ring does not start empty
    dirty_used_flags, // split: used.flags is not 0 when the queue is handed over
    // both kinds of ring
    writable_first,          // device-writable parts before device-readable ones
    splinters,               // one descriptor for each few bytes
    indirect_unnegotiated,   // an indirect table without INDIRECT_DESC
    odd_table,               // a table's length is no multiple of 16
    too_long,                // no check of a list's or table's length against the queue's size and the device's limit
    offered_twice,           // a buffer in flight is offered again
    rewrites,                // changes a descriptor that the device has not used
    interrupt_is_completion, // takes the oldest buffer back at each look, used or not
    batch_oldest_only,       // IN_ORDER: takes a used entry for one buffer, whatever it names
    length_ignored,          // hands up all that was lent, whatever the used length says
    kick_always,             // whatever the device asked for
    kick_never,              // likewise
    wrong_queue,             // notifications name another queue
    wrong_position,          // NOTIFICATION_DATA: next_off is one short
    wrong_wrap,              // NOTIFICATION_DATA: next_wrap is inverted
    // split
    huge_lengths,             // more than 2^32 bytes in one chain
    loop,                     // the last descriptor leads back to the first
    next_swapped,             // IN_ORDER, but two descriptors of a chain have changed places
    starts_elsewhere,         // IN_ORDER, but a descriptor of the table is left out
    nested_table,             // INDIRECT inside an indirect table
    indirect_and_next,        // both flags in one descriptor
    table_out_of_order,       // IN_ORDER, but next fields of a table jump about
    entry_beyond_queue,       // an available entry names no descriptor
    index_back,               // takes an available entry back
    index_jump,               // avail.idx runs ahead of the entries
    undefined_flags,          // avail.flags holds 2
    flags_despite_event,      // avail.flags holds 1 with EVENT_IDX
    obey_event_unasked,       // goes by avail_event without EVENT_IDX
    obey_flags_despite_event, // goes by used.flags with EVENT_IDX
    event_last_only,          // compares avail_event with the last entry of a batch only
    // packed
    wrap_stuck,           // flags as in the ring's first round for ever
    used_bit_not_inverse, // USED set like AVAIL in later descriptors of a list
    flags_before_rest,    // the first descriptor's flags before the others are written
    partial_list,         // a list of which a part waits until the device has used others
    no_room_check,        // writes a list over slots that the device has not used
    endless_list,         // NEXT in every descriptor of the ring
    flags_in_table,       // flags other than WRITE in a table
    indirect_in_list,     // a list of which one element is a table
    skip_one,             // looks for the next used descriptor one slot on, however long the list was
    event_reserved_bits,  // reserved bits of the event flags
    event_unnegotiated,   // asks for a specific descriptor without EVENT_IDX
    event_beyond_ring,    // asks for a descriptor that the ring does not have
    event_last_slot_only, // compares the device's event with the last descriptor of a batch only
};

enum class Shape : std::uint8_t { direct, indirect };

struct Options {
    bool packed = false;
    bool indirect = false;          // negotiated
    bool event_index = false;       // negotiated
    bool in_order = false;          // negotiated
    bool notification_data = false; // negotiated
    std::uint16_t size = 16;
    std::uint16_t queue = 0;       // its index, for notifications
    std::uint16_t longest = 0;     // packed: descriptors in a list, as the device allows; 0: the queue's size
    std::uint16_t first_index = 0; // split: where the indices start, for tests of the 65,536 wrap
    Fault fault = Fault::none;
};

/// Memory that driver and device both see.
struct Memory {
    std::byte* data = nullptr;
    std::uint64_t address = 0; // of the first byte, for the device
};

struct Part {
    std::uint64_t address = 0;
    std::uint32_t length = 0;
};

/// A buffer that came back.
struct Done {
    unsigned tag = 0;
    std::uint32_t length = 0;
};

class Driver {
public:
    virtual ~Driver() = default;

    [[nodiscard]] std::uint64_t descriptor_area() const { return memory_.address + descriptors_; }
    [[nodiscard]] std::uint64_t driver_area() const { return memory_.address + driver_; }
    [[nodiscard]] std::uint64_t device_area() const { return memory_.address + device_; }
    /// Bytes of its memory that it uses, for any size and fault.
    [[nodiscard]] static std::size_t footprint(std::uint16_t size) { return 4096 + std::size_t{size} * (64 + 16 * (size + 2u)); }

    /// Puts a buffer into the ring; false when there is no room. `tag` comes back with it.
    virtual bool add(std::span<const Part> readable, std::span<const Part> writable, Shape shape, unsigned tag) = 0;
    /// Makes everything added so far visible.
    virtual void publish() = 0;
    /// Notifies the device if it asked for that.
    void kick();
    /// Takes every used buffer.
    virtual std::vector<Done> reap() = 0;
    virtual void suppress() = 0;
    /// Asks for a notification; true when there is something to reap already.
    virtual bool arm() = 0;
    /// From here on with its fault.
    void misbehave() { misbehaves_ = true; }
    /// Changes a descriptor of the newest buffer in flight, with Fault::rewrites.
    virtual void rewrite() = 0;
    /// Notifies without being asked.
    void notify() { notify_(notification()); }
    [[nodiscard]] unsigned in_flight() const { return in_flight_; }

protected:
    Driver(const Options& options, Memory memory, std::function<void(std::uint32_t)> notify, std::function<void()> look)
        : options_(options), memory_(memory), notify_(std::move(notify)), look_(std::move(look)) {}

    [[nodiscard]] bool is(Fault fault) const { return misbehaves_ && options_.fault == fault; }
    [[nodiscard]] bool starts_with(Fault fault) const { return options_.fault == fault; }
    [[nodiscard]] virtual bool wants_kick() = 0;
    /// The next position, as a notification carries it.
    [[nodiscard]] virtual std::uint16_t position() const = 0;
    [[nodiscard]] std::uint32_t notification() const;

    template<class T> void store(std::size_t at, T value) { __builtin_memcpy(memory_.data + at, &value, sizeof value); }
    template<class T> [[nodiscard]] T load(std::size_t at) const {
        T value;
        __builtin_memcpy(&value, memory_.data + at, sizeof value);
        return value;
    }
    /// A descriptor of either ring: address, length, then two 16-bit fields.
    void store_descriptor(std::size_t at, std::uint64_t address, std::uint32_t length, std::uint16_t third, std::uint16_t fourth) {
        store<std::uint64_t>(at, address);
        store<std::uint32_t>(at + 8, length);
        store<std::uint16_t>(at + 12, third);
        store<std::uint16_t>(at + 14, fourth);
    }

    Options options_;
    Memory memory_;
    std::function<void(std::uint32_t)> notify_;
    std::function<void()> look_;
    std::size_t descriptors_ = 0, driver_ = 0, device_ = 0, tables_ = 0; // offsets in memory_
    unsigned in_flight_ = 0;
    bool misbehaves_ = false;
};

[[nodiscard]] std::unique_ptr<Driver> make(const Options& options, Memory memory, std::function<void(std::uint32_t)> notify,
                                           std::function<void()> look);
[[nodiscard]] std::unique_ptr<Driver> make_split(const Options& options, Memory memory, std::function<void(std::uint32_t)> notify,
                                                 std::function<void()> look);
[[nodiscard]] std::unique_ptr<Driver> make_packed(const Options& options, Memory memory, std::function<void(std::uint32_t)> notify,
                                                  std::function<void()> look);

} // namespace scripted
