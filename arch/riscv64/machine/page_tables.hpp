// Page tables as a data structure: mapping with the largest pages that fit, splitting, changing rights. It writes tables only, so that it
// can be tested on a host; use_page_tables() and invalidate() make the processor believe them. Tables come from the given function (zeroed
// or not, 4 KiB, identity-mapped). (riscv64: Sv39, three levels, pages of 4 KiB, 2 MiB and 1 GiB on every processor that has it.)
//
//     arch::PageTables tables;
//     tables.start(allocate, arch::largest_page());
//     tables.map(0x80200000, 0x80200000, 0x200000, arch::Access::read_write, arch::Cache::normal);
#pragma once

#include <cstddef>
#include <cstdint>

#include "arch/mapping.hpp"

namespace arch {

class PageTables {
public:
    using Allocate = std::uint64_t* (*)();
    enum class Largest : std::uint8_t { two_megabytes, gigabyte };

    constexpr PageTables() noexcept = default;
    /// False if there is no memory for the root table.
    [[nodiscard]] bool start(Allocate allocate, Largest largest) noexcept;

    /// Maps `size` bytes from `begin` on (both multiples of 4 KiB) to `physical`, over whatever was there. False: no memory for a table (a
    /// part may be mapped). Whether memory is cached is the platform's own knowledge here, tied to physical addresses: a device's pages are
    /// only marked as such.
    [[nodiscard]] bool map(std::uint64_t begin, std::uint64_t physical, std::uint64_t size, Access access, Cache cache) noexcept;
    /// Changes the rights of what is mapped or guarded; the kind of caching stays. False: no memory for a table, or a page was never mapped.
    [[nodiscard]] bool protect(std::uint64_t begin, std::uint64_t size, Access access) noexcept;
    [[nodiscard]] Translation look_up(std::uint64_t address) const noexcept;
    [[nodiscard]] std::uint64_t root() const noexcept { return reinterpret_cast<std::uint64_t>(root_); }

private:
    [[nodiscard]] std::uint64_t* table_below(std::uint64_t& entry, unsigned level) noexcept;
    [[nodiscard]] std::uint64_t* entry_at(std::uint64_t address, unsigned level) noexcept;

    Allocate allocate_ = nullptr;
    std::uint64_t* root_ = nullptr;
    Largest largest_ = Largest::two_megabytes;
};

// --- the processor's side (paging.cpp) ---

/// What can be mapped one to one ends here: half of Sv39's addresses.
inline constexpr std::uint64_t kHighestUsable = std::uint64_t{1} << 38;
/// Memory that is mapped one to one from the first instruction on until use_page_tables().
inline constexpr std::uint64_t kEarlyMappedEnd = kHighestUsable;
/// RAM below is left alone: page 0 stays unmapped.
inline constexpr std::uint64_t kLowestUsable = 0x1000;
/// The other half of the addresses is for device registers that lie beyond (a 64-bit window for PCI behind very much memory).
inline constexpr std::uint64_t kDeviceWindow = std::uint64_t{0} - kHighestUsable, kDeviceWindowEnd = std::uint64_t{0} - 0x40000000;

[[nodiscard]] PageTables::Largest largest_page() noexcept;
/// Loads them.
void use_page_tables(const PageTables& tables) noexcept;
/// Forgets translations of begin..end after a change.
void invalidate(std::uint64_t begin, std::uint64_t end) noexcept;

} // namespace arch
