// The Linux/x86 boot protocol's struct boot_params (the "zero page") turned into kernel::BootInfo: what GRUB's `linux`, QEMU's -kernel with
// a bzImage, kexec and most monitors hand over. Everything is copied and bounds-checked. Pure functions over a view of physical memory, so
// that a host test can hand in hostile bytes.
//
//     boot::FirmwareTables tables;
//     auto ok = boot::read_boot_params(memory, rsi, info, strings, tables);
#pragma once

#include <cstdint>

#include "boot/x86_64/multiboot2.hpp"
#include "boot/x86_64/physical_view.hpp"
#include "kernel/boot_info.hpp"
#include "libvirtio/base.hpp"

namespace boot {

/// out_of_range: it cannot be read; bad_magic: it has no setup header; bad_version: of a protocol before 2.02, which has no pointer to the
/// command line. `strings` must live as long as `info`.
[[nodiscard]] virtio::Result<> read_boot_params(const PhysicalView& memory, std::uint64_t address, kernel::BootInfo& info,
                                                StringStorage& strings, FirmwareTables& tables) noexcept;

} // namespace boot
