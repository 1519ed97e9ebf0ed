// An instruction that does nothing and that nobody else uses: it tells a counting emulator (tests/bench/count.c) where it is. Any context. (armv7.)
//
//     arch::mark<1>();
#pragma once

#include <cstdint>

namespace arch {

/// DBG, which is a hint; the number is below 16.
template<std::uint8_t number> inline void mark() noexcept { asm volatile("dbg %0" : : "i"(number) : "memory"); }

} // namespace arch
