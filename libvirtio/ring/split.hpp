// The split ring engine (VIRTIO 1.4, 2.7): descriptors, available ring, used ring, over memory that it is given. All truth is
// private: nothing in shared memory is ever read back but the used ring, each word of it once. No lock, no allocation, no kick.
// Owned by a Virtqueue; one context at a time.
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

    /// `memory` and `tables` are zeroed; `tables` holds size * indirect_entries descriptors. `first_index` is 0 but in tests of
    /// the 65,536 wrap.
    void attach(SplitMemory memory, std::span<Slot> slots, std::byte* tables, DmaAddress tables_address, const Setup& setup,
                std::uint16_t first_index = 0) noexcept;

    /// Adds a chain; it becomes visible to the device with publish(). Errors: empty_request, too_many_segments (can never fit),
    /// invalid_argument (a segment of 0 bytes, or 4 GiB in all), ring_full, queue_broken.
    [[nodiscard]] Result<> add(std::span<const Segment> readable, std::span<const Segment> writable, Request& request) noexcept;

    /// Writes the unchanging first (readable) and last (writable) descriptor of preset slot `slot`.
    void preset(std::uint16_t slot, const Segment& first, const Segment& last) noexcept;
    /// Adds preset slot `slot` with `data` between: one descriptor and one ring entry are written. The slot must not be in flight.
    [[nodiscard]] Result<> add_preset(std::uint16_t slot, const Segment& data, bool device_writes, Request& request) noexcept;

    /// A ring of fixed slots: slot i is descriptor i (and indirect table i) for ever, there is no free list, and a request is one
    /// ring entry. Writes the descriptor of a slot that is not in flight; it stays until it is written again.
    void fix_readable(std::uint16_t slot, const Segment& segment) noexcept {
        memory_.store_descriptor(slot, {Le64{segment.address.value}, Le32{segment.length}, Le16{0}, Le16{0}});
        slots_[slot].writable = 0;
    }
    void fix_writable(std::uint16_t slot, const Segment& segment) noexcept {
        memory_.store_descriptor(slot, {Le64{segment.address.value}, Le32{segment.length}, Le16{descriptor_flag::kWrite}, Le16{0}});
        slots_[slot].writable = segment.length;
    }
    /// The same with several readable parts. Errors: too_many_segments (more than the table's entries), invalid_argument.
    [[nodiscard]] Result<> fix_table(std::uint16_t slot, std::span<const Segment> readable) noexcept;
    /// Adds a fixed slot as its descriptor stands. Errors: request_in_flight, queue_broken, invalid_argument (no such slot).
    [[nodiscard]] Result<> add_fixed(std::uint16_t slot, Request& request) noexcept {
        if (slot >= reserved_ || slots_[slot].request != nullptr || broken()) [[unlikely]]
            return fail(broken() ? Error::queue_broken : slot >= reserved_ ? Error::invalid_argument : Error::request_in_flight);
        slots_[slot].request = &request;
        request.state = Request::State::in_flight;
        ++in_flight_;
        memory_.store_available(available_ & mask_, slot);
        ++available_;
        return {};
    }

    /// Makes everything added so far available, with one release store. Returns whether there was anything.
    bool publish() noexcept {
        if (available_ == published_) return false;
        published_ = available_;
        arch::lend_barrier(ordering_);
        memory_.publish_available_index(published_);
        return true;
    }
    /// Whether the device wants a notification for what was published since the last call.
    [[nodiscard]] bool needs_kick() noexcept {
        arch::publish_barrier(ordering_);
        const std::uint16_t old = checked_;
        checked_ = published_;
        if (event_index_) return need_event(memory_.load_available_event(), published_, old);
        return published_ != old && (memory_.load_used_flags() & kUsedNoNotify) == 0;
    }

    /// The next used chain; its request carries the clamped length. One read of each shared word.
    [[nodiscard]] Taken take() noexcept {
        if (broken()) [[unlikely]]
            return {};
        if (last_used_ == used_seen_) {
            const std::uint16_t index = memory_.load_used_index();
            arch::take_barrier(ordering_);
            // More completions than requests: the index jumped or went backwards.
            if (static_cast<std::uint16_t>(index - last_used_) > in_flight_ && !mutant(1)) [[unlikely]]
                return break_ring(RingFault::used_index_jump);
            used_seen_ = index;
            if (index == last_used_) return {};
        }
        const UsedElement element = memory_.load_used(last_used_ & mask_);
        const std::uint32_t id = element.id.load();
        if (id >= size_ && !mutant(2)) [[unlikely]]
            return break_ring(RingFault::used_id_out_of_range);
        const auto head = static_cast<std::uint16_t>(id);
        const Slot& slot = slots_[head];
        if (slot.request == nullptr && !mutant(3)) [[unlikely]]
            return break_ring(RingFault::used_id_not_in_flight);

        Request& request = *slot.request;
        request.length = element.length.load();
        request.length_clamped = request.length > slot.writable && !mutant(4);
        if (request.length_clamped) [[unlikely]] {
            if (strict_length_) return break_ring(RingFault::used_length);
            request.length = slot.writable;
            ++lengths_clamped_;
        }
        request.error = Error::none;
        ++last_used_;
        release(head);
        return {&request, head};
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
    void close() noexcept { fault_ = RingFault::closed; }
    /// After a confirmed reset only: hands out each request in flight once, from descriptor `cursor` on. Null when none is left.
    [[nodiscard]] Request* reclaim(std::uint16_t& cursor) noexcept;

    [[nodiscard]] bool broken() const noexcept { return fault_ != RingFault::none; }
    [[nodiscard]] RingFault fault() const noexcept { return fault_; }
    [[nodiscard]] std::uint16_t size() const noexcept { return size_; }
    [[nodiscard]] std::uint16_t free_descriptors() const noexcept {
        return fixed_ ? static_cast<std::uint16_t>(size_ - in_flight_) : free_count_;
    }
    [[nodiscard]] std::uint16_t in_flight() const noexcept { return in_flight_; }
    [[nodiscard]] std::uint16_t available_index() const noexcept { return available_; }
    [[nodiscard]] std::uint16_t last_used() const noexcept { return last_used_; }
    [[nodiscard]] std::uint16_t preset_count() const noexcept {
        return fixed_ ? std::uint16_t{0} : static_cast<std::uint16_t>(reserved_ / 3);
    }
    /// Entries of each indirect table; 0 where there are none (not negotiated, or no memory for them).
    [[nodiscard]] std::uint16_t indirect_entries() const noexcept { return indirect_entries_; }
    [[nodiscard]] bool preset_in_flight(std::uint16_t slot) const noexcept { return slots_[slot * 3u].request != nullptr; }
    [[nodiscard]] std::uint64_t lengths_clamped() const noexcept { return lengths_clamped_; }

private:
    void make_available(std::uint16_t head, Request& request, std::uint32_t writable, std::uint16_t count) noexcept;
    void release(std::uint16_t head) noexcept {
        slots_[head].request = nullptr;
        --in_flight_;
        if (head >= reserved_) free_chain(head); // a preset or fixed slot is its owner's for ever
    }
    void free_chain(std::uint16_t head) noexcept;
    Taken break_ring(RingFault fault) noexcept {
        fault_ = fault;
        return {};
    }

    SplitMemory memory_;
    Slot* slots_ = nullptr;
    std::byte* tables_ = nullptr;
    DmaAddress tables_address_;
    std::uint64_t lengths_clamped_ = 0;
    std::uint16_t size_ = 0;
    std::uint16_t mask_ = 0;
    std::uint16_t reserved_ = 0; // descriptors of preset slots, from 0 on, or of all slots where they are fixed
    std::uint16_t indirect_entries_ = 0;
    std::uint16_t free_head_ = 0;
    std::uint16_t free_count_ = 0;
    std::uint16_t in_flight_ = 0; // chains lent and not yet taken
    std::uint16_t available_ = 0; // next available index, free-running
    std::uint16_t published_ = 0; // what the device may see
    std::uint16_t checked_ = 0;   // `published_` at the last needs_kick
    std::uint16_t last_used_ = 0; // next used entry to take
    std::uint16_t used_seen_ = 0; // used index as last read and checked
    bool fixed_ = false;
    bool event_index_ = false;
    bool strict_length_ = false;
    bool suppressed_ = false;
    arch::Ordering ordering_ = arch::Ordering::processors;
    RingFault fault_ = RingFault::none;
};

} // namespace virtio
