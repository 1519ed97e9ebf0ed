// A queue's state at a glance, for listings, logs and tests: plain values, taken between two calls of the queue's owner, and a line
// of text that needs no C library.
//
//     std::array<char, virtio::kQueueTextBytes> line;
//     log(virtio::to_text(queue.state(), line));      // "queue 0: packed 256, published 12+, used 8+, 4 in flight, ..."
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "libvirtio/ring/ring.hpp"

namespace virtio {

enum class RingKind : std::uint8_t { split, packed };
[[nodiscard]] const char* name(RingKind kind) noexcept;

struct QueueState {
    RingKind kind = RingKind::split;
    bool created = false;
    bool started = false;    // kicks reach the device
    bool suppressed = false; // no interrupts are asked for
    bool pending = false;    // something used waits for poll()
    RingFault fault = RingFault::none;
    std::uint16_t index = 0;
    std::uint16_t size = 0;
    std::uint16_t published = 0; // split: available index; packed: next slot to be made available, wrap counter in bit 15
    std::uint16_t used = 0;      // split: used index; packed: next slot to be used, wrap counter in bit 15
    std::uint16_t in_flight = 0; // requests, with those not yet published
    std::uint16_t room = 0;      // descriptors that general chains may take
    std::uint32_t generation = 0;
    std::uint64_t lengths_clamped = 0;
};

/// Enough for any state.
inline constexpr std::size_t kQueueTextBytes = 320;

/// One line without a line end, cut where `out` is too short, and a terminating 0 if there is room for a byte at all.
std::string_view to_text(const QueueState& state, std::span<char> out) noexcept;

} // namespace virtio
