// Virtio devices over MMIO in a DSDT or SSDT: `LNRO0005` devices, found by the pattern of their bytes (there is no AML interpreter
// here). A device counts only if its _HID stands inside a device object whose package has room for it, and if that object has a
// _CRS buffer that is a whole resource template with a fixed block of memory and an interrupt. Pure functions over hostile
// bytes; any context.
//
//     std::array<kernel::acpi::MmioDevice, 32> devices;
//     auto found = kernel::acpi::find_mmio_devices(dsdt, devices);
#pragma once

#include "kernel/firmware/acpi_tables.hpp"

namespace kernel::acpi {

struct MmioDevice {
    std::uint64_t base = 0;
    std::uint64_t size = 0;
    std::uint32_t gsi = 0;
    bool level = false;
    bool active_low = false;
    friend constexpr bool operator==(const MmioDevice&, const MmioDevice&) noexcept = default;
};

/// Whether the text is in there at all: a quick look before a table of some thousand bytes is checked.
[[nodiscard]] bool mentions_mmio_devices(Bytes table) noexcept;

struct MmioDevices {
    std::size_t found = 0;    ///< in `into`
    std::size_t unusable = 0; ///< LNRO0005 devices without resources that can be understood, or where the search was given up
    std::size_t left_out = 0; ///< for which there was no room
};
/// In the order of the table. A device whose _STA is a constant that says "not there" is passed over. The search is
/// bounded: devices that overlap as those of no honest table end it.
[[nodiscard]] MmioDevices find_mmio_devices(Bytes table, std::span<MmioDevice> into) noexcept;

} // namespace kernel::acpi
