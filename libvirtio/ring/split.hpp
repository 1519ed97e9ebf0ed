// The split ring engine (VIRTIO 1.4, 2.7): descriptors, available ring, used ring, over memory that it is given. All truth is
// private: nothing in shared memory is ever read back but the used ring, each word of it once. No lock, no allocation, no kick.
// Owned by a Virtqueue; one context at a time.
//
// Descriptors are taken in ring order as long as that is possible: available entry i then holds i for ever, and there is nothing to
// keep but one slot per request ("aligned"). The first direct chain of several parts ends that, and so does a request whose
// descriptor in turn is still in flight; from there on a free list serves, or with IN_ORDER a cursor. Presets end it at once.
//
// A device that lies (an id never lent, an index that jumps) breaks the ring: that is final until attach() is called again.
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
    [[nodiscard]] [[gnu::always_inline]] Result<> add(std::span<const Segment> readable, std::span<const Segment> writable,
                                                      Request& request) noexcept {
        if (readable.size() + writable.size() == 1) [[likely]] {
            const bool write = readable.empty();
            const Segment& segment = write ? writable.front() : readable.front();
            const auto head = static_cast<std::uint16_t>(available_ & aligned_mask_);
            Slot& slot = slots_[head];
            if ((aligned_and_free(slot) || mutant(20)) && (segment.length != 0 || mutant(21)) &&
                (request.state != Request::State::in_flight || mutant(22))) [[likely]] {
                memory_.store_descriptor(head, {Le64{segment.address.value}, Le32{segment.length},
                                                Le16{write ? descriptor_flag::kWrite : std::uint16_t{0}}, Le16{0}});
                slot = {&request, write ? segment.length : 0, kInFlight, 0};
                request.state = Request::State::in_flight;
                ++available_;
                return {};
            }
        }
        return add_any(readable, writable, request);
    }

    /// Writes the unchanging first (readable) and last (writable) part of preset slot `slot`, which is not in flight.
    void preset(std::uint16_t slot, const Segment& first, const Segment& last) noexcept;
    /// Adds preset slot `slot` with `data` between: one descriptor (or table entry) and one ring entry are written. Errors:
    /// invalid_argument (no such slot, no data, 4 GiB), request_in_flight, queue_broken; with IN_ORDER also ring_full.
    [[nodiscard]] [[gnu::always_inline]] Result<> add_preset(std::uint16_t slot, const Segment& data, bool device_writes,
                                                             Request& request) noexcept {
        const std::uint32_t last = slot * 3u; // with head and data after it
        if (last < reserved_ || mutant(23)) [[likely]] {
            Slot& head = slots_[last + 1];
            const std::uint32_t status = slots_[last].writable;
            const std::uint32_t writable = device_writes ? data.length + status : status;
            if ((head.count == kFree || mutant(24)) && (data.length != 0 || mutant(25)) && (writable >= status || mutant(26)) &&
                (request.state != Request::State::in_flight || mutant(27))) [[likely]] {
                memory_.store_descriptor_part(static_cast<std::uint16_t>(last + 2), data.address, data.length,
                                              device_writes ? descriptor_flag::kNext | descriptor_flag::kWrite : descriptor_flag::kNext);
                head = {&request, writable, kInFlight, 0};
                request.state = Request::State::in_flight;
                memory_.store_available(available_ & mask_, static_cast<std::uint16_t>(last + 1));
                ++available_;
                return {};
            }
        }
        return add_preset_slowly(slot, data, device_writes, request);
    }

    /// A ring of fixed slots: slot i is descriptor i (and indirect table i) for ever, there is no free list, and a request is one
    /// ring entry. Writes the descriptor of a slot (below size()) that is not in flight; it stays until it is written again. With
    /// IN_ORDER it is kept in private memory, and copied to the descriptor whose turn it is.
    void fix_readable(std::uint16_t slot, const Segment& segment) noexcept { fix(slot, segment, 0); }
    void fix_writable(std::uint16_t slot, const Segment& segment) noexcept { fix(slot, segment, descriptor_flag::kWrite); }
    /// The same with several readable parts. Errors: too_many_segments (more than the table's entries), invalid_argument.
    [[nodiscard]] Result<> fix_table(std::uint16_t slot, std::span<const Segment> readable) noexcept;
    /// Adds a fixed slot as its descriptor stands. Errors: request_in_flight, queue_broken, invalid_argument (no such slot).
    [[nodiscard]] [[gnu::always_inline]] Result<> add_fixed(std::uint16_t slot, Request& request) noexcept {
        if (slot < reserved_ || mutant(28)) [[likely]] {
            Slot& its = slots_[slot];
            if (its.count == kFree || mutant(29)) [[likely]] {
                its.request = &request;
                its.count = kInFlight;
                request.state = Request::State::in_flight;
                memory_.store_available(available_ & mask_, slot);
                ++available_;
                return {};
            }
        }
        return add_fixed_slowly(slot, request);
    }

    /// Makes everything added so far available, with one release store. Returns whether there was anything.
    bool publish() noexcept {
        const std::uint16_t index = available_;
        if (index == published_) return false;
        published_ = index;
        arch::lend_barrier(ordering_);
        memory_.publish_available_index(index);
        return true;
    }
    /// Whether the device wants a notification for what was published since the last call.
    [[nodiscard]] bool needs_kick() noexcept {
        arch::publish_barrier(ordering_);
        const std::uint16_t old = checked_;
        checked_ = published_;
        if (event_index_) [[likely]]
            return need_event(memory_.load_available_event(), published_, old);
        return published_ != old && (memory_.load_used_flags() & kUsedNoNotify) == 0;
    }

    /// The next used chain; its request carries the clamped length, and is done. One read of each shared word.
    [[nodiscard]] Taken take() noexcept {
        switch (mode_) {
        case Mode::in_order: return take_in_order();
        case Mode::fixed: return take_any_order<true>();
        case Mode::general: break;
        }
        return take_any_order<false>();
    }
    /// take() up to `budget` times, with done(request) after each, which may add. Returns how many.
    template<class Done> [[gnu::always_inline]] unsigned drain(unsigned budget, Done done) noexcept {
        switch (mode_) {
        case Mode::in_order: return each(budget, done, [this]() noexcept { return take_in_order(); });
        case Mode::fixed: return each(budget, done, [this]() noexcept { return take_any_order<true>(); });
        case Mode::general: break;
        }
        return each(budget, done, [this]() noexcept { return take_any_order<false>(); });
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
            memory_.store_used_event(static_cast<std::uint16_t>(last_used_ + more - 1));
        } else if (suppressed_) {
            memory_.store_available_flags(0);
        }
        suppressed_ = false;
        arch::arm_barrier(ordering_);
        return static_cast<std::uint16_t>(memory_.load_used_index() - last_used_) >= more;
    }
    [[nodiscard]] bool interrupts_suppressed() const noexcept { return suppressed_; }
    /// Whether the device has used something that take() has not seen. A look, without promise.
    [[nodiscard]] bool pending() const noexcept { return !broken() && memory_.load_used_index() != last_used_; }

    /// From here on add() refuses: what a completion submits while its queue is taken back would be lost.
    void close() noexcept { shut(RingFault::closed); }
    /// After a confirmed reset only: hands out each request in flight once, from descriptor `cursor` on. Null when none is left.
    [[nodiscard]] Request* reclaim(std::uint16_t& cursor) noexcept;

    [[nodiscard]] bool broken() const noexcept { return fault_ != RingFault::none; }
    [[nodiscard]] RingFault fault() const noexcept { return fault_; }
    [[nodiscard]] std::uint16_t size() const noexcept { return size_; }
    [[nodiscard]] std::uint16_t free_descriptors() const noexcept {
        return listed_ ? free_count_ : static_cast<std::uint16_t>(size_ - in_flight());
    }
    /// Chains added and not yet taken.
    [[nodiscard]] std::uint16_t in_flight() const noexcept { return static_cast<std::uint16_t>(available_ - last_used_); }
    [[nodiscard]] std::uint16_t available_index() const noexcept { return available_; }
    /// What a doorbell with NOTIFICATION_DATA tells: the next available index, as published (VIRTIO 1.4, 2.9).
    [[nodiscard]] std::uint16_t position() const noexcept { return published_; }
    [[nodiscard]] std::uint16_t last_used() const noexcept { return last_used_; }
    [[nodiscard]] std::uint16_t preset_count() const noexcept { return presets_; }
    /// Entries of each indirect table; 0 where there are none (not negotiated, or no memory for them).
    [[nodiscard]] std::uint16_t indirect_entries() const noexcept { return indirect_entries_; }
    [[nodiscard]] bool preset_in_flight(std::uint16_t slot) const noexcept {
        return mode_ == Mode::in_order ? templates_[slot].in_flight : slots_[slot * 3u + 1].count != kFree;
    }
    [[nodiscard]] std::uint64_t lengths_clamped() const noexcept { return lengths_clamped_; }

private:
    enum class Mode : std::uint8_t { general, fixed, in_order };

    // RingSlot::count, by the chain's head.
    static constexpr std::uint16_t kFree = 0;          // not in flight
    static constexpr std::uint16_t kInFlight = 1;      // its release touches nothing but the slot; n + 1: n descriptors go back
    static constexpr std::uint16_t kTemplate = 0xfffe; // in flight by a template, whose number RingSlot::writable is (IN_ORDER)
    static constexpr std::uint16_t kNoHead = 0xffff;   // free for the list or cursor, or no head of a chain
    // RingSlot::next of a kFree slot. 0: the available entry of the same number holds this number, so add() may take it.
    static constexpr std::uint16_t kFresh = 1;       // not yet written
    static constexpr std::uint16_t kReserved = 2;    // not for chains
    static constexpr std::size_t kPresetEntries = 4; // of a preset's own table: three, and up to a line of 64 bytes

    [[nodiscard]] static bool aligned_and_free(const Slot& slot) noexcept { return slot.count == kFree && slot.next == 0; }
    static Taken finish(Request& request, std::uint32_t length, std::uint32_t head) noexcept {
        request.length = length;
        request.error = Error::none;
        request.state = Request::State::done;
        request.length_clamped = false;
        return {&request, static_cast<std::uint16_t>(head)};
    }
    template<class Done, class Take> [[gnu::always_inline]] static unsigned each(unsigned budget, Done& done, Take take) noexcept {
        unsigned count = 0;
        for (; count < budget; ++count) {
            const Taken taken = take();
            if (taken.request == nullptr) break;
            done(*taken.request);
        }
        return count;
    }

    /// Reads the used index. False: nothing new, or broken.
    [[nodiscard]] bool look() noexcept {
        if (broken() && !mutant(30)) [[unlikely]]
            return false;
        const std::uint16_t index = memory_.load_used_index();
        // More completions than requests: the index jumped or went backwards.
        if (static_cast<std::uint16_t>(index - last_used_) > static_cast<std::uint16_t>(published_ - last_used_) && !mutant(1))
            [[unlikely]] {
            shut(RingFault::used_index_jump);
            return false;
        }
        used_seen_ = index;
        arch::take_barrier(ordering_);
        return index != last_used_;
    }
    template<bool kFixed> [[nodiscard]] [[gnu::always_inline]] Taken take_any_order() noexcept {
        const std::uint16_t at = last_used_;
        if (at == used_seen_ && !look()) return {};
        const UsedElement element = memory_.load_used(at & mask_);
        const std::uint32_t id = element.id.load();
        const std::uint32_t length = element.length.load();
        if (id < size_ || mutant(5)) [[likely]] {
            Slot& slot = slots_[id];
            if ((slot.count == kInFlight || mutant(6)) && (length <= slot.writable || mutant(7))) [[likely]] {
                Request& request = *slot.request;
                last_used_ = static_cast<std::uint16_t>(at + 1);
                if constexpr (kFixed) { // what is lent stays as it is
                    slot.request = nullptr;
                    slot.count = kFree;
                } else {
                    slot = {};
                }
                return finish(request, length, id);
            }
        }
        return take_checked(id, length);
    }
    [[nodiscard]] [[gnu::always_inline]] Taken take_in_order() noexcept {
        const std::uint16_t at = last_used_;
        if (at != skipped_until_) [[likely]]
            return take_skipped(at);
        return take_in_order_checked();
    }
    /// A request that its batch's used element passed over: used completely (2.7.9, IN_ORDER).
    [[nodiscard]] Taken take_skipped(std::uint16_t at) noexcept {
        const auto head = static_cast<std::uint16_t>(at & mask_);
        Slot& slot = slots_[head];
        Request& request = *slot.request;
        const std::uint32_t length = slot.writable;
        last_used_ = static_cast<std::uint16_t>(at + 1);
        slot = {};
        return finish(request, length, head);
    }
    void fix(std::uint16_t slot, const Segment& segment, std::uint16_t flags) noexcept {
        if (mode_ == Mode::fixed) [[likely]] {
            memory_.store_descriptor(slot, {Le64{segment.address.value}, Le32{segment.length}, Le16{flags}, Le16{0}});
            slots_[slot].writable = flags != 0 ? segment.length : 0;
        } else {
            templates_[slot] = {segment.address, segment.length, flags != 0 ? segment.length : 0, flags, false};
        }
    }

    [[nodiscard]] Result<> add_any(std::span<const Segment> readable, std::span<const Segment> writable, Request& request) noexcept;
    [[nodiscard]] Result<> add_preset_slowly(std::uint16_t slot, const Segment& data, bool device_writes, Request& request) noexcept;
    [[nodiscard]] Result<> add_fixed_slowly(std::uint16_t slot, Request& request) noexcept;
    [[nodiscard]] Result<> add_template(std::uint16_t slot, const Descriptor& descriptor, Request& request) noexcept;
    void add_table(std::uint16_t head, std::span<const Segment> readable, std::span<const Segment> writable) noexcept;
    [[nodiscard]] std::uint16_t add_direct(std::span<const Segment> readable, std::span<const Segment> writable) noexcept;
    [[nodiscard]] bool take_single(std::uint16_t& head) noexcept;
    void lend(std::uint16_t head, Request& request, std::uint32_t writable, std::uint16_t count) noexcept;
    [[nodiscard]] Taken take_checked(std::uint32_t id, std::uint32_t length) noexcept;
    [[nodiscard]] Taken take_in_order_checked() noexcept;
    [[nodiscard]] bool begin_batch() noexcept;
    [[nodiscard]] Taken complete(std::uint16_t head, std::uint32_t lent, std::uint32_t length) noexcept;
    void release(std::uint16_t head) noexcept;
    void leave_alignment() noexcept;
    void shut(RingFault fault) noexcept;
    [[nodiscard]] bool is_shut() const noexcept { return broken() && !mutant(13); }
    [[nodiscard]] bool no_slot(std::uint16_t slot) const noexcept { return slot >= size_ && !mutant(36); }
    [[nodiscard]] Error refused(const Request& request) const noexcept {
        if (is_shut()) return Error::queue_broken;
        return request.state == Request::State::in_flight && !mutant(14) ? Error::request_in_flight : Error::none;
    }
    [[nodiscard]] std::size_t preset_table(std::uint16_t slot) const noexcept {
        return (std::size_t{size_} * indirect_entries_ + std::size_t{slot} * kPresetEntries) * sizeof(Descriptor);
    }

    inline static constinit Slot nothing_{nullptr, 0, kFree, kReserved}; // of a ring that is not attached; never written

    // What every request touches comes first: one line of 64 bytes.
    Slot* slots_ = &nothing_;
    SplitMemory memory_;
    std::uint16_t available_ = 0;    // next available index, free-running
    std::uint16_t aligned_mask_ = 0; // mask_ where a free slot in ring order may be taken, else 0: slot 0 then is never free
    std::uint16_t mask_ = 0;
    std::uint16_t reserved_ = 0;      // descriptors of preset slots, from 0 on, or of all slots where they are fixed; 0 with templates
    std::uint16_t last_used_ = 0;     // next used entry to take
    std::uint16_t used_seen_ = 0;     // used index as last read and checked
    std::uint16_t skipped_until_ = 0; // IN_ORDER: from last_used_ to here all requests are used, aligned and plain
    std::uint16_t size_ = 0;
    std::uint16_t published_ = 0; // what the device may see
    std::uint16_t checked_ = 0;   // `published_` at the last needs_kick
    Mode mode_ = Mode::general;
    bool event_index_ = false;
    arch::Ordering ordering_ = arch::Ordering::processors;
    RingFault fault_ = RingFault::none;

    bool listed_ = false; // not aligned: the free list or IN_ORDER's cursor says which descriptor is next
    bool fixed_ = false;
    bool strict_length_ = false;
    bool suppressed_ = false;
    std::uint16_t presets_ = 0;
    std::uint16_t indirect_entries_ = 0;
    std::uint16_t free_head_ = 0;     // where listed_
    std::uint16_t free_count_ = 0;    // where listed_
    std::uint16_t oldest_ = 0;        // IN_ORDER, where listed_: the oldest chain's head
    std::uint16_t batch_end_ = 0;     // IN_ORDER: index after the last request of the batch that is being taken
    std::uint16_t templates_out_ = 0; // IN_ORDER: requests in flight by templates
    std::uint32_t batch_length_ = 0;  // IN_ORDER: of that last request, as the device says
    RingTemplate* templates_ = nullptr;
    std::byte* tables_ = nullptr;
    DmaAddress tables_address_;
    std::uint64_t lengths_clamped_ = 0;
};

} // namespace virtio
