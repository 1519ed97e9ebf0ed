// The words of address translation that all processors share; machine/page_tables.hpp has the tables themselves.
#pragma once

#include <cstdint>

namespace arch {

enum class Access : std::uint8_t { none, read, read_write, read_execute };
enum class Cache : std::uint8_t { normal, device };

struct Translation {
    bool present = false;
    bool writable = false;
    bool executable = false;
    bool device = false;
    std::uint64_t physical = 0;  ///< where the page is
    std::uint64_t page_size = 0; ///< of the leaf entry, present or not; 0: never mapped
};

} // namespace arch
