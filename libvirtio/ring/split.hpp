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

namespace virtio {

/// What a device did to break a queue.
enum class RingFault : std::uint8_t { none, used_index_jump, used_id_out_of_range, used_id_not_in_flight, used_length };
[[nodiscard]] const char* message(RingFault fault) noexcept;

class SplitRing {
public:
    /// Private state of a descriptor; for a chain's head also its request.
    struct Slot {
        Request* request = nullptr;
        std::uint32_t writable = 0; // bytes lent for writing
        std::uint16_t count = 0;    // descriptors in the chain
        std::uint16_t next = 0;     // free list and chain order
    };
    struct Setup {
        std::uint16_t size = 0;             // a power of two
        std::uint16_t presets = 0;          // reserved three-descriptor slots, 3 * presets <= size
        std::uint16_t indirect_entries = 0; // entries of each descriptor's indirect table, 0: none
        bool event_index = false;
        bool strict_length = false;
        arch::Ordering ordering = arch::Ordering::processors;
    };
    struct Taken {
        Request* request = nullptr; // null: nothing used, or broken
        std::uint16_t head = 0;
    };

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

    /// Makes everything added so far available, with one release store. Returns whether there was anything.
    bool publish() noexcept {
        if (available_ == published_) return false;
        published_ = available_;
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
    [[nodiscard]] Taken take() noexcept;

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

    /// After a confirmed reset only: hands out each request in flight once, from descriptor `cursor` on. Null when none is left.
    [[nodiscard]] Request* reclaim(std::uint16_t& cursor) noexcept;

    [[nodiscard]] bool broken() const noexcept { return fault_ != RingFault::none; }
    [[nodiscard]] RingFault fault() const noexcept { return fault_; }
    [[nodiscard]] std::uint16_t size() const noexcept { return size_; }
    [[nodiscard]] std::uint16_t free_descriptors() const noexcept { return free_count_; }
    [[nodiscard]] std::uint16_t in_flight() const noexcept { return in_flight_; }
    [[nodiscard]] std::uint16_t available_index() const noexcept { return available_; }
    [[nodiscard]] std::uint16_t last_used() const noexcept { return last_used_; }
    [[nodiscard]] std::uint16_t preset_count() const noexcept { return static_cast<std::uint16_t>(reserved_ / 3); }
    /// Entries of each indirect table; 0 where there are none (not negotiated, or no memory for them).
    [[nodiscard]] std::uint16_t indirect_entries() const noexcept { return indirect_entries_; }
    [[nodiscard]] bool preset_in_flight(std::uint16_t slot) const noexcept { return slots_[slot * 3u].request != nullptr; }
    [[nodiscard]] std::uint64_t lengths_clamped() const noexcept { return lengths_clamped_; }

private:
    void make_available(std::uint16_t head, Request& request, std::uint32_t writable, std::uint16_t count) noexcept;
    void release(std::uint16_t head) noexcept;
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
    std::uint16_t reserved_ = 0; // descriptors of preset slots, from 0 on
    std::uint16_t indirect_entries_ = 0;
    std::uint16_t free_head_ = 0;
    std::uint16_t free_count_ = 0;
    std::uint16_t in_flight_ = 0; // chains lent and not yet taken
    std::uint16_t available_ = 0; // next available index, free-running
    std::uint16_t published_ = 0; // what the device may see
    std::uint16_t checked_ = 0;   // `published_` at the last needs_kick
    std::uint16_t last_used_ = 0; // next used entry to take
    std::uint16_t used_seen_ = 0; // used index as last read and checked
    bool event_index_ = false;
    bool strict_length_ = false;
    bool suppressed_ = false;
    arch::Ordering ordering_ = arch::Ordering::processors;
    RingFault fault_ = RingFault::none;
};

} // namespace virtio
