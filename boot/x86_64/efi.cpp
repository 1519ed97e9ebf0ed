#include "boot/x86_64/efi.hpp"

#include <algorithm>
#include <array>

#include "boot/x86_64/firmware_scan.hpp"
#include "boot/x86_64/memory_map.hpp"

namespace boot {
namespace {

constexpr std::uint64_t kPage = 4096;
// Far more than any firmware has: they bound the loops.
constexpr std::uint64_t kMostDescriptors = 4096, kMostTables = 1024;

struct MemoryDescriptor {
    std::uint32_t type;
    std::uint32_t reserved;
    std::uint64_t physical_start;
    std::uint64_t virtual_start;
    std::uint64_t pages;
    std::uint64_t attributes;
};
static_assert(sizeof(MemoryDescriptor) == 40);

constexpr std::uint64_t kSystemTableSignature = 0x5453595320494249; // "IBI SYST"
constexpr std::uint64_t kTableCount = 104, kTables = 112;

using Guid = std::array<std::uint8_t, 16>;
struct ConfigurationTable {
    Guid guid;
    std::uint64_t table;
};
static_assert(sizeof(ConfigurationTable) == 24);

constexpr Guid kAcpi20 = {0x71, 0xe8, 0x68, 0x88, 0xf1, 0xe4, 0xd3, 0x11, 0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81};
constexpr Guid kAcpi10 = {0x30, 0x2d, 0x9d, 0xeb, 0x88, 0x2d, 0xd3, 0x11, 0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d};

} // namespace

void read_efi_memory_map(const PhysicalView& memory, std::uint64_t map, std::uint64_t bytes, std::uint64_t descriptor_size,
                         kernel::BootInfo& info) noexcept {
    if (descriptor_size < sizeof(MemoryDescriptor)) return;
    const std::uint64_t count = std::min(bytes / descriptor_size, kMostDescriptors);
    for (std::uint64_t i = 0; i < count; ++i) {
        MemoryDescriptor descriptor{};
        if (!memory.read(map + i * descriptor_size, descriptor)) return;
        if (descriptor.pages > ~std::uint64_t{0} / kPage) continue;
        add_region(info, descriptor.physical_start, descriptor.pages * kPage, efi_kind(descriptor.type));
    }
}

std::uint64_t rsdp_of_efi(const PhysicalView& memory, std::uint64_t system_table) noexcept {
    std::uint64_t signature = 0, count = 0, tables = 0, first_version = 0;
    if (system_table == 0 || !memory.read(system_table, signature) || signature != kSystemTableSignature) return 0;
    if (!memory.read(system_table + kTableCount, count) || !memory.read(system_table + kTables, tables)) return 0;
    for (std::uint64_t i = 0; i < std::min(count, kMostTables); ++i) {
        ConfigurationTable entry{};
        if (!memory.read(tables + i * sizeof entry, entry)) break;
        if (entry.guid == kAcpi20 && is_root_pointer(memory, entry.table)) return entry.table;
        if (entry.guid == kAcpi10 && is_root_pointer(memory, entry.table)) first_version = entry.table;
    }
    return first_version;
}

} // namespace boot
