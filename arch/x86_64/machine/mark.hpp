// An instruction that does nothing and that nobody else uses: it tells a counting emulator (tests/bench/count.c) where it is. Any context. (x86_64.)
//
//     arch::mark<1>();
#pragma once

#include <cstdint>

namespace arch {

/// 0f 1f 84 00 imm32: an 8-byte NOP.
template<std::uint8_t number> inline void mark() noexcept {
    asm volatile(".byte 0x0f, 0x1f, 0x84, 0x00, %c0, 0xde, 0xc0, 0x5e" : : "i"(number) : "memory");
}

} // namespace arch
