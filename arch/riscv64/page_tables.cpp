#include <machine/page_tables.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>

namespace arch {
namespace {

constexpr std::uint64_t kValid = 1, kReadable = 2, kWritable = 4, kExecutable = 8, kAccessed = 0x40, kDirty = 0x80;
constexpr std::uint64_t kDevice = 0x100; // one of the two bits that the processor leaves to us
constexpr std::uint64_t kRights = kValid | kReadable | kWritable | kExecutable | kAccessed | kDirty;
constexpr std::uint64_t kPageNumberMask = 0x003ffffffffffc00;
constexpr std::uint64_t kPhysicalLimit = std::uint64_t{1} << 56;
constexpr unsigned kLeaf = 0, kRoot = 2;
constexpr std::size_t kTableBytes = 4096;

constexpr std::uint64_t size_at(unsigned level) noexcept { return std::uint64_t{4096} << (9 * level); }
constexpr std::size_t index_at(std::uint64_t address, unsigned level) noexcept { return address >> (12 + 9 * level) & 511; }
constexpr std::uint64_t entry_of(std::uint64_t physical) noexcept { return physical >> 2; }
constexpr std::uint64_t physical_of(std::uint64_t entry) noexcept { return (entry & kPageNumberMask) << 2; }

/// Accessed and dirty are set from the start: a processor may leave setting them to an exception handler, and we have none that does.
constexpr std::uint64_t rights(Access access) noexcept {
    switch (access) {
    case Access::none: return 0;
    case Access::read: return kValid | kReadable | kAccessed;
    case Access::read_write: return kValid | kReadable | kWritable | kAccessed | kDirty;
    case Access::read_execute: return kValid | kReadable | kExecutable | kAccessed;
    }
    return 0;
}

constexpr std::uint64_t caching(Cache cache) noexcept { return cache == Cache::device ? kDevice : 0; }

/// A leaf keeps its address, size and mark even while it is not valid; a table is a valid entry without rights.
bool is_table(std::uint64_t entry, unsigned level) noexcept {
    return level != kLeaf && (entry & (kValid | kReadable | kWritable | kExecutable)) == kValid;
}

/// Addresses of 39 bits, the highest of which is repeated above: a lower and an upper half.
bool has_addresses(std::uint64_t begin, std::uint64_t size) noexcept {
    if (begin < kHighestUsable) return size <= kHighestUsable - begin;
    return begin >= kDeviceWindow && size <= std::uint64_t{0} - begin;
}

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
    if (is_table(entry, level)) return reinterpret_cast<std::uint64_t*>(physical_of(entry));
    std::uint64_t* const table = allocate_();
    if (table == nullptr) return nullptr;
    if (entry == 0) {
        std::memset(table, 0, kTableBytes);
    } else {
        // A large page becomes 512 smaller ones with the same rights.
        const std::uint64_t step = entry_of(size_at(level - 1));
        std::uint64_t value = entry;
        for (std::size_t i = 0; i < 512; ++i, value += step) table[i] = value;
    }
    // What stands in it before itself: another hart may be walking here.
    std::atomic_ref(entry).store(entry_of(reinterpret_cast<std::uint64_t>(table)) | kValid, std::memory_order_release);
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
    if (!has_addresses(begin, size) || physical >= kPhysicalLimit || size > kPhysicalLimit - physical) return false;
    const std::uint64_t bits = rights(access) | caching(cache), distance = physical - begin;
    for (std::uint64_t left = size; left != 0;) {
        unsigned level = largest_ == Largest::gigabyte ? 2 : 1;
        while (level > kLeaf && ((begin | distance) % size_at(level) != 0 || left < size_at(level))) --level;
        std::uint64_t* entry = entry_at(begin, level);
        while (entry != nullptr && is_table(*entry, level)) entry = entry_at(begin, --level); // smaller pages are there already
        if (entry == nullptr) return false;
        // As many neighbours in this table as have the same size: no second walk for them.
        const std::uint64_t step = size_at(level);
        const std::uint64_t* const last = entry + std::min<std::uint64_t>(512 - index_at(begin, level), left / step);
        std::uint64_t value = entry_of(begin + distance) | bits;
        for (; entry != last && !is_table(*entry, level); ++entry, value += entry_of(step), begin += step, left -= step) *entry = value;
    }
    return true;
}

bool PageTables::protect(std::uint64_t begin, std::uint64_t size, Access access) noexcept {
    if (!has_addresses(begin, size)) return false;
    for (std::uint64_t left = size; left != 0;) {
        // Down to the entry that translates this address, splitting only if the range does not cover its page.
        std::uint64_t* table = root_;
        unsigned level = kRoot;
        for (;; --level) {
            std::uint64_t& entry = table[index_at(begin, level)];
            if (entry == 0) return false; // never mapped: there is nothing whose rights could change
            const bool whole = begin % size_at(level) == 0 && left >= size_at(level);
            if (level == kLeaf || (!is_table(entry, level) && whole)) {
                entry = (entry & ~kRights) | rights(access);
                break;
            }
            table = table_below(entry, level);
            if (table == nullptr) return false;
        }
        begin += size_at(level);
        left -= size_at(level);
    }
    return true;
}

Translation PageTables::look_up(std::uint64_t address) const noexcept {
    const std::uint64_t* table = root_;
    for (unsigned level = kRoot;; --level) {
        const std::uint64_t entry = table == nullptr || !has_addresses(address, 1) ? 0 : table[index_at(address, level)];
        if (is_table(entry, level)) {
            table = reinterpret_cast<const std::uint64_t*>(physical_of(entry));
            continue;
        }
        const bool present = (entry & kValid) != 0;
        return {present,
                present && (entry & kWritable) != 0,
                present && (entry & kExecutable) != 0,
                (entry & kDevice) != 0,
                physical_of(entry),
                entry == 0 ? 0 : size_at(level)};
    }
}

} // namespace arch
