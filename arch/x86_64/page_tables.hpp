// Four-level identity page tables as a data structure: mapping with the largest pages that fit, splitting, changing rights.
// It writes tables only; loading CR3 and invalidating translations is the caller's business. Tables come from the given
// function (zeroed or not, 4 KiB, identity-mapped), so that it can be tested on a host.
//
//     arch::PageTables tables(allocate, arch::PageTables::Largest::gigabyte);
//     tables.map(0x100000, 0x200000, arch::Access::read_write, arch::Cache::normal);
#pragma once

#include <cstddef>
#include <cstdint>

namespace arch {

enum class Access : std::uint8_t { none, read, read_write, read_execute };
enum class Cache : std::uint8_t { normal, device };

struct Translation {
    bool present = false;
    bool writable = false;
    bool executable = false;
    bool device = false;
    std::uint64_t page_size = 0; ///< of the leaf entry, present or not
};

class PageTables {
public:
    using Allocate = std::uint64_t* (*)();
    enum class Largest : std::uint8_t { two_megabytes, gigabyte };

    constexpr PageTables() noexcept = default;
    /// False if there is no memory for the root table.
    [[nodiscard]] bool start(Allocate allocate, Largest largest) noexcept;

    /// Maps begin..begin+size (multiples of 4 KiB) to itself, over whatever was there. False: no memory for a table (a part may be mapped).
    [[nodiscard]] bool map(std::uint64_t begin, std::uint64_t size, Access access, Cache cache) noexcept;
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

} // namespace arch
