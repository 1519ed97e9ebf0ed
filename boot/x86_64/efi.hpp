// What is left of UEFI once a loader has ended its boot services: the memory map that it hands over, and the system table, through which
// the ACPI tables are found (they are not where a BIOS has them). Pure functions over a view of physical memory; nothing of the firmware
// is ever called.
//
//     boot::read_efi_memory_map(memory, map, bytes, descriptor_size, info);
//     info.rsdp = boot::rsdp_of_efi(memory, system_table);
#pragma once

#include <cstdint>

#include "boot/x86_64/physical_view.hpp"
#include "kernel/boot_info.hpp"

namespace boot {

/// Adds the descriptors (UEFI 2.10, 7.2.3) that lie in `bytes` bytes from `map` on; they are `descriptor_size` bytes apart, which is
/// more than the 40 that this version of us knows. What cannot be read ends the map.
void read_efi_memory_map(const PhysicalView& memory, std::uint64_t map, std::uint64_t bytes, std::uint64_t descriptor_size,
                         kernel::BootInfo& info) noexcept;

/// The ACPI root pointer that the 64-bit system table (UEFI 2.10, 4.3) names, ACPI 2.0's before 1.0's; 0 if there is none that is one.
[[nodiscard]] std::uint64_t rsdp_of_efi(const PhysicalView& memory, std::uint64_t system_table) noexcept;

} // namespace boot
