// One virtqueue: ring memory, engine (split or packed, as negotiated), doorbell, suppression and counters behind a small final
// class, held by value in its driver. One context at a time (the queue's owner). add() many times, publish() once, kick_if_needed()
// once; poll() is the only reader of the used ring. Between add() and the doorbell's store there is no allocation, lock, virtual
// call or map call.
//
//     queue.add(header_and_data, status, request);         // error::ring_full: ask for when_room()
//     queue.publish();
//     queue.kick_if_needed();                               // one store, if the device wants to know
//     ...
//     while (queue.poll(budget) == budget) {}               // calls request.complete for each
//     if (queue.arm_interrupts()) poll again;               // else sleep until the queue's event is marked
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "libvirtio/counter.hpp"
#include "libvirtio/dma.hpp"
#include "libvirtio/doorbell.hpp"
#include "libvirtio/feature.hpp"
#include "libvirtio/platform.hpp"
#include "libvirtio/queue_state.hpp"
#include "libvirtio/request.hpp"
#include "libvirtio/ring/packed.hpp"
#include "libvirtio/ring/split.hpp"

namespace virtio {

struct QueueOptions {
    std::uint16_t maximum_size = 1024;  // a cap on what the device offers, up to 32768
    std::uint16_t presets = 0;          // three-part slots wanted; fewer where the queue is small, none where it cannot have them
    std::uint16_t indirect_entries = 0; // longest indirect table, 0: none
    bool strict_length = false;         // a used length beyond what was lent breaks the queue
    bool fixed = false;                 // slots chosen by the owner: fix_*() and add_fixed() instead of add()
    bool lazy = false;                  // the owner collects completions without interrupts: unarmed ones are not overdue
};

/// What a queue has done since it was created. Plain counters of its owner's; none with
/// RINGSIDE_NO_COUNTERS.
struct QueueCounters {
    Counter requests = 0; // added
    Counter completions = 0;
    Counter bytes = 0; // of payload; the driver counts it, without its headers
    Counter kicks = 0;
    Counter kicks_suppressed = 0;    // published, but the device did not want to hear
    Counter interrupts = 0;          // that announced this queue; one for several queues counts where something was found
    Counter spurious_interrupts = 0; // of this queue alone, and nothing was found
    Counter ring_full = 0;
    Counter errors = 0; // requests refused or ended without an answer
    Counter watchdog_rescues = 0;
};

/// Whether a queue's interrupt vector announces that queue alone.
enum class VectorUse : std::uint8_t { shared, own };

/// Somebody who wants to hear when a full queue has room again.
struct RoomWaiter {
    void (*on_room)(RoomWaiter& waiter) noexcept = nullptr;
};

class Virtqueue final {
public:
    constexpr Virtqueue() noexcept = default;
    Virtqueue(const Virtqueue&) = delete;
    Virtqueue& operator=(const Virtqueue&) = delete;

    // --- requests ---

    /// Adds a chain of device-readable and then device-writable segments. Errors: see SplitRing::add.
    [[nodiscard]] Result<> add(std::span<const Segment> readable, std::span<const Segment> writable, Request& request) noexcept {
        return count(kind_ == RingKind::packed ? add_packed(readable, writable, request) : split_.add(readable, writable, request));
    }
    /// The same for a single segment: the cheapest way for what most requests are.
    [[nodiscard]] Result<> add_readable(const Segment& segment, Request& request) noexcept {
        return count(kind_ == RingKind::packed ? packed_.add_readable(segment, request) : split_.add_readable(segment, request));
    }
    [[nodiscard]] Result<> add_writable(const Segment& segment, Request& request) noexcept {
        return count(kind_ == RingKind::packed ? packed_.add_writable(segment, request) : split_.add_writable(segment, request));
    }
    /// Adds preset slot `slot` with `data` in the middle: the cheapest three-part request.
    [[nodiscard]] Result<> add_preset(std::uint16_t slot, const Segment& data, bool device_writes, Request& request) noexcept {
        return count(kind_ == RingKind::packed ? packed_.add_preset(slot, data, device_writes, request)
                                               : split_.add_preset(slot, data, device_writes, request));
    }
    /// Writes the unchanging parts of a preset slot: `last` has up to 65,534 bytes. Errors: invalid_argument (no such slot, longer).
    [[nodiscard]] Result<> preset(std::uint16_t slot, const Segment& first, const Segment& last) noexcept {
        return kind_ == RingKind::packed ? packed_.preset(slot, first, last) : split_.preset(slot, first, last);
    }
    /// 0 where the ring cannot have them (packed or IN_ORDER without INDIRECT_DESC): then add() serves.
    [[nodiscard]] std::uint16_t preset_count() const noexcept {
        return kind_ == RingKind::packed ? packed_.preset_count() : split_.preset_count();
    }

    /// Fixed slots (QueueOptions::fixed): see SplitRing. The cheapest way for requests of one descriptor.
    void fix_readable(std::uint16_t slot, const Segment& segment) noexcept {
        kind_ == RingKind::packed ? packed_.fix_readable(slot, segment) : split_.fix_readable(slot, segment);
    }
    void fix_writable(std::uint16_t slot, const Segment& segment) noexcept {
        kind_ == RingKind::packed ? packed_.fix_writable(slot, segment) : split_.fix_writable(slot, segment);
    }
    [[nodiscard]] Result<> fix_table(std::uint16_t slot, std::span<const Segment> readable) noexcept {
        return kind_ == RingKind::packed ? packed_.fix_table(slot, readable) : split_.fix_table(slot, readable);
    }
    /// The common case of add_preset() and add_fixed() alone, for whoever wants it without a call. False: nothing was done, and the
    /// others go another way or say why not.
    [[nodiscard]] [[gnu::always_inline]] bool add_preset_quickly(std::uint16_t slot, const Segment& data, bool device_writes,
                                                                 Request& request) noexcept {
        return kind_ == RingKind::packed ? packed_.add_preset_quickly(slot, data, device_writes, request)
                                         : split_.add_preset_quickly(slot, data, device_writes, request);
    }
    [[nodiscard]] [[gnu::always_inline]] bool add_fixed_quickly(std::uint16_t slot, Request& request) noexcept {
        return kind_ == RingKind::packed ? packed_.add_fixed_quickly(slot, request) : split_.add_fixed_quickly(slot, request);
    }
    [[nodiscard]] Result<> add_fixed(std::uint16_t slot, Request& request) noexcept {
        return count(kind_ == RingKind::packed ? packed_.add_fixed(slot, request) : split_.add_fixed(slot, request));
    }

    /// Makes what was added visible to the device. Returns whether there was anything.
    bool publish() noexcept { return kind_ == RingKind::packed ? packed_.publish() : split_.publish(); }
    /// Rings the doorbell if the device asked for it.
    void kick_if_needed() noexcept {
        if (!started_) return;
        if (kind_ == RingKind::packed ? packed_.needs_kick() : split_.needs_kick()) {
            ring_doorbell();
        } else {
            ++counters_.kicks_suppressed;
        }
    }
    /// Rings the doorbell though the device did not ask, and there may be nothing new: for devices that go on only when they hear it.
    void kick_always() noexcept {
        if (started_) ring_doorbell();
    }
    /// publish() and kick_if_needed().
    void kick() noexcept {
        if (publish()) kick_if_needed();
    }

    /// Takes up to `budget` completions and calls each request's `complete`. Returns how many. A broken queue returns 0.
    unsigned poll(unsigned budget) noexcept;

    void suppress_interrupts() noexcept {
        if (created()) kind_ == RingKind::packed ? packed_.suppress_interrupts() : split_.suppress_interrupts();
    }
    /// Arms after `more` further completions and looks again; true: poll once more before sleeping.
    [[nodiscard]] bool arm_interrupts(std::uint16_t more = 1) noexcept {
        return created() && (kind_ == RingKind::packed ? packed_.arm_interrupts(more) : split_.arm_interrupts(more));
    }
    [[nodiscard]] bool pending() const noexcept { return created() && (kind_ == RingKind::packed ? packed_.pending() : split_.pending()); }
    /// Something was used, and an interrupt should have told.
    [[nodiscard]] bool overdue() const noexcept { return pending() && !(lazy_ && interrupts_suppressed()); }
    [[nodiscard]] bool interrupts_suppressed() const noexcept {
        return kind_ == RingKind::packed ? packed_.interrupts_suppressed() : split_.interrupts_suppressed();
    }

    /// Calls `waiter` once, from the next poll() that frees descriptors.
    void when_room(RoomWaiter& waiter) noexcept { room_waiter_ = &waiter; }

    // --- state ---

    [[nodiscard]] std::uint16_t index() const noexcept { return index_; }
    [[nodiscard]] RingKind kind() const noexcept { return kind_; }
    [[nodiscard]] std::uint16_t size() const noexcept { return kind_ == RingKind::packed ? packed_.size() : split_.size(); }
    /// Descriptors that general chains may still take; in a queue of fixed slots, how many of them are not in flight.
    [[nodiscard]] std::uint16_t room() const noexcept {
        return kind_ == RingKind::packed ? packed_.free_descriptors() : split_.free_descriptors();
    }
    [[nodiscard]] std::uint16_t in_flight() const noexcept { return kind_ == RingKind::packed ? packed_.in_flight() : split_.in_flight(); }
    /// The longest chain that takes one descriptor only; 0: chains are direct.
    [[nodiscard]] std::uint16_t indirect_entries() const noexcept {
        return kind_ == RingKind::packed ? packed_.indirect_entries() : split_.indirect_entries();
    }
    [[nodiscard]] bool broken() const noexcept { return fault() != RingFault::none; }
    [[nodiscard]] RingFault fault() const noexcept { return kind_ == RingKind::packed ? packed_.fault() : split_.fault(); }
    [[nodiscard]] std::uint64_t lengths_clamped() const noexcept {
        return kind_ == RingKind::packed ? packed_.lengths_clamped() : split_.lengths_clamped();
    }
    /// Everything at a glance; to_text() makes a line of it.
    [[nodiscard]] QueueState state() const noexcept;
    [[nodiscard]] std::uint16_t vector() const noexcept { return vector_; }
    /// Grows with every create(): what belongs to an older one is stale.
    [[nodiscard]] std::uint32_t generation() const noexcept { return generation_; }
    [[nodiscard]] QueueCounters counters() const noexcept;
    [[nodiscard]] QueueCounters& counters() noexcept;
    /// For the driver: payload that a request carries; a request refused before it came here; a request ended without an answer.
    void count_bytes(std::uint64_t bytes) noexcept { counters_.bytes += bytes; }
    void count_ring_full() noexcept { ++counters_.ring_full; }
    void count_error() noexcept { ++counters_.errors; }
    void count_rescue() noexcept { ++counters_.watchdog_rescues; }
    [[nodiscard]] bool created() const noexcept { return slots_ != nullptr; }

    // --- life cycle: for virtio::Device ---

    /// Allocates and lays out a ring of the kind negotiated, of the largest size allowed. `offered` is what the device can take,
    /// `layout` what its transport demands: with contiguous_whole the size is `offered`, whatever the options say.
    /// After destroy() it may be called again. Errors: queue_unavailable (offered 0), queue_size_invalid, out_of_memory,
    /// already_started.
    [[nodiscard]] Result<> create(Platform& platform, DmaDomain& domain, std::uint16_t index, std::uint32_t offered,
                                  const FeatureSet& features, const QueueOptions& options, QueueLayout layout = QueueLayout::free) noexcept;
    [[nodiscard]] DmaAddress descriptor_address() const noexcept { return memory_.address; }
    [[nodiscard]] DmaAddress driver_address() const noexcept { return memory_.address + driver_offset_; }
    [[nodiscard]] DmaAddress device_address() const noexcept { return memory_.address + device_offset_; }
    void connect(const Doorbell& doorbell, std::uint16_t vector, VectorUse use = VectorUse::shared) noexcept {
        doorbell_ = doorbell;
        vector_ = vector;
        own_vector_ = use == VectorUse::own;
    }
    /// Interrupt context: an interrupt for this queue, perhaps for others too. Counted by the next poll(); touches no ring.
    void announce() noexcept { announced_.fetch_add(1, std::memory_order_relaxed); }
    /// From here on kicks reach the device: never before DRIVER_OK. What was published earlier is announced now.
    void start() noexcept {
        started_ = true;
        kick_if_needed();
    }
    void stop() noexcept { started_ = false; }
    /// Ends every request in flight with `error` and frees the memory. Only after a confirmed reset.
    void destroy(Error error) noexcept;
    /// The device never confirmed its reset: requests in flight stay abandoned, and the memory is never used again.
    void quarantine() noexcept;

private:
    Result<> count(const Result<>& added) noexcept {
        if (!added) [[unlikely]]
            count_refused(added.error());
        return added;
    }
    [[nodiscard]] Result<> add_packed(std::span<const Segment> readable, std::span<const Segment> writable, Request& request) noexcept;
    void count_refused(Error error) noexcept;
    void ring_doorbell() noexcept {
        doorbell_.ring(kind_ == RingKind::packed ? packed_.position() : split_.position());
        ++counters_.kicks;
    }
    template<class End> void reclaim(End end) noexcept;
    void free_memory() noexcept;

    RingKind kind_ = RingKind::split;
    bool started_ = false;
    bool lazy_ = false;
    bool own_vector_ = false;
    SplitRing split_; // the one that kind_ names is in use
    PackedRing packed_;
    Doorbell doorbell_;
    QueueCounters counters_;
    RoomWaiter* room_waiter_ = nullptr;
    Platform* platform_ = nullptr;
    DmaDomain* domain_ = nullptr;
    RingSlot* slots_ = nullptr;
    RingTemplate* templates_ = nullptr;
    std::uint32_t slot_count_ = 0;
    std::uint32_t template_count_ = 0;
    Counter ended_ = 0; // requests taken back by destroy() or quarantine()
    DmaMemory memory_;
    std::uint32_t driver_offset_ = 0; // of the driver's and the device's area in memory_
    std::uint32_t device_offset_ = 0;
    DmaMemory tables_;
    std::uint32_t generation_ = 0;
    std::uint16_t index_ = 0;
    std::uint16_t vector_ = 0xffff;
    std::atomic<std::uint32_t> announced_{0}; // by interrupts, ever
    std::uint32_t heard_ = 0;                 // of these, by poll()
};

} // namespace virtio
