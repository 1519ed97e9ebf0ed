// Which interrupt input a PCI function's INTx line ends at, and by which number an interrupt controller knows its messages. The
// platform has the tables (a device tree's interrupt-map and msi-map, or a firmware's routing); here is what they are asked with. Pure
// but for reads of configuration space; task context.
//
//     auto pin = virtio::root_pin(platform, {.segment = 0, .first_bus = 0, .last_bus = 255}, function.address());
//     if (pin) connect(line_of(pin->device, pin->pin));               // a row of interrupt-map
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "drivers/bus/pci_bus.hpp"
#include "libvirtio/pci.hpp"

namespace virtio {

/// An interrupt as it leaves a host bridge's own bus.
struct PciPin {
    std::uint8_t device = 0; ///< 0 to 31
    std::uint8_t pin = 0;    ///< 1 to 4: INTA to INTD

    friend constexpr bool operator==(const PciPin&, const PciPin&) noexcept = default;
};

/// The pin on the other side of a bridge (PCI-to-PCI bridges 1.2, table 9-1).
[[nodiscard]] constexpr std::uint8_t swizzled(std::uint8_t pin, std::uint8_t device) noexcept {
    return static_cast<std::uint8_t>((pin - 1u + device) % 4 + 1);
}

/// Follows a function's pin through the bridges up to the range's first bus. Errors: interrupt_unavailable (the function has no pin),
/// no_device (no bridge leads to its bus).
[[nodiscard]] Result<PciPin> root_pin(PciPlatform& platform, const PciBus::Range& range, const PciAddress& address) noexcept;

/// What a message is signed with: bus, device and function (PCI Express 6.0, 2.2.6.2).
[[nodiscard]] constexpr std::uint16_t requester_id(const PciAddress& address) noexcept {
    return static_cast<std::uint16_t>(address.bus << 8 | (address.device & 31) << 3 | (address.function & 7));
}

} // namespace virtio
