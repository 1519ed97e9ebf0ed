// The devices that the referee plays: a disk, and an echo for rings without a device type's rules. Each is plain data that
// Machine::add_mmio() takes; `Device` is the general form, for a type of one's own.
//
//     machine.add_mmio(0x0a000000, referee::Block{.sectors = 2048, .order = referee::Order::random});
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "tests/referee/chain.hpp"
#include "tests/referee/script.hpp"
#include "tests/referee/wire.hpp"

namespace referee {

class Judge;

/// What every device here offers by default: all that a ring can do.
inline constexpr std::uint64_t kRingFeatures = feature::kVersion1 | feature::kIndirectDesc | feature::kEventIdx | feature::kRingReset;

struct Device {
    std::uint32_t type = 0;                      // 4.2.2, DeviceID; 0: an empty slot
    std::uint64_t features = kRingFeatures;      // offered
    std::vector<std::uint8_t> config{};          // the configuration space
    std::vector<std::uint16_t> queue_sizes{256}; // QueueSizeMax of each queue; 0: not available
    Script script{};                             // of every queue; the seed comes from the machine
    /// Serves one buffer of a queue and returns the bytes written; empty: echo.
    std::function<std::uint32_t(std::uint16_t queue, const Chain& chain, Judge& judge)> serve{};
    bool refuse_features = false; // FEATURES_OK does not stick
};

/// A virtio-blk device (VIRTIO 1.4, 5.2): read, write, flush, get-id over memory of its own, with the rules of a request judged (BLK).
struct Block {
    std::uint64_t sectors = 2048; // of 512 bytes
    std::optional<Order> order{}; // instead of the script's
    std::uint16_t queue_size = 128;
    std::uint64_t features = kRingFeatures;
    bool flush = true;      // offers FLUSH
    bool read_only = false; // offers RO
    Script script{};
    /// The disk's first contents; shorter than the disk: zeros follow.
    std::vector<std::uint8_t> contents{};
};

/// Copies the readable bytes of every buffer into its writable ones (see echo()). Device type 4 (entropy), which has no rules of its own.
struct Echo {
    std::vector<std::uint16_t> queue_sizes{256};
    std::optional<Order> order{};
    std::uint64_t features = kRingFeatures;
    Script script{};
};

} // namespace referee
