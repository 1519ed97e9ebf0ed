// A hand-written driver's set-up of a PciSeat, independent of libvirtio, that can break one rule of the registers at a time.
#pragma once

#include <cstdint>

#include "tests/conformance/pci_seat.hpp"

namespace scripted {

enum class PciFault : std::uint8_t {
    none,
    refuse_packed,      // leaves RING_PACKED although it is offered
    refuse_order,       // likewise ORDER_PLATFORM
    refuse_config_data, // likewise NOTIF_CONFIG_DATA
    write_read_only,    // writes queue_notif_config_data
    size_zero,          // queue_size 0
    size_not_a_power,   // queue_size 48
    impatient,          // goes on before queue_reset reads 0
    half_set_up,        // enables the queue again without its addresses
    wrong_width,        // notifications of the other width
    wrong_name,         // notifications that name the queue by the other value, or by another queue's
};

/// Bring-up, a notification of each queue, a reset of queue 1 where RING_RESET was offered, and its second start.
void drive(conformance::PciSeat& seat, PciFault fault);

} // namespace scripted
