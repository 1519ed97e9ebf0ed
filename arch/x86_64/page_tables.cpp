#include <machine/page_tables.hpp>

#include <algorithm>
#include <cstring>

namespace arch {
namespace {

constexpr std::uint64_t kPresent = 1, kWritable = 2, kWriteThrough = 8, kCacheDisable = 16, kLarge = 0x80;
constexpr std::uint64_t kNoExecute = std::uint64_t{1} << 63;
constexpr std::uint64_t kAddressMask = 0x000ffffffffff000;
constexpr std::uint64_t kAddressLimit = std::uint64_t{1} << 47; // the lower half of 48-bit addresses
constexpr unsigned kLeaf = 0, kRoot = 3;
constexpr std::size_t kTableBytes = 4096;

constexpr std::uint64_t size_at(unsigned level) noexcept { return std::uint64_t{4096} << (9 * level); }
constexpr std::size_t index_at(std::uint64_t address, unsigned level) noexcept { return address >> (12 + 9 * level) & 511; }

constexpr std::uint64_t rights(Access access) noexcept {
    switch (access) {
    case Access::none: return 0;
    case Access::read: return kPresent | kNoExecute;
    case Access::read_write: return kPresent | kWritable | kNoExecute;
    case Access::read_execute: return kPresent;
    }
    return 0;
}

constexpr std::uint64_t caching(Cache cache) noexcept { return cache == Cache::device ? kCacheDisable | kWriteThrough : 0; }

/// A leaf keeps its address, size and cache bits even while it is not present; a table has all three rights bits open.
bool is_table(std::uint64_t entry, unsigned level) noexcept { return level != kLeaf && (entry & kPresent) != 0 && (entry & kLarge) == 0; }

} // namespace

bool PageTables::start(Allocate allocate, Largest largest) noexcept {
    allocate_ = allocate;
    largest_ = largest;
    root_ = allocate();
    if (root_ == nullptr) return false;
    std::memset(root_, 0, kTableBytes);
    return true;
}

std::uint64_t* PageTables::table_below(std::uint64_t& entry, unsigned level) noexcept {
    if (is_table(entry, level)) return reinterpret_cast<std::uint64_t*>(entry & kAddressMask);
    std::uint64_t* const table = allocate_();
    if (table == nullptr) return nullptr;
    if (entry == 0) {
        std::memset(table, 0, kTableBytes);
    } else {
        // A large page becomes 512 smaller ones with the same rights.
        const std::uint64_t step = size_at(level - 1);
        std::uint64_t value = level - 1 == kLeaf ? entry & ~kLarge : entry;
        for (std::size_t i = 0; i < 512; ++i, value += step) table[i] = value;
    }
    entry = reinterpret_cast<std::uint64_t>(table) | kPresent | kWritable;
    return table;
}

std::uint64_t* PageTables::entry_at(std::uint64_t address, unsigned level) noexcept {
    std::uint64_t* table = root_;
    for (unsigned at = kRoot; at > level; --at) {
        table = table_below(table[index_at(address, at)], at);
        if (table == nullptr) return nullptr;
    }
    return &table[index_at(address, level)];
}

bool PageTables::map(std::uint64_t begin, std::uint64_t physical, std::uint64_t size, Access access, Cache cache) noexcept {
    if (begin >= kAddressLimit || size > kAddressLimit - begin || physical > kAddressMask) return false;
    const std::uint64_t bits = rights(access) | caching(cache), end = begin + size, distance = physical - begin;
    while (begin < end) {
        unsigned level = largest_ == Largest::gigabyte ? 2 : 1;
        while (level > kLeaf && ((begin | distance) % size_at(level) != 0 || end - begin < size_at(level))) --level;
        std::uint64_t* entry = entry_at(begin, level);
        while (entry != nullptr && is_table(*entry, level)) entry = entry_at(begin, --level); // smaller pages are there already
        if (entry == nullptr) return false;
        // As many neighbours in this table as have the same size: no second walk for them.
        const std::uint64_t step = size_at(level);
        const std::uint64_t* const last = entry + std::min<std::uint64_t>(512 - index_at(begin, level), (end - begin) / step);
        std::uint64_t value = (begin + distance) | bits | (level == kLeaf ? 0 : kLarge);
        for (; entry != last && !is_table(*entry, level); ++entry, value += step, begin += step) *entry = value;
    }
    return true;
}

bool PageTables::protect(std::uint64_t begin, std::uint64_t size, Access access) noexcept {
    if (begin >= kAddressLimit || size > kAddressLimit - begin) return false;
    for (const std::uint64_t end = begin + size; begin < end;) {
        // Down to the entry that translates this address, splitting only if the range does not cover its page.
        std::uint64_t* table = root_;
        unsigned level = kRoot;
        for (;; --level) {
            std::uint64_t& entry = table[index_at(begin, level)];
            if (entry == 0) return false; // never mapped: there is nothing whose rights could change
            const bool whole = begin % size_at(level) == 0 && end - begin >= size_at(level);
            if (level == kLeaf || (!is_table(entry, level) && whole)) {
                entry = (entry & ~(kPresent | kWritable | kNoExecute)) | rights(access);
                break;
            }
            table = table_below(entry, level);
            if (table == nullptr) return false;
        }
        begin += size_at(level);
    }
    return true;
}

Translation PageTables::look_up(std::uint64_t address) const noexcept {
    const std::uint64_t* table = root_;
    for (unsigned level = kRoot;; --level) {
        const std::uint64_t entry = table == nullptr || address >= kAddressLimit ? 0 : table[index_at(address, level)];
        if (is_table(entry, level)) {
            table = reinterpret_cast<const std::uint64_t*>(entry & kAddressMask);
            continue;
        }
        const bool present = (entry & kPresent) != 0;
        return {present,
                present && (entry & kWritable) != 0,
                present && (entry & kNoExecute) == 0,
                (entry & kCacheDisable) != 0,
                entry & kAddressMask,
                entry == 0 ? 0 : size_at(level)};
    }
}

} // namespace arch
