// Firmware tables that a loader did not name, found by looking where a BIOS puts them. Pure functions over a view of physical memory.
//
//     info.rsdp = boot::find_rsdp(memory, info.rsdp);
//     if (info.rsdp == 0) info.mp_table = boot::find_mp_table(memory);
#pragma once

#include <cstdint>

#include "boot/x86_64/physical_view.hpp"

namespace boot {

/// Whether an ACPI root pointer with a right checksum stands there (ACPI 6.5, 5.2.5.3: of its first 20 bytes).
[[nodiscard]] bool is_root_pointer(const PhysicalView& memory, std::uint64_t address) noexcept;

/// The ACPI root pointer: `hint` if it is one, else the first in the EBDA's first KiB or in 0xe0000-0xfffff, on 16-byte
/// boundaries and with the right checksum only (the text also stands, unaligned, inside firmware code). 0: none.
[[nodiscard]] std::uint64_t find_rsdp(const PhysicalView& memory, std::uint64_t hint) noexcept;

/// The MP floating pointer structure ("_MP_"), looked for in the same manner in EBDA, end of base memory, and 0xf0000-0xfffff. 0: none.
[[nodiscard]] std::uint64_t find_mp_table(const PhysicalView& memory) noexcept;

} // namespace boot
