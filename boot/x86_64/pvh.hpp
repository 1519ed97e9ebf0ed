// The PVH start information (Xen's hvm_start_info, also spoken by QEMU, Firecracker, Cloud Hypervisor) turned into
// kernel::BootInfo. Everything is copied and bounds-checked: a pointer or count that leads out of the readable memory is
// dropped, never followed. Pure functions over a view of physical memory, so that a host test can hand in hostile bytes.
//
//     boot::PhysicalView memory(nullptr, 4 GiB);
//     auto ok = boot::read_start_info(memory, ebx, info, strings);
#pragma once

#include <cstdint>

#include "boot/x86_64/physical_view.hpp"
#include "kernel/boot_info.hpp"
#include "libvirtio/base.hpp"

namespace boot {

/// bad_magic, bad_version, or out_of_range when the structure itself cannot be read. `strings` must live as long as `info`.
[[nodiscard]] virtio::Result<> read_start_info(const PhysicalView& memory, std::uint64_t address, kernel::BootInfo& info,
                                               StringStorage& strings) noexcept;

} // namespace boot
