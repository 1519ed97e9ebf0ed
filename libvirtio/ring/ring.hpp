// What both ring engines share: how a device breaks a queue, the private state of a buffer, and what an engine is set up with.
// Plain values; any context.
#pragma once

#include <cstdint>

#include <ringside/arch/barrier.hpp>

#include "libvirtio/base.hpp"
#include "libvirtio/request.hpp"

namespace virtio {

/// What a device did to break a queue.
enum class RingFault : std::uint8_t {
    none,
    used_index_jump,      // split: the used index moved by more than is in flight, or backwards
    used_id_out_of_range, // no descriptor or buffer id of this queue
    used_id_not_in_flight,
    used_length,  // beyond what was lent; only where strict_length is set
    closed,       // nothing of the device's: the queue is being taken back
    out_of_order, // IN_ORDER: not among the requests in flight from the oldest on
};
[[nodiscard]] const char* message(RingFault fault) noexcept;

/// Private state of a descriptor (split) or buffer id (packed); for a chain's head also its request.
struct RingSlot {
    Request* request = nullptr;
    std::uint32_t writable = 0; // bytes lent for writing, counted as the engine says
    std::uint16_t count = 0;    // descriptors in the chain
    std::uint16_t next = 0;     // free list and chain order
};

/// What a preset or fixed slot looks like, kept private where its descriptor has no place of its own: in packed rings, and in split
/// rings whose descriptors are used in ring order (IN_ORDER).
struct RingTemplate {
    DmaAddress address;         // fixed: of its one segment, or of its table
    std::uint32_t length = 0;   // fixed: of the same; a packed preset's: where its table begins
    std::uint32_t writable = 0; // bytes lent for writing by the request that it is in flight with; a preset's last part beforehand
    std::uint16_t flags = 0;    // fixed: descriptor_flag
    bool in_flight = false;
};

struct RingSetup {
    std::uint16_t size = 0;             // split: a power of two; packed: any, 1..32768
    std::uint16_t presets = 0;          // three-part request slots whose first and last part never change
    std::uint16_t indirect_entries = 0; // entries of each slot's indirect table, 0: none
    bool fixed = false;                 // slots chosen by the owner: add_fixed() only
    RingTemplate* templates = nullptr;  // packed or in_order: as many as presets, or as size where fixed
    bool event_index = false;
    bool in_order = false;
    bool strict_length = false;
    arch::Ordering ordering = arch::Ordering::processors;
};

struct RingTaken {
    Request* request = nullptr; // null: nothing used, or broken
    std::uint16_t head = 0;     // split: the chain's first descriptor; packed: its buffer id
};

} // namespace virtio
