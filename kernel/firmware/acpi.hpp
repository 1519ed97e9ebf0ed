// The machine's ACPI tables: found through the root pointer, mapped read-only, checked. Task context, after start_memory().
//
//     if (auto mcfg = kernel::acpi::find_table("MCFG")) ... kernel::acpi::config_space(*mcfg, 0)
#pragma once

#include <optional>
#include <string_view>

#include "arch/hardware.hpp"
#include "kernel/firmware/acpi_tables.hpp"
#include "kernel/firmware/mp_table.hpp"

namespace kernel {

namespace acpi {
/// Table `index` of those with this signature; nothing if there is no ACPI, no such table, or its checksum is wrong, which is noted.
[[nodiscard]] std::optional<Bytes> find_table(std::string_view signature, std::size_t index = 0);
/// The table at an address (the DSDT, which only the FADT knows), mapped but not yet checked: checked_table() does that.
[[nodiscard]] std::optional<Bytes> map_table(std::uint64_t address, std::string_view signature);
/// The system control interrupt: level and active low (ACPI 6.5, 5.2.9), unless the firmware's overrides say otherwise. After find_hardware().
[[nodiscard]] arch::Line system_control_line(const Fadt& fadt) noexcept;
} // namespace acpi

namespace mp {
/// The machine's MP table, if it has one and no ACPI.
[[nodiscard]] std::optional<Table> find_table();
} // namespace mp

} // namespace kernel
