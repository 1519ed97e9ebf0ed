#include <machine/page_tables.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>

namespace arch {
namespace {

// Descriptors (ARM ARM, D8.3). Normal memory is attribute 1 of MAIR_EL1, device memory 0 (boot/aarch64/entry.S).
constexpr std::uint64_t kValid = 1, kTableOrPage = 2, kNormal = 1 << 2, kReadOnly = 1 << 7, kInnerShareable = 3 << 8, kAccessed = 1 << 10,
                        kNotGlobal = 1 << 11;
constexpr std::uint64_t kPrivilegedExecuteNever = std::uint64_t{1} << 53, kExecuteNever = std::uint64_t{1} << 54;
constexpr std::uint64_t kRights = kValid | kReadOnly | kPrivilegedExecuteNever;
constexpr std::uint64_t kAddressMask = 0x0000fffffffff000;
constexpr std::uint64_t kAddressLimit = std::uint64_t{1} << 47; // half of what 48 bits reach, as on other processors
constexpr unsigned kLeaf = 0, kRoot = 3;
constexpr std::size_t kTableBytes = 4096;

constexpr std::uint64_t size_at(unsigned level) noexcept { return std::uint64_t{4096} << (9 * level); }
constexpr std::size_t index_at(std::uint64_t address, unsigned level) noexcept { return address >> (12 + 9 * level) & 511; }

constexpr std::uint64_t rights(Access access) noexcept {
    switch (access) {
    case Access::none: return kPrivilegedExecuteNever;
    case Access::read: return kValid | kReadOnly | kPrivilegedExecuteNever;
    case Access::read_write: return kValid | kPrivilegedExecuteNever;
    case Access::read_execute: return kValid | kReadOnly;
    }
    return 0;
}

/// What every leaf has beside its address and rights.
constexpr std::uint64_t kind(Cache cache) noexcept {
    return kAccessed | kNotGlobal | kExecuteNever | (cache == Cache::normal ? kNormal | kInnerShareable : 0);
}

/// A leaf keeps its address, size and attributes even while it is not valid.
bool is_table(std::uint64_t entry, unsigned level) noexcept {
    return level != kLeaf && (entry & (kValid | kTableOrPage)) == (kValid | kTableOrPage);
}

void store(std::uint64_t* entry, std::uint64_t value) { *entry = value; }
PageTables::Replace replace_entry = store;
std::uint64_t physical_limit = std::uint64_t{1} << 48;

/// Rights may change under the processor's eyes; another address, kind or size needs an entry that is invalid in between (ARM ARM, D8.14.1:
/// break before make).
void write(std::uint64_t* entry, std::uint64_t value) noexcept {
    if ((*entry & kValid) != 0 && (value & kValid) != 0 && ((*entry ^ value) & ~kRights) != 0)
        replace_entry(entry, value);
    else
        std::atomic_ref(*entry).store(value, std::memory_order_release); // what stands in a new table before the table
}

} // namespace

void PageTables::set_replace(Replace replace) noexcept { replace_entry = replace; }
void PageTables::set_physical_limit(std::uint64_t limit) noexcept { physical_limit = limit; }

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
        // A block becomes 512 smaller ones, or pages, with the same rights.
        const std::uint64_t step = size_at(level - 1);
        std::uint64_t value = level - 1 == kLeaf ? entry | kTableOrPage : entry;
        for (std::size_t i = 0; i < 512; ++i, value += step) table[i] = value;
    }
    write(&entry, reinterpret_cast<std::uint64_t>(table) | kValid | kTableOrPage);
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
    if (begin >= kAddressLimit || size > kAddressLimit - begin) return false;
    if (physical >= physical_limit || size > physical_limit - physical) return false;
    const std::uint64_t bits = rights(access) | kind(cache), end = begin + size, distance = physical - begin;
    while (begin < end) {
        unsigned level = static_cast<unsigned>(largest_);
        while (level > kLeaf && ((begin | distance) % size_at(level) != 0 || end - begin < size_at(level))) --level;
        std::uint64_t* entry = entry_at(begin, level);
        while (entry != nullptr && is_table(*entry, level)) entry = entry_at(begin, --level); // smaller pages are there already
        if (entry == nullptr) return false;
        // As many neighbours in this table as have the same size: no second walk for them.
        const std::uint64_t step = size_at(level);
        const std::uint64_t* const last = entry + std::min<std::uint64_t>(512 - index_at(begin, level), (end - begin) / step);
        std::uint64_t value = (begin + distance) | bits | (level == kLeaf ? kTableOrPage : 0);
        for (; entry != last && !is_table(*entry, level); ++entry, value += step, begin += step) write(entry, value);
    }
    return true;
}

bool PageTables::split_below(std::uint64_t* table, unsigned level) noexcept {
    for (std::size_t i = 0; i < 512 && level != kLeaf; ++i) {
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
                write(&entry, (entry & ~kRights) | rights(access));
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
        const bool present = (entry & kValid) != 0;
        return {present,
                present && (entry & kReadOnly) == 0,
                present && (entry & kPrivilegedExecuteNever) == 0,
                entry != 0 && (entry & kNormal) == 0,
                entry & kAddressMask,
                entry == 0 ? 0 : size_at(level)};
    }
}

} // namespace arch
