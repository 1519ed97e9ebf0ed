// The information that a multiboot2 loader (GRUB's `multiboot2`) leaves in a list of tags, turned into kernel::BootInfo. Everything is
// copied and bounds-checked: a tag that leads out of the list ends in an error, a pointer out of memory is dropped. Pure functions over a
// view of physical memory, so that a host test can hand in hostile bytes.
//
//     boot::FirmwareTables tables;
//     auto ok = boot::read_multiboot2(memory, ebx, info, strings, tables);
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "boot/x86_64/physical_view.hpp"
#include "kernel/boot_info.hpp"
#include "libvirtio/base.hpp"

namespace boot {

/// In eax at the entry.
constexpr std::uint32_t kMultiboot2Magic = 0x36d76289;

/// What a loader says about the firmware's tables beside an address for BootInfo.
struct FirmwareTables {
    std::uint64_t efi_system_table = 0; ///< 64-bit UEFI's; 0: none
    /// A copy of the ACPI root pointer, version 1 (20 bytes) or 2 (36); only the copy is known, not where it was.
    std::array<std::byte, 36> root_pointer{};
    std::size_t root_pointer_bytes = 0;
};

/// `address` is in ebx at the entry. out_of_range: the information cannot be read or is longer than makes sense; bad_header: a tag does
/// not fit into it. The E820-like map is taken before UEFI's, and that before the two sizes of old. `strings` must live as long as `info`.
[[nodiscard]] virtio::Result<> read_multiboot2(const PhysicalView& memory, std::uint64_t address, kernel::BootInfo& info,
                                               StringStorage& strings, FirmwareTables& tables) noexcept;

} // namespace boot
