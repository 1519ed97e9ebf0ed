#include "boot/x86_64/firmware_scan.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace boot {
namespace {

bool sums_to_zero(const PhysicalView& memory, std::uint64_t address, std::size_t length) noexcept {
    std::uint8_t sum = 0, byte = 0;
    for (std::size_t i = 0; i < length; ++i) {
        if (!memory.read(address + i, byte)) return false;
        sum = static_cast<std::uint8_t>(sum + byte);
    }
    return sum == 0;
}

bool is_rsdp(const PhysicalView& memory, std::uint64_t address) noexcept { return address % 16 == 0 && is_root_pointer(memory, address); }

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

bool is_root_pointer(const PhysicalView& memory, std::uint64_t address) noexcept {
    std::array<char, 8> text{};
    if (!memory.read(address, std::as_writable_bytes(std::span(text)))) return false;
    return std::memcmp(text.data(), "RSD PTR ", 8) == 0 && sums_to_zero(memory, address, 20);
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
