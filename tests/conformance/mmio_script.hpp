// A hand-written driver of an MMIO device with the referee's registers, independent of libvirtio: it brings the device up, sends a few
// buffers through its two queues, resets queue 1 by itself, starts it again, and resets the device. It can break one rule on that way.
#pragma once

#include <cstdint>

#include "tests/conformance/combination.hpp"
#include "tests/referee/access.h"

namespace scripted {

enum class MmioFault : std::uint8_t {
    none,
    queue_too_large,      // QueueSize above QueueSizeMax
    queue_while_ready,    // writes QueueSize while QueueReady is 1
    queue_reset_unproven, // goes on before QueueReset reads 0
    half_set_up,          // makes the queue ready again without its addresses
    reset_unproven,       // goes on before Status reads 0
    freed_before_reset,   // gives the memory of buffers in flight back before the device is reset
};

/// `together`: the features to accept beside VERSION_1. Returns false when the device refused them.
bool drive_mmio(const referee_access& access, std::uint64_t base, const conformance::Combination& together, MmioFault fault);

} // namespace scripted
