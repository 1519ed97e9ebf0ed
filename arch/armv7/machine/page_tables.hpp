// Page tables as a data structure: mapping with the largest pages that fit, splitting, changing rights. It writes tables only, so that it
// can be tested on a host; use_page_tables() and invalidate() make the processor believe them. Tables come from the given function (zeroed
// or not, 4 KiB, identity-mapped). (armv7: the long descriptors of the large address extension, three levels, of the first one four
// entries: ARM DDI 0406C, B3.6.)
//
//     arch::PageTables tables;
//     tables.start(allocate, arch::largest_page());
//     tables.map(0x40200000, 0x40200000, 0x200000, arch::Access::read_write, arch::Cache::normal);
#pragma once

#include <cstddef>
#include <cstdint>

#include "arch/mapping.hpp"

namespace arch {

class PageTables {
public:
    using Allocate = std::uint64_t* (*)();
    /// Writes an entry whose old value the processor may have in its TLB, with pages of another size behind it.
    using Replace = void (*)(std::uint64_t* entry, std::uint64_t value);
    enum class Largest : std::uint8_t { page, two_megabytes, gigabyte };

    constexpr PageTables() noexcept = default;
    /// False if there is no memory for the root table.
    [[nodiscard]] bool start(Allocate allocate, Largest largest) noexcept;

    /// Maps `size` bytes from `begin` on (both multiples of 4 KiB) to `physical`, over whatever was there. False: no memory for a table (a
    /// part may be mapped).
    [[nodiscard]] bool map(std::uint64_t begin, std::uint64_t physical, std::uint64_t size, Access access, Cache cache) noexcept;
    /// Changes the rights of what is mapped or guarded; the kind of caching stays. False: no memory for a table, or a page was never mapped.
    [[nodiscard]] bool protect(std::uint64_t begin, std::uint64_t size, Access access) noexcept;
    [[nodiscard]] Translation look_up(std::uint64_t address) const noexcept;
    /// Makes pages of all larger ones, and maps nothing but pages from now on: no entry has to be replaced while others use what it maps.
    /// False: no memory for a table (all is mapped as before).
    [[nodiscard]] bool split_all() noexcept;
    [[nodiscard]] std::uint64_t root() const noexcept { return reinterpret_cast<std::uintptr_t>(root_); }

    /// From now on the processor uses the tables: what it may have remembered is replaced by `replace`.
    void go_live(Replace replace) noexcept { replace_ = replace; }

private:
    [[nodiscard]] std::uint64_t* table_below(std::uint64_t& entry, unsigned level) noexcept;
    [[nodiscard]] std::uint64_t* entry_at(std::uint64_t address, unsigned level) noexcept;
    [[nodiscard]] bool split_below(std::uint64_t* table, unsigned level) noexcept;

    Allocate allocate_ = nullptr;
    Replace replace_ = nullptr;
    std::uint64_t* root_ = nullptr;
    Largest largest_ = Largest::two_megabytes;
};

// --- the processor's side (paging.cpp) ---

/// Memory that is mapped one to one from the first instruction on until use_page_tables().
inline constexpr std::uint64_t kEarlyMappedEnd = std::uint64_t{4} << 30;
/// RAM below is left alone: a null pointer must lead nowhere.
inline constexpr std::uint64_t kLowestUsable = 0x1000;
/// What can be mapped one to one ends here: RAM above is left alone.
inline constexpr std::uint64_t kHighestUsable = 0xe000'0000;
/// Device registers at higher physical addresses (of which there are 40 bits) appear in this window.
inline constexpr std::uint64_t kDeviceWindow = kHighestUsable, kDeviceWindowEnd = 0xffff'0000;

[[nodiscard]] PageTables::Largest largest_page() noexcept;
/// Loads them, and switches on what the processor has for protection beyond them.
void use_page_tables(PageTables& tables) noexcept;
/// The same tables for another processor, which has yet to start: no larger pages any more. False: no memory.
[[nodiscard]] bool share_page_tables() noexcept;
/// Forgets translations of begin..end after a change, on all processors.
void invalidate(std::uint64_t begin, std::uint64_t end) noexcept;

} // namespace arch
