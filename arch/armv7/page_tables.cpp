#include <machine/page_tables.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "arch/armv7/translation.hpp"

namespace arch {
namespace {

using namespace translation;

constexpr std::uint64_t kAddressLimit = std::uint64_t{1} << 32; // of what is translated
constexpr unsigned kLeaf = 0, kRoot = 2;
constexpr std::size_t kTableBytes = 4096;

constexpr std::uint64_t size_at(unsigned level) noexcept { return std::uint64_t{4096} << (9 * level); }
constexpr std::size_t index_at(std::uint64_t address, unsigned level) noexcept { return address >> (12 + 9 * level) & 511; }
constexpr std::size_t entries_at(unsigned level) noexcept { return level == kRoot ? 4 : 512; }
/// The bit that makes a page of the lowest level's entry, and a table of the others'.
constexpr std::uint64_t kind_at(unsigned level) noexcept { return level == kLeaf ? kTableOrPage : 0; }

constexpr std::uint64_t kRights = kValid | kReadOnly | kNeverPrivileged | kNever;

constexpr std::uint64_t rights(Access access) noexcept {
    switch (access) {
    case Access::none: return kReadOnly | kNever | kNeverPrivileged;
    case Access::read: return kValid | kReadOnly | kNever | kNeverPrivileged;
    case Access::read_write: return kValid | kNever | kNeverPrivileged;
    case Access::read_execute: return kValid | kReadOnly;
    }
    return 0;
}

constexpr std::uint64_t caching(Cache cache) noexcept { return kUsed | (cache == Cache::device ? kDeviceMemory : kNormalMemory); }

/// A leaf keeps its address, size and cache bits even while it is not valid.
bool is_table(std::uint64_t entry, unsigned level) noexcept {
    return level != kLeaf && (entry & (kValid | kTableOrPage)) == (kValid | kTableOrPage);
}

std::uint64_t* table_of(std::uint64_t entry) noexcept {
    return reinterpret_cast<std::uint64_t*>(static_cast<std::uintptr_t>(entry & kAddress));
}

} // namespace

bool PageTables::start(Allocate allocate, Largest largest) noexcept {
    allocate_ = allocate;
    largest_ = largest;
    root_ = allocate();
    if (root_ == nullptr) return false;
    std::memset(root_, 0, kTableBytes); // 32 bytes would do
    return true;
}

/// What stands in a new table is there before the table is.
static void publish(std::uint64_t& entry, std::uint64_t value) noexcept {
    std::atomic_thread_fence(std::memory_order_release);
    entry = value;
}

std::uint64_t* PageTables::table_below(std::uint64_t& entry, unsigned level) noexcept {
    if (is_table(entry, level)) return table_of(entry);
    std::uint64_t* const table = allocate_();
    if (table == nullptr) return nullptr;
    const std::uint64_t before = entry;
    if (before == 0) {
        std::memset(table, 0, kTableBytes);
    } else {
        // A large page becomes 512 smaller ones with the same rights.
        const std::uint64_t step = size_at(level - 1);
        std::uint64_t value = before | kind_at(level - 1);
        for (std::size_t i = 0; i < 512; ++i, value += step) table[i] = value;
    }
    const std::uint64_t value = std::uint64_t{reinterpret_cast<std::uintptr_t>(table)} | kValid | kTableOrPage;
    if ((before & kValid) != 0 && replace_ != nullptr)
        replace_(&entry, value);
    else
        publish(entry, value);
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
    if (begin >= kAddressLimit || size > kAddressLimit - begin || physical > kAddress || size > kAddress - physical) return false;
    const std::uint64_t bits = rights(access) | caching(cache), end = begin + size, distance = physical - begin;
    while (begin < end) {
        auto level = static_cast<unsigned>(largest_);
        while (level > kLeaf && ((begin | distance) % size_at(level) != 0 || end - begin < size_at(level))) --level;
        std::uint64_t* entry = entry_at(begin, level);
        while (entry != nullptr && is_table(*entry, level)) entry = entry_at(begin, --level); // smaller pages are there already
        if (entry == nullptr) return false;
        // As many neighbours in this table as have the same size: no second walk for them.
        const std::uint64_t step = size_at(level);
        const std::uint64_t* const last = entry + std::min<std::uint64_t>(entries_at(level) - index_at(begin, level), (end - begin) / step);
        std::uint64_t value = (begin + distance) | bits | kind_at(level);
        for (; entry != last && !is_table(*entry, level); ++entry, value += step, begin += step) *entry = value;
    }
    return true;
}

bool PageTables::split_below(std::uint64_t* table, unsigned level) noexcept {
    for (std::size_t i = 0; i < entries_at(level) && level != kLeaf; ++i) {
        if (table[i] == 0) continue;
        std::uint64_t* const below = table_below(table[i], level);
        if (below == nullptr || !split_below(below, level - 1)) return false;
    }
    return true;
}

bool PageTables::split_all() noexcept {
    largest_ = Largest::page;
    return split_below(root_, kRoot);
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
                entry = (entry & ~kRights) | rights(access);
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
            table = table_of(entry);
            continue;
        }
        const bool present = (entry & kValid) != 0;
        return {present,
                present && (entry & kReadOnly) == 0,
                present && (entry & kNever) == 0,
                entry != 0 && (entry & kMemoryKind) == kDeviceMemory,
                entry & kAddress,
                entry == 0 ? 0 : size_at(level)};
    }
}

} // namespace arch
