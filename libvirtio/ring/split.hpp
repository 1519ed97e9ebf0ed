// The split ring engine (VIRTIO 1.4, 2.7): descriptors, available ring, used ring, over memory that it is given. All truth is
// private: nothing in shared memory is ever read back but the used ring, each word of it once. No lock, no allocation, no kick.
// Owned by a Virtqueue; one context at a time.
//
// Descriptors are taken in ring order as long as that is possible: available entry i then holds i, written once, and there is nothing
// to keep but one slot per request ("aligned"). The first direct chain of several parts ends that, and so does a request whose
// descriptor in turn is still in flight; from there on a free list serves, or with IN_ORDER a cursor. Presets end it at once.
//
// A device that lies (an id never lent, an index that jumps) breaks the ring: that is final until attach() is called again.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include <ringside/arch/barrier.hpp>

#include "libvirtio/base.hpp"
#include "libvirtio/memory.hpp"
#include "libvirtio/request.hpp"
#include "libvirtio/ring/abi.hpp"
#include "libvirtio/ring/ring.hpp"

namespace virtio {

class SplitRing {
public:
    using Slot = RingSlot;
    using Setup = RingSetup;
    using Taken = RingTaken;

    /// How many descriptors the indirect tables of such a ring have, and how many templates it needs (RingSetup::templates).
    [[nodiscard]] static constexpr std::size_t table_descriptors(const Setup& setup) noexcept {
        if (setup.indirect_entries == 0) return 0;
        return std::size_t{setup.size} * setup.indirect_entries + (setup.in_order ? std::size_t{setup.presets} * kPresetEntries : 0);
    }
    [[nodiscard]] static constexpr std::size_t template_count(const Setup& setup) noexcept {
        return !setup.in_order ? 0 : setup.fixed ? setup.size : setup.presets;
    }

    /// `memory` and `tables` are zeroed; `tables` has table_descriptors() descriptors, or is null: then chains are direct, and with
    /// IN_ORDER there are no presets. `first_index` is 0 but in tests of the 65,536 wrap.
    void attach(SplitMemory memory, std::span<Slot> slots, std::byte* tables, DmaAddress tables_address, const Setup& setup,
                std::uint16_t first_index = 0) noexcept;

    /// Adds a chain; it becomes visible to the device with publish(). Errors: empty_request, too_many_segments (can never fit),
    /// invalid_argument (a segment of 0 bytes, or 4 GiB in all), ring_full, queue_broken, request_in_flight.
    [[nodiscard]] Result<> add(std::span<const Segment> readable, std::span<const Segment> writable, Request& request) noexcept;
    /// The same for one segment, which is what most requests are.
    [[nodiscard]] [[gnu::always_inline]] Result<> add_readable(const Segment& segment, Request& request) noexcept {
        if (add_aligned<false>(segment, request)) [[likely]]
            return {};
        return add_one(segment, false, request);
    }
    [[nodiscard]] [[gnu::always_inline]] Result<> add_writable(const Segment& segment, Request& request) noexcept {
        if (add_aligned<true>(segment, request)) [[likely]]
            return {};
        return add_one(segment, true, request);
    }

    /// Writes the unchanging first (readable) and last (writable, up to 65,534 bytes) part of preset slot `slot`, which is not in
    /// flight. Errors: invalid_argument (no such slot, a longer last part).
    [[nodiscard]] Result<> preset(std::uint16_t slot, const Segment& first, const Segment& last) noexcept;
    /// Adds preset slot `slot` with `data` between: one descriptor (or table entry) and one ring entry are written. Errors:
    /// invalid_argument (no such slot, no data, 4 GiB), request_in_flight, queue_broken; with IN_ORDER also ring_full.
    [[nodiscard]] Result<> add_preset(std::uint16_t slot, const Segment& data, bool device_writes, Request& request) noexcept {
        if (add_preset_quickly(slot, data, device_writes, request)) [[likely]]
            return {};
        return add_preset_slowly(slot, data, device_writes, request);
    }
    /// The common way of add_preset(), without a call. False: nothing was done, and add_preset() goes another way or says why not.
    [[nodiscard]] [[gnu::always_inline]] bool add_preset_quickly(std::uint16_t slot, const Segment& data, bool device_writes,
                                                                 Request& request) noexcept {
        const std::size_t last = std::size_t{slot} * 3; // with head and data after it
        if (last < reserved_ || mutant(23)) [[likely]] {
            Slot& head = slots_[last + 1];
            const std::uint32_t status = head.next; // limits both
            const std::uint32_t all = status + data.length;
            // One comparison finds both no data and too much of it.
            if ((head.request == nullptr || mutant(24)) && (all > status || mutant(25)) &&
                (request.state != Request::State::in_flight || mutant(26))) [[likely]] {
                memory_.store_descriptor_part(SplitPlace::of(last + 2), data.address, data.length,
                                              device_writes ? descriptor_flag::kNext | descriptor_flag::kWrite : descriptor_flag::kNext);
                head.request = &request;
                head.writable = device_writes ? all : status;
                request.state = Request::State::in_flight;
                memory_.store_available(SplitPlace{available_ & mask_}, static_cast<std::uint16_t>(last + 1));
                step(available_);
                return true;
            }
        }
        return false;
    }

    /// A ring of fixed slots: slot i is descriptor i (and indirect table i) for ever, there is no free list, and a request is one
    /// ring entry, or none where the slots are used in turn. Writes the descriptor of a slot (below size()) that is not in flight; it
    /// stays until it is written again. With IN_ORDER it is kept in private memory, and copied to the descriptor whose turn it is.
    void fix_readable(std::uint16_t slot, const Segment& segment) noexcept { fix(slot, segment, 0); }
    void fix_writable(std::uint16_t slot, const Segment& segment) noexcept { fix(slot, segment, descriptor_flag::kWrite); }
    /// The same with several readable parts. Errors: too_many_segments (more than the table's entries), invalid_argument.
    [[nodiscard]] Result<> fix_table(std::uint16_t slot, std::span<const Segment> readable) noexcept;
    /// Adds a fixed slot as its descriptor stands. Errors: request_in_flight, queue_broken, invalid_argument (no such slot).
    [[nodiscard]] Result<> add_fixed(std::uint16_t slot, Request& request) noexcept {
        if (add_fixed_quickly(slot, request)) [[likely]]
            return {};
        return add_fixed_slowly(slot, request);
    }
    /// The common way of add_fixed(), without a call. False: nothing was done.
    [[nodiscard]] [[gnu::always_inline]] bool add_fixed_quickly(std::uint16_t slot, Request& request) noexcept {
        const std::uint32_t turn = available_ & fixed_turn_mask_;
        if (turn == slot * SplitPlace::kStep) [[likely]] { // its available entry holds it already
            Slot& its = slot_at(fixed_turn_slots_, turn);
            if (its.request == nullptr || mutant(28)) [[likely]] {
                its.request = &request;
                request.state = Request::State::in_flight;
                step(available_);
                return true;
            }
        } else if (slot < fixed_slots_ || mutant(29)) {
            Slot& its = slots_[slot];
            if (its.request == nullptr || mutant(31)) [[likely]] {
                its.request = &request;
                request.state = Request::State::in_flight;
                memory_.store_available(SplitPlace{available_ & mask_}, slot);
                step(available_);
                return true;
            }
        }
        return false;
    }

    /// Makes everything added so far available, with one release store. Returns whether there was anything.
    bool publish() noexcept {
        const std::uint32_t position = available_;
        if (position == published_) return false;
        published_ = position;
        arch::lend_barrier(ordering_);
        memory_.publish_available_index(index_of(position));
        return true;
    }
    /// Whether the device wants a notification for what was published since the last call.
    [[nodiscard]] bool needs_kick() noexcept {
        arch::publish_barrier(ordering_);
        const std::uint16_t old = checked_;
        const std::uint16_t index = index_of(published_);
        checked_ = index;
        if (event_index_) [[likely]]
            return need_event(memory_.load_available_event(), index, old);
        return index != old && (memory_.load_used_flags() & kUsedNoNotify) == 0;
    }

    /// The next used chain; its request carries the clamped length, and is done. One read of each shared word.
    [[nodiscard]] Taken take() noexcept {
        switch (mode_) {
        case Mode::plain: return take_any_order<Mode::plain>();
        case Mode::fixed: return take_any_order<Mode::fixed>();
        case Mode::in_order: return take_in_order();
        case Mode::listed:
        case Mode::shut: break;
        }
        return take_any_order<Mode::listed>();
    }
    /// take() up to `budget` times, with done(request) after each, which may add. Returns how many.
    template<class Done> [[gnu::always_inline]] unsigned drain(unsigned budget, Done done) noexcept {
        unsigned left = budget;
        if (mode_ == Mode::plain) [[likely]] {
            left = each(left, done, [this]() noexcept { return take_any_order<Mode::plain>(); });
            if (mode_ != Mode::listed) [[likely]] // a request that was added ended the mode
                return budget - left;
        }
        if (mode_ == Mode::in_order)
            left = each(left, done, [this]() noexcept { return take_in_order(); });
        else if (mode_ == Mode::fixed)
            left = each(left, done, [this]() noexcept { return take_any_order<Mode::fixed>(); });
        else
            left = each(left, done, [this]() noexcept { return take_any_order<Mode::listed>(); });
        return budget - left;
    }

    void suppress_interrupts() noexcept {
        // With EVENT_IDX the used_event that was passed already asks for nothing more.
        if (!event_index_ && !suppressed_) memory_.store_available_flags(kAvailableNoInterrupt);
        suppressed_ = true;
    }
    /// Asks for an interrupt after `more` further completions (at least one), then looks again: true means that something was
    /// used meanwhile and poll must run again (trap: a queue that stops under load).
    [[nodiscard]] bool arm_interrupts(std::uint16_t more = 1) noexcept {
        if (event_index_) {
            memory_.store_used_event(static_cast<std::uint16_t>(last_used() + more - 1));
        } else if (suppressed_) {
            memory_.store_available_flags(0);
        }
        suppressed_ = false;
        arch::arm_barrier(ordering_);
        return static_cast<std::uint16_t>(memory_.load_used_index() - last_used()) >= more;
    }
    [[nodiscard]] bool interrupts_suppressed() const noexcept { return suppressed_; }
    /// Whether the device has used something that take() has not seen. A look, without promise.
    [[nodiscard]] bool pending() const noexcept { return !broken() && memory_.load_used_index() != last_used(); }

    /// From here on add() refuses: what a completion submits while its queue is taken back would be lost.
    void close() noexcept { shut(RingFault::closed); }
    /// After a confirmed reset only: hands out each request in flight once, from descriptor `cursor` on. Null when none is left.
    [[nodiscard]] Request* reclaim(std::uint16_t& cursor) noexcept;

    [[nodiscard]] bool broken() const noexcept { return fault_ != RingFault::none; }
    [[nodiscard]] RingFault fault() const noexcept { return fault_; }
    [[nodiscard]] std::uint16_t size() const noexcept { return static_cast<std::uint16_t>(size_); }
    [[nodiscard]] std::uint16_t free_descriptors() const noexcept {
        return listed_ ? free_count_ : static_cast<std::uint16_t>(size_ - in_flight());
    }
    /// Chains added and not yet taken.
    [[nodiscard]] std::uint16_t in_flight() const noexcept { return index_of(available_ - last_used_); }
    [[nodiscard]] std::uint16_t available_index() const noexcept { return index_of(available_); }
    /// What a doorbell with NOTIFICATION_DATA tells: the next available index, as published (VIRTIO 1.4, 2.9).
    [[nodiscard]] std::uint16_t position() const noexcept { return index_of(published_); }
    [[nodiscard]] std::uint16_t last_used() const noexcept { return index_of(last_used_); }
    [[nodiscard]] std::uint16_t preset_count() const noexcept { return presets_; }
    /// Entries of each indirect table; 0 where there are none (not negotiated, or no memory for them).
    [[nodiscard]] std::uint16_t indirect_entries() const noexcept { return indirect_entries_; }
    [[nodiscard]] bool preset_in_flight(std::uint16_t slot) const noexcept {
        return in_order_ ? templates_[slot].in_flight : slots_[slot * 3u + 1].request != nullptr;
    }
    [[nodiscard]] std::uint64_t lengths_clamped() const noexcept { return lengths_clamped_; }

private:
    // How requests are taken. plain: whatever is in flight, its slot alone is released; listed: descriptors may go back to the list;
    // shut: broken or closed.
    enum class Mode : std::uint8_t { plain, fixed, in_order, listed, shut };

    // A slot is in flight where it has a request. RingSlot::writable is a limit: one more than the bytes lent, modulo 2^32, and 0 where
    // nothing is (but in fixed slots); a preset's last part has its limit in `next`, by the head. RingSlot::count: how many descriptors go back to the list or cursor.
    static constexpr std::uint16_t kTemplate = 0xffff; // IN_ORDER, in flight by a template, whose number RingSlot::writable is
    static constexpr std::size_t kPresetEntries = 4;   // of a preset's own table: three, and up to a line of 64 bytes

    [[nodiscard]] static std::uint16_t index_of(std::uint32_t position) noexcept {
        return static_cast<std::uint16_t>(position / SplitPlace::kStep);
    }
    [[nodiscard]] static Slot& slot_at(Slot* slots, std::size_t offset) noexcept {
        if constexpr (sizeof(Slot) % SplitPlace::kStep == 0)
            return *reinterpret_cast<Slot*>(reinterpret_cast<std::byte*>(slots) + offset * (sizeof(Slot) / SplitPlace::kStep));
        else
            return slots[offset / SplitPlace::kStep];
    }
    /// The compiler forgets what it has read from memory.
    static void forget() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }
    /// Adding to memory is one instruction where no register holds the old value, and nobody merges it with another step.
    static void step(std::uint32_t& position) noexcept {
        forget();
        position += SplitPlace::kStep;
        forget();
    }
    [[nodiscard]] std::uint16_t number_of(const Slot& slot) const noexcept { return static_cast<std::uint16_t>(&slot - slots_); }
    [[nodiscard]] Taken finish(Request& request, std::uint32_t length, const Slot& head) const noexcept {
        request.length = length;
        request.error = Error::none;
        request.state = Request::State::done;
        request.length_clamped = false;
        return {&request, number_of(head)};
    }
    /// Returns how much of the budget is left.
    template<class Done, class Take> [[gnu::always_inline]] static unsigned each(unsigned left, Done& done, Take take) noexcept {
        for (; left != 0; --left) {
            const Taken taken = take();
            if (taken.request == nullptr) break;
            done(*taken.request);
        }
        return left;
    }

    /// One segment, while descriptors are taken in turn. False: something forbids it, or it is not that easy.
    template<bool kWrite> [[gnu::always_inline]] bool add_aligned(const Segment& segment, Request& request) noexcept {
        const SplitPlace head{available_ & turn_mask_};
        Slot& slot = slot_at(turn_slots_, head.offset());
        if ((slot.request == nullptr || mutant(20)) && (segment.length != 0 || mutant(21)) &&
            (request.state != Request::State::in_flight || mutant(22))) [[likely]] {
            memory_.store_descriptor_part(head, segment.address, segment.length, kWrite ? descriptor_flag::kWrite : std::uint16_t{0});
            slot.request = &request;
            slot.writable = (kWrite ? segment.length : 0) + 1;
            request.state = Request::State::in_flight;
            step(available_);
            return true;
        }
        return false;
    }

    /// Reads the used index. False: nothing new, or a lie.
    [[nodiscard]] bool look() noexcept {
        // The index has 16 bits, a position some more.
        const std::uint32_t news = (memory_.load_used_index() * SplitPlace::kStep - last_used_) & (0xffffu * SplitPlace::kStep);
        // More completions than requests: the index jumped or went backwards.
        if (news > published_ - last_used_ && !mutant(1)) [[unlikely]] {
            shut(RingFault::used_index_jump);
            return false;
        }
        used_seen_ = last_used_ + news;
        arch::take_barrier(ordering_);
        return news != 0;
    }
    template<Mode kMode> [[nodiscard]] [[gnu::always_inline]] Taken take_any_order() noexcept {
        const std::uint32_t at = last_used_;
        if (at == used_seen_) [[unlikely]] {
            if (mode_ != kMode && !mutant(30)) return {}; // broken, or a request that was added has changed it
            if (!look()) return {};
        }
        const UsedElement element = memory_.load_used(SplitPlace{at & mask_});
        const std::uint32_t id = element.id.load();
        const std::uint32_t length = element.length.load();
        if (id >= size_ && !mutant(5)) [[unlikely]]
            return take_unknown();
        Slot& slot = slots_[id];
        Request* const request = slot.request;
        // A limit of 0 stands for what is not in flight, too; but fixed slots keep theirs.
        if ((length < slot.writable || mutant(6)) && (kMode != Mode::fixed || request != nullptr || mutant(7))) [[likely]] {
            slot.request = nullptr;
            if constexpr (kMode != Mode::fixed) slot.writable = 0;
            if constexpr (kMode == Mode::listed) give_back(slot);
            step(last_used_);
            return finish(*request, length, slot);
        }
        return take_checked(slot, length);
    }
    /// A chain's descriptors go to the front of the free list; those of a preset stay.
    void give_back(Slot& slot) noexcept {
        const std::uint32_t count = slot.count;
        if (count == 0) return;
        Slot* tail = &slot;
        for (std::uint32_t left = count; --left != 0;) tail = &slots_[tail->next];
        slot.count = 0;
        tail->next = free_head_;
        free_head_ = number_of(slot);
        free_count_ = static_cast<std::uint16_t>(free_count_ + count);
    }
    [[nodiscard]] [[gnu::always_inline]] Taken take_in_order() noexcept {
        const std::uint32_t at = last_used_;
        if (at != skipped_until_) [[likely]]
            return take_skipped(slot_at(slots_, at & mask_));
        return take_in_order_checked();
    }
    /// A request that its batch's used element passed over: used completely (2.7.9, IN_ORDER).
    [[nodiscard]] Taken take_skipped(Slot& slot) noexcept {
        Request& request = *slot.request;
        const std::uint32_t length = slot.writable - 1;
        slot.request = nullptr;
        slot.writable = 0;
        step(last_used_);
        return finish(request, length, slot);
    }
    void fix(std::uint16_t slot, const Segment& segment, std::uint16_t flags) noexcept {
        if ((slot >= size_ || !fixed_) && !mutant(2)) [[unlikely]]
            return; // add_fixed() says so
        if (!in_order_) [[likely]] {
            memory_.store_descriptor(SplitPlace::of(slot), {Le64{segment.address.value}, Le32{segment.length}, Le16{flags}, Le16{0}});
            slots_[slot].writable = (flags != 0 ? segment.length : 0) + 1;
        } else {
            templates_[slot] = {segment.address, segment.length, flags != 0 ? segment.length : 0, flags, false};
        }
    }

    [[nodiscard]] Result<> add_one(Segment segment, bool write, Request& request) noexcept;
    [[nodiscard]] Result<> add_preset_slowly(std::uint16_t slot, Segment data, bool device_writes, Request& request) noexcept;
    [[nodiscard]] Result<> add_fixed_slowly(std::uint16_t slot, Request& request) noexcept;
    [[nodiscard]] Result<> add_template(std::uint16_t slot, const Descriptor& descriptor, Request& request) noexcept;
    [[nodiscard]] Result<> add_slowly(std::span<const Segment> readable, std::span<const Segment> writable, Request& request) noexcept;
    [[nodiscard]] Result<> add_table(std::span<const Segment> readable, std::span<const Segment> writable, Request& request) noexcept;
    template<bool kInOrder>
    [[nodiscard]] Result<> add_direct(std::span<const Segment> readable, std::span<const Segment> writable, Request& request) noexcept;
    [[nodiscard]] std::uint16_t next_descriptor() const noexcept;
    /// A table costs the device one read more, and the driver one descriptor more to write: it is used where it saves ring space that
    /// matters, for three parts or more, or where the direct chain finds no room.
    [[nodiscard]] bool use_table(std::size_t count, std::size_t room) const noexcept {
        return count <= indirect_entries_ && (count >= 3 || count > room);
    }
    void lend(SplitPlace head, std::uint16_t next, Request& request, std::uint32_t writable, std::uint16_t count) noexcept;
    [[nodiscard]] Taken take_unknown() noexcept;
    [[nodiscard]] Taken take_checked(Slot& slot, std::uint32_t length) noexcept;
    [[nodiscard]] Taken take_in_order_checked() noexcept;
    [[nodiscard]] bool begin_batch() noexcept;
    [[nodiscard]] Taken complete(Slot& head, std::uint32_t lent, std::uint32_t length) noexcept;
    void release(Slot& head) noexcept;
    void leave_alignment() noexcept;
    void shut(RingFault fault) noexcept;
    [[nodiscard]] bool is_shut() const noexcept { return broken() && !mutant(13); }
    [[nodiscard]] bool no_slot(std::uint16_t slot) const noexcept { return slot >= size_ && !mutant(36); }
    [[nodiscard]] static bool is_empty(const Segment& segment) noexcept { return segment.length == 0 && !mutant(15); }
    [[nodiscard]] static bool too_long(std::uint64_t bytes) noexcept { return bytes > 0xffff'ffffu && !mutant(17); }
    /// The descriptor after `head` in the list or, with IN_ORDER, in the ring.
    [[nodiscard]] std::uint16_t following(std::uint32_t head) const noexcept {
        return in_order_ ? static_cast<std::uint16_t>((head + 1) & (size_ - 1u)) : slots_[head].next;
    }
    [[nodiscard]] Error refused(const Request& request) const noexcept {
        if (is_shut()) return Error::queue_broken;
        return request.state == Request::State::in_flight && !mutant(14) ? Error::request_in_flight : Error::none;
    }
    [[nodiscard]] std::size_t preset_table(std::uint16_t slot) const noexcept {
        return (std::size_t{size_} * indirect_entries_ + std::size_t{slot} * kPresetEntries) * sizeof(Descriptor);
    }

    // A slot that is always in flight, for rings that are not aligned or not attached: what is fast then fails at its first check.
    inline static constinit Request nobody_;
    inline static constinit Slot taken_{&nobody_, 0, 0, 0};

    // What every request touches comes first. Positions are free-running and scaled (SplitPlace).
    Slot* turn_slots_ = &taken_;       // slots_ while aligned
    Slot* fixed_turn_slots_ = &taken_; // the same for fixed slots
    Slot* slots_ = &taken_;
    SplitMemory memory_;
    std::uint32_t turn_mask_ = 0; // mask_ while aligned
    std::uint32_t fixed_turn_mask_ = 0;
    std::uint32_t mask_ = 0;
    std::uint32_t available_ = 0;     // next to be made available
    std::uint32_t published_ = 0;     // what the device may see
    std::uint32_t last_used_ = 0;     // next used entry to take
    std::uint32_t used_seen_ = 0;     // used index as last read and checked
    std::uint32_t skipped_until_ = 0; // IN_ORDER: from last_used_ to here all requests are used, aligned and without template
    std::uint32_t batch_end_ = 0;     // IN_ORDER: after the last request of the batch that is being taken
    std::uint32_t size_ = 0;
    std::uint32_t reserved_ = 0;    // descriptors of preset slots, from 0 on
    std::uint32_t fixed_slots_ = 0; // fixed slots, where they are no longer used in turn
    std::uint16_t checked_ = 0;     // index published at the last needs_kick
    Mode mode_ = Mode::plain;
    bool event_index_ = false;
    arch::Ordering ordering_ = arch::Ordering::processors;
    RingFault fault_ = RingFault::none;

    bool listed_ = false; // the free list or IN_ORDER's cursor says which descriptor is next
    bool fixed_ = false;
    bool in_order_ = false;
    bool strict_length_ = false;
    bool suppressed_ = false;
    std::uint16_t presets_ = 0;
    std::uint16_t indirect_entries_ = 0;
    std::uint16_t free_head_ = 0;     // where listed_
    std::uint16_t free_count_ = 0;    // where listed_
    std::uint16_t oldest_ = 0;        // IN_ORDER, where listed_: the oldest chain's head
    std::uint16_t templates_out_ = 0; // IN_ORDER: requests in flight by templates
    std::uint32_t batch_length_ = 0;  // IN_ORDER: of the batch's last request, as the device says
    RingTemplate* templates_ = nullptr;
    std::byte* tables_ = nullptr;
    DmaAddress tables_address_;
    std::uint64_t lengths_clamped_ = 0;
};

} // namespace virtio
