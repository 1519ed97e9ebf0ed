// A number that only grows, for statistics. A build with RINGSIDE_NO_COUNTERS has none: every counter is then empty, counting
// compiles to nothing, and each reads 0. The whole program must be compiled one way.
#pragma once

#include <cstdint>

namespace virtio {

#ifdef RINGSIDE_NO_COUNTERS
class Counter {
public:
    constexpr Counter() noexcept = default;
    constexpr Counter(std::uint64_t) noexcept {}
    constexpr Counter& operator++() noexcept { return *this; }
    constexpr Counter& operator+=(std::uint64_t) noexcept { return *this; }
    constexpr operator std::uint64_t() const noexcept { return 0; }
};
#else
using Counter = std::uint64_t;
#endif

} // namespace virtio
