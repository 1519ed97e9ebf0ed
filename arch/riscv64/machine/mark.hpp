// An instruction that does nothing and that nobody else uses: it tells a counting emulator (tests/bench/count.c) where it is. Any context. (riscv64.)
//
//     arch::mark<1>();
#pragma once

#include <cstdint>

namespace arch {

/// LUI to the zero register, which is a hint.
template<std::uint8_t number> inline void mark() noexcept { asm volatile("lui zero, %0" : : "i"(0x5ec00 + number) : "memory"); }

} // namespace arch
