// The packed ring engine (VIRTIO 1.4, 2.8): one ring of descriptors that driver and device write in turn, and an event structure
// for each side, over memory that it is given. All truth is private: nothing of a descriptor is ever read back but what the device
// wrote into a used one, each word of it once. No lock, no allocation, no kick. Owned by a Virtqueue; one context at a time.
//
// What a buffer id is:
//  - a general ring has as many ids as slots. Each free slot has an id parked in it (Slot::next), which the request that begins there
//    takes; a completion parks its id in the slot in which it stands. A direct chain takes the ids of all its slots, lends the first
//    and keeps the others on the spare list. With IN_ORDER the id is the number of the slot in which the chain begins.
//  - with presets the first ids are theirs, the others stand on a free list, and general chains leave a slot for each preset.
//  - in a ring of fixed slots the owner chooses the id.
//
// A device that lies (an id never lent, flags without a request) breaks the ring: that is final until attach() is called again.
#pragma once

#include <cstdint>
#include <span>

#include <ringside/arch/barrier.hpp>

#include "libvirtio/base.hpp"
#include "libvirtio/memory.hpp"
#include "libvirtio/request.hpp"
#include "libvirtio/ring/abi.hpp"
#include "libvirtio/ring/ring.hpp"

namespace virtio {

class PackedRing {
public:
    using Slot = RingSlot;
    using Setup = RingSetup;
    using Taken = RingTaken;

    /// How many descriptors the indirect tables of such a ring have, and how many templates it needs (RingSetup::templates).
    [[nodiscard]] static constexpr std::size_t table_descriptors(const Setup& setup) noexcept {
        return std::size_t{setup.size} * setup.indirect_entries;
    }
    [[nodiscard]] static constexpr std::size_t template_count(const Setup& setup) noexcept {
        return setup.fixed ? setup.size : setup.presets;
    }

    /// `memory` and `tables` are zeroed; `tables` has table_descriptors() descriptors, or is null: then chains are direct and there
    /// are no presets. `first` is 0 but in tests of the wrap: how many slots the ring has gone through already.
    void attach(PackedMemory memory, std::span<Slot> slots, std::byte* tables, DmaAddress tables_address, const Setup& setup,
                std::uint16_t first = 0) noexcept;

    /// Adds a chain; the batch becomes visible to the device with publish(). Errors: empty_request, too_many_segments (can never
    /// fit), invalid_argument (a segment of 0 bytes, or 4 GiB in all), ring_full, queue_broken, request_in_flight.
    [[nodiscard]] [[gnu::always_inline]] Result<> add(std::span<const Segment> readable, std::span<const Segment> writable,
                                                      Request& request) noexcept {
        if (readable.size() + writable.size() == 1) [[likely]]
            return readable.empty() ? add_writable(writable.front(), request) : add_readable(readable.front(), request);
        return add_any(readable, writable, request);
    }
    /// The same for one segment, which is what most requests are.
    [[nodiscard]] Result<> add_readable(const Segment& segment, Request& request) noexcept { return add_one<false>(segment, request); }
    [[nodiscard]] Result<> add_writable(const Segment& segment, Request& request) noexcept { return add_one<true>(segment, request); }

    /// Writes the unchanging first (readable) and last (writable) part of preset slot `slot` into its indirect table.
    /// Errors: invalid_argument (no such slot).
    [[nodiscard]] Result<> preset(std::uint16_t slot, const Segment& first, const Segment& last) noexcept;
    /// Adds preset slot `slot` with `data` between: one table entry and one descriptor are written. There is always room for it.
    /// Errors: invalid_argument (no such slot, no data, 4 GiB), request_in_flight, queue_broken.
    [[nodiscard]] Result<> add_preset(std::uint16_t slot, const Segment& data, bool device_writes, Request& request) noexcept {
        return add_preset_quickly(slot, data, device_writes, request) ? Result<>{} : refuse_preset(slot, data, request);
    }
    /// The same; false: nothing was done, and add_preset() says why.
    [[nodiscard]] [[gnu::always_inline]] bool add_preset_quickly(std::uint16_t slot, const Segment& data, bool device_writes,
                                                                 Request& request) noexcept {
        if (slot >= presets_open_ && !mutant(62)) [[unlikely]]
            return false;
        Slot& its = slots_[slot];
        const RingTemplate& preset = templates_[slot];
        const std::uint32_t writable = preset.writable + (device_writes ? data.length : 0);
        if ((its.request != nullptr && !mutant(64)) || (data.length == 0 && !mutant(63)) ||
            (request.state == Request::State::in_flight && !mutant(65)) || (writable < preset.writable && !mutant(66))) [[unlikely]]
            return false;
        store_table_entry(tables_ + preset.length, 1,
                          PackedDescriptor{Le64{data.address.value}, Le32{data.length}, Le16{0},
                                           Le16{device_writes ? descriptor_flag::kWrite : std::uint16_t{0}}});
        its.request = &request;
        its.writable = writable + 1;
        request.state = Request::State::in_flight;
        if (in_order_) slot_at(next_).next = slot;
        put(preset.address, kPresetParts * sizeof(PackedDescriptor), slot, descriptor_flag::kIndirect);
        return true;
    }

    /// A ring of fixed slots: slot i is buffer id i (and indirect table i) for ever. Keeps the descriptor of a slot that is not in
    /// flight, in private memory, until it is set again; add_fixed() writes it to where the ring has come to.
    void fix_readable(std::uint16_t slot, const Segment& segment) noexcept { fix(slot, segment, 0, 0); }
    void fix_writable(std::uint16_t slot, const Segment& segment) noexcept { fix(slot, segment, segment.length, descriptor_flag::kWrite); }
    /// The same with several readable parts. Errors: too_many_segments (more than the table's entries), invalid_argument.
    [[nodiscard]] Result<> fix_table(std::uint16_t slot, std::span<const Segment> readable) noexcept;
    /// Adds a fixed slot as it was set. Errors: request_in_flight, queue_broken, invalid_argument (no such slot).
    [[nodiscard]] Result<> add_fixed(std::uint16_t slot, Request& request) noexcept {
        return add_fixed_quickly(slot, request) ? Result<>{} : refuse_fixed(slot);
    }
    /// The same; false: nothing was done, and add_fixed() says why.
    [[nodiscard]] [[gnu::always_inline]] bool add_fixed_quickly(std::uint16_t slot, Request& request) noexcept {
        if (slot >= fixed_ && !mutant(44)) [[unlikely]]
            return false;
        Slot& its = slots_[slot];
        if (its.request != nullptr && !mutant(45)) [[unlikely]]
            return false;
        const RingTemplate& fixed = templates_[slot];
        its.request = &request;
        its.writable = fixed.writable + 1;
        request.state = Request::State::in_flight;
        if (in_order_) [[unlikely]]
            slot_at(next_).next = slot;
        put(fixed.address, fixed.length, slot, fixed.flags);
        return true;
    }

    /// Makes everything added so far available: the flags of the batch's first descriptor, kept back until now, are stored with
    /// release, and with them all that follows can be seen. Returns whether there was anything.
    bool publish() noexcept {
        if (first_flags_ == 0) return false;
        arch::lend_barrier(ordering_);
        memory_.publish_flags(published_, first_flags_);
        first_flags_ = 0;
        const PackedPlace batch = next_ > published_ ? next_ - published_ : next_ - published_ + size_;
        const std::uint32_t unchecked = unchecked_ + batch.slot();
        unchecked_ = unchecked < size_ ? unchecked : size_; // as many as the event can tell apart
        published_ = next_;
        published_wrap_ = available_flags_;
        return true;
    }
    /// Whether the device wants a notification for what was published since the last call.
    [[nodiscard]] bool needs_kick() noexcept {
        arch::publish_barrier(ordering_);
        const std::uint32_t since = unchecked_;
        unchecked_ = 0;
        if (since == 0) return false;
        const PackedEvent event = memory_.load_device_event();
        const unsigned flags = event.flags.load() & packed_event::kFlags;
        if (flags == packed_event::kDisable) return false;
        if (flags != packed_event::kDescriptor || !event_index_) return true;
        // How many slots ago the event's descriptor was made available: 1 for the last one. An event that is still to come is 0 or
        // less, or further back than what was published since the last check.
        const std::uint16_t position = event.position.load();
        std::uint32_t ago = std::uint32_t{published_.slot()} - (position & ~packed_event::kWrap);
        const bool same_lap = ((position & packed_event::kWrap) != 0) == wrap_of(published_wrap_);
        if (!same_lap) ago += size_;
        return ago - 1 < since;
    }

    /// The next used buffer; its request carries the clamped length. One read of each shared word.
    [[nodiscard]] Taken take() noexcept {
        if (in_order_) return ids_ == Ids::parked ? take_in_order<Ids::parked>() : take_in_order<Ids::chosen>();
        return ids_ == Ids::chosen ? take_any_order<Ids::chosen>() : take_any_order<Ids::parked>();
    }
    /// Calls `each(request)` for up to `budget` used buffers, which may add() again; returns how many. What kind of ring it is is
    /// asked once, not for each.
    template<class Each> unsigned drain(unsigned budget, Each each) noexcept {
        if (in_order_)
            return ids_ == Ids::parked ? drain_by(budget, each, [this]() noexcept { return take_in_order<Ids::parked>(); })
                                       : drain_by(budget, each, [this]() noexcept { return take_in_order<Ids::chosen>(); });
        return ids_ == Ids::chosen ? drain_by(budget, each, [this]() noexcept { return take_any_order<Ids::chosen>(); })
                                   : drain_by(budget, each, [this]() noexcept { return take_any_order<Ids::parked>(); });
    }

    void suppress_interrupts() noexcept {
        if (!suppressed_) memory_.store_driver_event(0, packed_event::kDisable);
        suppressed_ = true;
    }
    /// Asks for an interrupt after `more` further completions (at least one; earlier where requests have several descriptors, since
    /// the event counts these), then looks again: true means that something was used meanwhile and poll must run again (trap: a
    /// queue that stops under load).
    [[nodiscard]] bool arm_interrupts(std::uint16_t more = 1) noexcept {
        if (event_index_) {
            const std::uint32_t most = size_; // further than one lap on, the position would mean another one
            const std::uint32_t ahead = more == 0 ? 0 : (more < most ? more : most) - 1u;
            PackedPlace place = used_ + ahead;
            const bool next_lap = place >= end_;
            if (next_lap) place = place - end_;
            const std::uint16_t wrap = wrap_of(used_flags_) != next_lap ? packed_event::kWrap : std::uint16_t{0};
            memory_.store_driver_event(static_cast<std::uint16_t>(place.slot() | wrap), packed_event::kDescriptor);
        } else if (suppressed_) {
            memory_.store_driver_event(0, packed_event::kEnable);
        }
        suppressed_ = false;
        arch::arm_barrier(ordering_);
        return pending();
    }
    [[nodiscard]] bool interrupts_suppressed() const noexcept { return suppressed_; }
    /// Whether the device has used something that take() has not seen. A look, without promise.
    [[nodiscard]] bool pending() const noexcept { return !broken() && (batch_last_ != kNone || used_here()); }

    /// From here on add() refuses: what a completion submits while its queue is taken back would be lost.
    void close() noexcept { end(RingFault::closed); }
    /// After a confirmed reset only: hands out each request in flight once, from buffer id `cursor` on. Null when none is left.
    [[nodiscard]] Request* reclaim(std::uint16_t& cursor) noexcept;

    [[nodiscard]] bool broken() const noexcept { return fault_ != RingFault::none; }
    [[nodiscard]] RingFault fault() const noexcept { return fault_; }
    [[nodiscard]] std::uint16_t size() const noexcept { return size_; }
    /// What general chains may take; in a ring of fixed slots, how many of them are not in flight.
    [[nodiscard]] std::uint16_t free_descriptors() const noexcept {
        return ids_ == Ids::listed ? general_free_ : static_cast<std::uint16_t>(size_ - lent());
    }
    [[nodiscard]] std::uint16_t in_flight() const noexcept { return static_cast<std::uint16_t>(lent() - without_request_); }
    [[nodiscard]] std::uint16_t preset_count() const noexcept { return presets_; }
    /// Entries of each indirect table; 0 where there are none (not negotiated, or no memory for them).
    [[nodiscard]] std::uint16_t indirect_entries() const noexcept { return indirect_entries_; }
    [[nodiscard]] bool preset_in_flight(std::uint16_t slot) const noexcept { return slots_[slot].request != nullptr; }
    [[nodiscard]] std::uint64_t lengths_clamped() const noexcept { return lengths_clamped_; }

    /// The next slot not yet made available to the device, in bit 15 its wrap counter: what a notification carries (2.9).
    [[nodiscard]] std::uint16_t position() const noexcept {
        return static_cast<std::uint16_t>(published_.slot() | (wrap_of(published_wrap_) ? packed_event::kWrap : 0));
    }
    /// The next used slot to be looked at, in bit 15 its wrap counter.
    [[nodiscard]] std::uint16_t used_position() const noexcept {
        return static_cast<std::uint16_t>(used_.slot() | (wrap_of(used_flags_) ? packed_event::kWrap : 0));
    }

private:
    enum class Ids : std::uint8_t { parked, listed, chosen }; // see the top

    static constexpr std::uint16_t kNone = 0xffff;
    static constexpr std::uint16_t kPresetParts = 3;
    static constexpr std::uint16_t kBoth = packed_flag::kAvailable | packed_flag::kUsed;
    static constexpr std::uint16_t kBroken = 1;      // in used_flags_: no flags of a descriptor are equal to it
    static constexpr std::uint16_t kListed = 0x8000; // in Slot::count of a general chain beside presets: its id goes to the free list

    // The wrap counter of the flags that make a descriptor available, or that it will be used with.
    [[nodiscard]] static constexpr bool wrap_of(std::uint16_t flags) noexcept { return (flags & packed_flag::kAvailable) != 0; }
    [[nodiscard]] Slot& slot_at(PackedPlace place) const noexcept {
        if constexpr (sizeof(Slot) == sizeof(PackedDescriptor)) // the same offset
            return *reinterpret_cast<Slot*>(reinterpret_cast<std::byte*>(slots_) + place.offset());
        else
            return slots_[place.slot()];
    }
    [[nodiscard]] bool used_here() const noexcept { return (memory_.load_flags(used_) & kBoth) == used_flags_; }
    // Slots between the next used and the next available one. Equal positions: none, or all of them where the laps differ.
    [[nodiscard]] std::uint16_t lent() const noexcept {
        const bool same_lap = wrap_of(available_flags_) == wrap_of(used_flags_);
        return static_cast<std::uint16_t>(next_.slot() - used_.slot() + (same_lap ? 0 : size_));
    }

    template<bool device_writes> [[nodiscard]] Result<> add_one(const Segment& segment, Request& request) noexcept {
        Slot& here = slot_at(next_);
        const std::uint16_t id = here.next;
        if ((id >= parked_ && !mutant(46)) || (segment.length == 0 && !mutant(47)) ||
            (request.state == Request::State::in_flight && !mutant(48))) [[unlikely]]
            return device_writes ? add_any({}, {&segment, 1}, request) : add_any({&segment, 1}, {}, request);
        here.next = kNone;
        Slot& slot = slots_[id];
        slot.request = &request;
        slot.writable = device_writes ? segment.length + 1 : 1;
        request.state = Request::State::in_flight;
        put(segment.address, segment.length, id, device_writes ? descriptor_flag::kWrite : std::uint16_t{0});
        return {};
    }
    [[nodiscard]] Result<> add_any(std::span<const Segment> readable, std::span<const Segment> writable, Request& request) noexcept;
    [[nodiscard]] std::uint16_t take_id(std::uint16_t slots) noexcept;
    template<bool spares> void put_chain(std::span<const Segment> readable, std::span<const Segment> writable, std::uint16_t id) noexcept;
    // One descriptor where the ring has come to. The first of a batch keeps its flags back.
    void put(DmaAddress address, std::uint32_t length, std::uint16_t id, std::uint16_t kind) noexcept {
        const PackedPlace at = next_;
        memory_.store_body(at, address, length, id);
        const auto flags = static_cast<std::uint16_t>(available_flags_ | kind);
        if (first_flags_ != 0) [[likely]]
            memory_.store_flags(at, flags);
        else
            first_flags_ = flags;
        const PackedPlace next = at + 1;
        next_ = next;
        if (next == end_) [[unlikely]]
            turn(next_, available_flags_);
    }

    // Without IN_ORDER each used descriptor ends one request, and any of them. One comparison sees whether it is in flight and whether
    // the length is not beyond what was lent: Slot::writable is 0 for the one, and one more than lent for the other.
    template<Ids ids> [[nodiscard]] [[gnu::always_inline]] Taken take_any_order() noexcept {
        const PackedMemory memory = memory_; // read once, whatever the loads below make the compiler forget
        const PackedPlace at = used_;
        if ((memory.load_flags(at) & kBoth) != used_flags_) return {};
        arch::take_barrier(ordering_);
        const std::uint16_t id = memory.load_used_id(at);
        const std::uint32_t length = memory.load_used_length(at);
        if (id >= size_ && !mutant(40)) [[unlikely]]
            return break_ring(RingFault::used_id_out_of_range);
        Slot& slot = slots_[id];
        if (length >= slot.writable && !mutant(42)) [[unlikely]]
            return take_slowly(slot, id, length);
        if (ids != Ids::chosen && slot.count != 1) [[unlikely]]
            return take_chain(slot, id, length);
        Request& request = *slot.request;
        slot.request = nullptr;
        slot.writable = 0;
        if constexpr (ids != Ids::chosen) slot_at(at).next = id;
        used_ = at + 1;
        if (used_ == end_) [[unlikely]]
            turn(used_, used_flags_);
        finish(request, length);
        return {&request, id};
    }
    // With IN_ORDER one used descriptor may end several requests: it has the id of the last of them, and stands where the first of them
    // began (2.8.11). Those before the last count as written in full.
    template<Ids ids> [[nodiscard]] [[gnu::always_inline]] Taken take_in_order() noexcept {
        if (batch_last_ == kNone && !open_batch()) return {};
        const PackedPlace at = used_;
        const std::uint16_t id = ids == Ids::parked ? at.slot() : slot_at(at).next;
        Slot& slot = slots_[id];
        if (id == batch_last_ || slot.count != 1) [[unlikely]]
            return take_in_order_slowly(slot, id);
        Request& request = *slot.request;
        const std::uint32_t length = slot.writable - 1;
        slot.request = nullptr;
        slot.writable = 0;
        if constexpr (ids == Ids::parked) slot.next = id;
        used_ = at + 1;
        if (used_ == end_) [[unlikely]]
            turn(used_, used_flags_);
        finish(request, length);
        return {&request, id};
    }
    [[nodiscard]] bool open_batch() noexcept;
    [[nodiscard]] Taken take_in_order_slowly(Slot& slot, std::uint16_t id) noexcept;
    template<class Each, class Take> [[gnu::always_inline]] static unsigned drain_by(unsigned budget, Each& each, Take take_next) noexcept {
        unsigned left = budget;
        for (; left != 0; --left) {
            const Taken taken = take_next();
            if (taken.request == nullptr) break;
            each(*taken.request);
        }
        return budget - left;
    }
    // From the ring's end to its beginning, and into the next lap.
    void turn(PackedPlace& place, std::uint16_t& flags) const noexcept {
        place = place - end_;
        flags ^= kBoth;
    }

    void fix(std::uint16_t slot, const Segment& segment, std::uint32_t writable, std::uint16_t flags) noexcept {
        if (slot >= fixed_ && !mutant(72)) [[unlikely]]
            return; // add_fixed() says so
        templates_[slot] = {segment.address, segment.length, writable, flags};
    }
    static void finish(Request& request, std::uint32_t length) noexcept {
        request.length = length;
        request.error = Error::none;
        request.state = Request::State::done;
        request.length_clamped = false;
    }
    // A used length beyond what was lent, or more than one slot.
    [[nodiscard]] Taken take_slowly(Slot& slot, std::uint16_t id, std::uint32_t length) noexcept;
    [[nodiscard]] Taken take_chain(Slot& slot, std::uint16_t id, std::uint32_t length) noexcept;
    void release_parked(Slot& slot, std::uint16_t id) noexcept;
    void release_listed(Slot& slot, std::uint16_t id) noexcept;
    [[nodiscard]] Result<> refuse_fixed(std::uint16_t slot) const noexcept;
    [[nodiscard]] Result<> refuse_preset(std::uint16_t slot, const Segment& data, const Request& request) const noexcept;
    void end(RingFault fault) noexcept;
    Taken break_ring(RingFault fault) noexcept {
        end(fault);
        return {};
    }

    inline static constinit Slot nothing_{nullptr, 0, 0, kNone}; // of a ring that is not attached; never written

    // By buffer id: `writable` is one more than was lent while in flight, else 0; `count` is 1 at rest, or a link. `next` by slot of the
    // ring: the id parked there, or with IN_ORDER the id of the request that begins there.
    Slot* slots_ = &nothing_;
    PackedMemory memory_;
    PackedPlace next_; // where the next descriptor goes
    PackedPlace used_; // where the device writes the next used descriptor
    PackedPlace end_;
    PackedPlace published_;             // the first slot that the device may not see yet
    std::uint16_t available_flags_ = 0; // of descriptors made available in this lap
    std::uint16_t used_flags_ = 0;      // of descriptors used in the lap of used_
    std::uint16_t first_flags_ = 0;     // kept back from `published_`; 0: the batch is empty
    std::uint16_t published_wrap_ = 0;  // available_flags_ of `published_`
    std::uint16_t size_ = 0;            //
    std::uint16_t parked_ = 0;          // ids below this may be parked: size_, or 0 where none are
    std::uint16_t fixed_ = 0;           // fixed slots that may be added: size_, or 0
    std::uint16_t presets_ = 0;         // preset slots; their ids are the first ones
    std::uint16_t presets_open_ = 0;    // the same, 0 from the ring's end on
    std::uint16_t spare_ = kNone;       // ids of direct chains that were not needed, linked by Slot::count
    std::uint16_t free_id_ = kNone;     // beside presets: the free general ids, linked by Slot::count
    std::uint16_t general_free_ = 0;    // beside presets: slots that general chains may take
    std::uint16_t without_request_ = 0; // slots lent beyond one for each request
    std::uint16_t batch_last_ = kNone;  // IN_ORDER: the last id of the batch that take() is in
    std::uint32_t batch_length_ = 0;    // its length
    std::uint32_t unchecked_ = 0;       // slots published since needs_kick(), at most size_
    std::uint16_t indirect_entries_ = 0;
    Ids ids_ = Ids::parked;
    bool in_order_ = false;
    bool event_index_ = false;
    bool strict_length_ = false;
    bool suppressed_ = false;
    RingFault fault_ = RingFault::none;
    arch::Ordering ordering_ = arch::Ordering::processors;
    RingTemplate* templates_ = nullptr; // of fixed slots, or of presets (writable: of the last part)
    std::byte* tables_ = nullptr;
    DmaAddress tables_address_;
    std::uint64_t lengths_clamped_ = 0;
};

} // namespace virtio
