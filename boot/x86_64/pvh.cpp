#include "boot/x86_64/pvh.hpp"

#include <algorithm>

#include "boot/x86_64/memory_map.hpp"

namespace boot {
namespace {

constexpr std::uint32_t kMagic = 0x336ec578;
constexpr std::uint64_t kMostEntries = 4096;

struct StartInfo {
    std::uint32_t magic;
    std::uint32_t version;
    std::uint32_t flags;
    std::uint32_t module_count;
    std::uint64_t modules;
    std::uint64_t command_line;
    std::uint64_t rsdp;
};
static_assert(sizeof(StartInfo) == 40);

// Follows in version 1.
struct StartInfoMemory {
    std::uint64_t map;
    std::uint32_t count;
    std::uint32_t reserved;
};
static_assert(sizeof(StartInfoMemory) == 16);

struct ModuleEntry {
    std::uint64_t base;
    std::uint64_t size;
    std::uint64_t command_line;
    std::uint64_t reserved;
};
static_assert(sizeof(ModuleEntry) == 32);

struct MemoryEntry {
    std::uint64_t base;
    std::uint64_t size;
    std::uint32_t type;
    std::uint32_t reserved;
};
static_assert(sizeof(MemoryEntry) == 24);

} // namespace

virtio::Result<> read_start_info(const PhysicalView& memory, std::uint64_t address, kernel::BootInfo& info,
                                 StringStorage& strings) noexcept {
    StartInfo start{};
    if (!memory.read(address, start)) return virtio::fail(virtio::Error::out_of_range);
    if (start.magic != kMagic) return virtio::fail(virtio::Error::bad_magic);
    // Version 0 has no memory map, and without one there is nothing to run in.
    StartInfoMemory map{};
    if (start.version < 1) return virtio::fail(virtio::Error::bad_version);
    if (!memory.read(address + sizeof start, map)) return virtio::fail(virtio::Error::out_of_range);

    StringArena arena(strings);
    info.protocol = "PVH";
    info.command_line = arena.copy(memory, start.command_line);
    info.rsdp = start.rsdp;

    // Counts are the loader's: look at no more than make sense. QEMU's microvm ends the map with an empty entry.
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(map.count, kMostEntries); ++i) {
        MemoryEntry entry{};
        if (!memory.read(map.map + i * sizeof entry, entry)) break;
        add_region(info, entry.base, entry.size, e820_kind(entry.type));
    }
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(start.module_count, kMostEntries); ++i) {
        ModuleEntry entry{};
        if (!memory.read(start.modules + i * sizeof entry, entry)) break;
        add_module(info, entry.base, entry.size, arena.copy(memory, entry.command_line));
    }
    return {};
}

} // namespace boot
