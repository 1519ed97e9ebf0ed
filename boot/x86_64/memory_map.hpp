// A loader's memory map becomes kernel::BootInfo's: kinds of E820 and of UEFI, regions that continue each other joined, so that the long
// maps of UEFI fit. Pure; used by the readers of boot information only.
//
//     boot::add_region(info, entry.base, entry.size, boot::e820_kind(entry.type));
#pragma once

#include <cstdint>

#include "kernel/boot_info.hpp"

namespace boot {

/// Type of an E820 entry (ACPI 6.5, 15.1); PVH, multiboot2 and Linux use the same numbers. What is not known is not touched.
[[nodiscard]] constexpr kernel::MemoryKind e820_kind(std::uint32_t type) noexcept {
    using kernel::MemoryKind;
    switch (type) {
    case 1: return MemoryKind::usable;
    case 3: return MemoryKind::acpi_reclaimable;
    case 4: return MemoryKind::acpi_nvs;
    case 5: return MemoryKind::unusable;
    default: return MemoryKind::reserved;
    }
}

/// Type of a UEFI memory descriptor (UEFI 2.10, 7.2.3) once boot services have ended: the loader's and theirs is free then.
[[nodiscard]] constexpr kernel::MemoryKind efi_kind(std::uint32_t type) noexcept {
    using kernel::MemoryKind;
    switch (type) {
    case 1: // loader code, loader data, boot services code and data, conventional memory
    case 2:
    case 3:
    case 4:
    case 7: return MemoryKind::usable;
    case 8: return MemoryKind::unusable;
    case 9: return MemoryKind::acpi_reclaimable;
    case 10: return MemoryKind::acpi_nvs;
    default: return MemoryKind::reserved;
    }
}

/// Empty regions and those that reach into the last page of all addresses are dropped. So is what finds no room any more; a usable region
/// that such a reserved one lies in is given up with it, since it must not be handed out.
inline void add_region(kernel::BootInfo& info, std::uint64_t base, std::uint64_t size, kernel::MemoryKind kind) noexcept {
    if (size == 0 || base + size < base || base + size > ~std::uint64_t{0xfff}) return;
    if (info.memory_count != 0) {
        kernel::MemoryRegion& last = info.memory[info.memory_count - 1];
        if (last.kind == kind && last.base + last.size == base) {
            last.size += size;
            return;
        }
    }
    if (info.memory_count < info.memory.size()) {
        info.memory[info.memory_count++] = {base, size, kind};
        return;
    }
    if (kind == kernel::MemoryKind::usable) return;
    for (kernel::MemoryRegion& region : info.memory)
        if (region.base < base + size && base < region.base + region.size) region.kind = kind;
}

inline void add_module(kernel::BootInfo& info, std::uint64_t base, std::uint64_t size, const char* command_line) noexcept {
    if (size == 0 || base + size < base || info.module_count == info.modules.size()) return;
    info.modules[info.module_count++] = {base, size, command_line};
}

} // namespace boot
