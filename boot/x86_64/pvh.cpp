#include "boot/x86_64/pvh.hpp"

#include <algorithm>
#include <cstring>

namespace boot {
namespace {

using kernel::MemoryKind;

constexpr std::uint32_t kMagic = 0x336ec578;

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

constexpr MemoryKind kind_of(std::uint32_t type) noexcept {
    switch (type) {
    case 1: return MemoryKind::usable;
    case 3: return MemoryKind::acpi_reclaimable;
    case 4: return MemoryKind::acpi_nvs;
    case 5: return MemoryKind::unusable;
    default: return MemoryKind::reserved;
    }
}

/// Hands out pieces of the string storage.
class StringArena {
public:
    explicit StringArena(StringStorage& storage) noexcept : rest_(storage) {}

    /// Copies a zero-terminated string; what does not fit (or cannot be read) is cut off.
    const char* copy(const PhysicalView& memory, std::uint64_t address) noexcept {
        if (address == 0 || rest_.empty()) return "";
        std::size_t length = 0;
        char c = 0;
        while (length + 1 < rest_.size() && address + length >= address && memory.read(address + length, c) && c != 0) rest_[length++] = c;
        rest_[length] = 0;
        const char* copied = rest_.data();
        rest_ = rest_.subspan(length + 1);
        return copied;
    }

private:
    std::span<char> rest_;
};

bool sums_to_zero(const PhysicalView& memory, std::uint64_t address, std::size_t length) noexcept {
    std::uint8_t sum = 0, byte = 0;
    for (std::size_t i = 0; i < length; ++i) {
        if (!memory.read(address + i, byte)) return false;
        sum = static_cast<std::uint8_t>(sum + byte);
    }
    return sum == 0;
}

bool is_rsdp(const PhysicalView& memory, std::uint64_t address) noexcept {
    std::array<char, 8> text{};
    if (address % 16 != 0 || !memory.read(address, text)) return false;
    return std::memcmp(text.data(), "RSD PTR ", 8) == 0 && sums_to_zero(memory, address, 20);
}

bool is_mp_pointer(const PhysicalView& memory, std::uint64_t address) noexcept {
    std::array<char, 4> text{};
    std::uint8_t length = 0;
    if (!memory.read(address, text) || std::memcmp(text.data(), "_MP_", 4) != 0) return false;
    return memory.read(address + 8, length) && length == 1 && sums_to_zero(memory, address, 16);
}

/// Looks at every 16th byte for the first characters, and only there any closer: this runs over 128 KiB at each boot of a machine
/// without ACPI.
template<class Word, class Predicate>
std::uint64_t scan(const PhysicalView& memory, std::uint64_t begin, std::uint64_t end, Word text, Predicate matches) noexcept {
    begin = (begin + 15) & ~std::uint64_t{15};
    end = std::min(end, memory.size()) & ~std::uint64_t{15};
    if (begin >= end) return 0;
    const std::byte* const first = memory.at(begin);
    const std::byte* const last = memory.at(end);
#pragma GCC unroll 8
    for (const std::byte* at = first; at != last; at += 16) {
        Word word;
        __builtin_memcpy(&word, at, sizeof word); // a freestanding compiler calls the function unless told so
        if (word != text) [[likely]]
            continue;
        if (const std::uint64_t address = begin + static_cast<std::uint64_t>(at - first); matches(memory, address)) return address;
    }
    return 0;
}

std::uint64_t scan_for_rsdp(const PhysicalView& memory, std::uint64_t begin, std::uint64_t end) noexcept {
    return scan(memory, begin, end, std::uint64_t{0x2052545020445352}, is_rsdp); // "RSD PTR "
}

std::uint64_t scan_for_mp_pointer(const PhysicalView& memory, std::uint64_t begin, std::uint64_t end) noexcept {
    return scan(memory, begin, end, std::uint32_t{0x5f504d5f}, is_mp_pointer); // "_MP_"
}

/// The extended BIOS data area's segment stands at 40:0e; nonsense there counts as no such area.
std::uint64_t ebda(const PhysicalView& memory) noexcept {
    std::uint16_t segment = 0;
    if (!memory.read(0x40e, segment)) return 0;
    const std::uint64_t address = std::uint64_t{segment} << 4;
    return address >= 0x400 && address < 0xa0000 ? address : 0;
}

} // namespace

bool PhysicalView::read(std::uint64_t address, std::span<std::byte> out) const noexcept {
    if (address > size_ || out.size() > size_ - address) return false;
    std::memcpy(out.data(), at(address), out.size());
    return true;
}

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
    info.command_line = arena.copy(memory, start.command_line);
    info.rsdp = start.rsdp;

    // Counts are the loader's: look at no more than fit, which also bounds the loops. QEMU's microvm ends the map with an empty entry.
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(map.count, 4096) && info.memory_count < info.memory.size(); ++i) {
        MemoryEntry entry{};
        if (!memory.read(map.map + i * sizeof entry, entry)) break;
        if (entry.size == 0 || entry.base + entry.size < entry.base) continue;
        info.memory[info.memory_count++] = {entry.base, entry.size, kind_of(entry.type)};
    }
    for (std::uint64_t i = 0; i < start.module_count && info.module_count < info.modules.size(); ++i) {
        ModuleEntry entry{};
        if (!memory.read(start.modules + i * sizeof entry, entry)) break;
        if (entry.size == 0 || entry.base + entry.size < entry.base) continue;
        info.modules[info.module_count++] = {entry.base, entry.size, arena.copy(memory, entry.command_line)};
    }
    return {};
}

std::uint64_t find_rsdp(const PhysicalView& memory, std::uint64_t hint) noexcept {
    if (hint != 0 && is_rsdp(memory, hint)) return hint;
    if (const std::uint64_t area = ebda(memory))
        if (const std::uint64_t found = scan_for_rsdp(memory, area, area + 1024)) return found;
    return scan_for_rsdp(memory, 0xe0000, 0x100000);
}

std::uint64_t find_mp_table(const PhysicalView& memory) noexcept {
    if (const std::uint64_t area = ebda(memory))
        if (const std::uint64_t found = scan_for_mp_pointer(memory, area, area + 1024)) return found;
    if (const std::uint64_t found = scan_for_mp_pointer(memory, 0x9fc00, 0xa0000)) return found;
    return scan_for_mp_pointer(memory, 0xf0000, 0x100000);
}

} // namespace boot
