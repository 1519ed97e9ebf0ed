// One virtqueue: ring memory, engine, doorbell, suppression and counters behind a small final class, held by value in its
// driver. One context at a time (the queue's owner). add() many times, publish() once, kick_if_needed() once; poll() is the only
// reader of the used ring. Between add() and the doorbell's store there is no allocation, lock, virtual call or map call.
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

#include "libvirtio/dma.hpp"
#include "libvirtio/doorbell.hpp"
#include "libvirtio/feature.hpp"
#include "libvirtio/platform.hpp"
#include "libvirtio/request.hpp"
#include "libvirtio/ring/split.hpp"

namespace virtio {

struct QueueOptions {
    std::uint16_t maximum_size = 1024;  // a cap on what the device offers
    std::uint16_t presets = 0;          // three-descriptor slots wanted; fewer where the queue is small
    std::uint16_t indirect_entries = 0; // longest indirect table, 0: none
    bool strict_length = false;         // a used length beyond what was lent breaks the queue
    bool fixed = false;                 // slot = descriptor, chosen by the owner: fix_*() and add_fixed() instead of add()
    bool lazy = false;                  // the owner collects completions without interrupts: unarmed ones are not overdue
};

/// What a queue has done since it was created. Plain counters of its owner's.
struct QueueCounters {
    std::uint64_t requests = 0;
    std::uint64_t completions = 0;
    std::uint64_t bytes = 0; // of payload; the driver counts it, without its headers
    std::uint64_t kicks = 0;
    std::uint64_t kicks_suppressed = 0;    // published, but the device did not want to hear
    std::uint64_t interrupts = 0;          // that announced this queue; one for several queues counts where something was found
    std::uint64_t spurious_interrupts = 0; // of this queue alone, and nothing was found
    std::uint64_t ring_full = 0;
    std::uint64_t errors = 0; // requests refused or ended without an answer
    std::uint64_t watchdog_rescues = 0;
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
        const Result<> added = ring_.add(readable, writable, request);
        return count(added);
    }
    /// Adds preset slot `slot` with `data` in the middle: the cheapest three-part request.
    [[nodiscard]] Result<> add_preset(std::uint16_t slot, const Segment& data, bool device_writes, Request& request) noexcept {
        return count(ring_.add_preset(slot, data, device_writes, request));
    }
    void preset(std::uint16_t slot, const Segment& first, const Segment& last) noexcept { ring_.preset(slot, first, last); }
    [[nodiscard]] std::uint16_t preset_count() const noexcept { return ring_.preset_count(); }

    /// Fixed slots (QueueOptions::fixed): see SplitRing. The cheapest way for requests of one descriptor.
    void fix_readable(std::uint16_t slot, const Segment& segment) noexcept { ring_.fix_readable(slot, segment); }
    void fix_writable(std::uint16_t slot, const Segment& segment) noexcept { ring_.fix_writable(slot, segment); }
    [[nodiscard]] Result<> fix_table(std::uint16_t slot, std::span<const Segment> readable) noexcept {
        return ring_.fix_table(slot, readable);
    }
    [[nodiscard]] Result<> add_fixed(std::uint16_t slot, Request& request) noexcept { return count(ring_.add_fixed(slot, request)); }

    void publish() noexcept { ring_.publish(); }
    /// Rings the doorbell if the device asked for it.
    void kick_if_needed() noexcept {
        if (!started_) return;
        if (ring_.needs_kick()) {
            doorbell_.ring(ring_.available_index());
            ++counters_.kicks;
        } else {
            ++counters_.kicks_suppressed;
        }
    }
    /// Rings the doorbell though the device did not ask, and there may be nothing new: for devices that go on only when they hear it.
    void kick_always() noexcept {
        if (!started_) return;
        doorbell_.ring(ring_.available_index());
        ++counters_.kicks;
    }
    /// publish() and kick_if_needed().
    void kick() noexcept {
        if (ring_.publish()) kick_if_needed();
    }

    /// Takes up to `budget` completions and calls each request's `complete`. Returns how many. A broken queue returns 0.
    unsigned poll(unsigned budget) noexcept;

    void suppress_interrupts() noexcept {
        if (created()) ring_.suppress_interrupts();
    }
    /// Arms after `more` further completions and looks again; true: poll once more before sleeping.
    [[nodiscard]] bool arm_interrupts(std::uint16_t more = 1) noexcept { return created() && ring_.arm_interrupts(more); }
    [[nodiscard]] bool pending() const noexcept { return created() && ring_.pending(); }
    /// Something was used, and an interrupt should have told.
    [[nodiscard]] bool overdue() const noexcept { return pending() && !(lazy_ && ring_.interrupts_suppressed()); }

    /// Calls `waiter` once, from the next poll() that frees descriptors.
    void when_room(RoomWaiter& waiter) noexcept { room_waiter_ = &waiter; }

    // --- state ---

    [[nodiscard]] std::uint16_t index() const noexcept { return index_; }
    [[nodiscard]] std::uint16_t size() const noexcept { return ring_.size(); }
    [[nodiscard]] std::uint16_t room() const noexcept { return ring_.free_descriptors(); }
    [[nodiscard]] std::uint16_t in_flight() const noexcept { return ring_.in_flight(); }
    /// The longest chain that takes one descriptor only; 0: chains are direct.
    [[nodiscard]] std::uint16_t indirect_entries() const noexcept { return ring_.indirect_entries(); }
    [[nodiscard]] bool broken() const noexcept { return ring_.broken(); }
    [[nodiscard]] RingFault fault() const noexcept { return ring_.fault(); }
    [[nodiscard]] std::uint64_t lengths_clamped() const noexcept { return ring_.lengths_clamped(); }
    [[nodiscard]] std::uint16_t vector() const noexcept { return vector_; }
    /// Grows with every create(): what belongs to an older one is stale.
    [[nodiscard]] std::uint32_t generation() const noexcept { return generation_; }
    [[nodiscard]] const QueueCounters& counters() const noexcept { return counters_; }
    [[nodiscard]] QueueCounters& counters() noexcept { return counters_; }
    [[nodiscard]] bool created() const noexcept { return slots_ != nullptr; }

    // --- life cycle: for virtio::Device ---

    /// Allocates and lays out a ring of the largest size allowed. `offered` is what the device can take. Errors:
    /// queue_unavailable (offered 0), queue_size_invalid, out_of_memory.
    [[nodiscard]] Result<> create(Platform& platform, DmaDomain& domain, std::uint16_t index, std::uint32_t offered,
                                  const FeatureSet& features, const QueueOptions& options) noexcept;
    [[nodiscard]] DmaAddress descriptor_address() const noexcept { return memory_.address; }
    [[nodiscard]] DmaAddress driver_address() const noexcept { return memory_.address + split_layout(size()).driver; }
    [[nodiscard]] DmaAddress device_address() const noexcept { return memory_.address + split_layout(size()).device; }
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
        if (added) [[likely]]
            ++counters_.requests;
        else if (added.error() == Error::ring_full)
            ++counters_.ring_full;
        else
            ++counters_.errors;
        return added;
    }
    void free_memory() noexcept;

    SplitRing ring_;
    Doorbell doorbell_;
    QueueCounters counters_;
    RoomWaiter* room_waiter_ = nullptr;
    Platform* platform_ = nullptr;
    DmaDomain* domain_ = nullptr;
    SplitRing::Slot* slots_ = nullptr;
    DmaMemory memory_;
    DmaMemory tables_;
    std::uint32_t generation_ = 0;
    std::uint16_t index_ = 0;
    std::uint16_t vector_ = 0xffff;
    bool own_vector_ = false;
    std::atomic<std::uint32_t> announced_{0}; // by interrupts, ever
    std::uint32_t heard_ = 0;                 // of these, by poll()
    bool started_ = false;
    bool lazy_ = false;
};

} // namespace virtio
