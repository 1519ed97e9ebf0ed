// What the boot protocol handed over, in one processor-neutral structure: memory map, command line, firmware tables, modules.
// Filled once by boot/ before kernel_main; every string and table in it is the kernel's own, bounds-checked copy, so that the
// loader's memory may be reused. Read-only afterwards; any context may read it.
//
//     for (const kernel::MemoryRegion& region : kernel::memory_map()) ...
//     std::string_view options = kernel::boot_info().command_line;
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace kernel {

enum class MemoryKind : std::uint8_t { usable, reserved, acpi_reclaimable, acpi_nvs, unusable };

struct MemoryRegion {
    std::uint64_t base = 0;
    std::uint64_t size = 0;
    MemoryKind kind = MemoryKind::reserved;
};

/// A file that the loader put into memory (QEMU: -initrd). Its pages are never given out by the page allocator.
struct BootModule {
    std::uint64_t base = 0;
    std::uint64_t size = 0;
    const char* command_line = "";
};

struct BootInfo {
    const char* protocol = ""; ///< how we were started: "PVH", "multiboot2", "Linux"
    const char* loader = "";   ///< the loader's own name where it says one, such as "GRUB 2.06"
    std::array<MemoryRegion, 128> memory{};
    std::size_t memory_count = 0;
    const char* command_line = "";
    std::uint64_t rsdp = 0;        ///< physical address of a checked ACPI root pointer, 0 if there is none
    std::uint64_t mp_table = 0;    ///< physical address of a checked MP floating pointer structure, 0 if there is none
    std::uint64_t device_tree = 0; ///< physical address of a checked flattened device tree, 0 if there is none
    std::array<BootModule, 8> modules{};
    std::size_t module_count = 0;
};

/// Valid from kernel_main on.
[[nodiscard]] const BootInfo& boot_info() noexcept;

[[nodiscard]] inline std::span<const MemoryRegion> memory_map() noexcept {
    return std::span(boot_info().memory).first(boot_info().memory_count);
}

} // namespace kernel
