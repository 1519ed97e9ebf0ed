// An instruction that does nothing and that nobody else uses: it tells a counting emulator (tests/bench/count.c) where it is. Any context. (aarch64.)
//
//     arch::mark<1>();
#pragma once

#include <cstdint>

namespace arch {

/// MOVK to the zero register.
template<std::uint8_t number> inline void mark() noexcept { asm volatile("movk xzr, %0, lsl #16" : : "i"(0x5e00 + number) : "memory"); }

} // namespace arch
