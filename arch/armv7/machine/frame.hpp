// What stands on a stack of this processor: registers saved by an exception, frames of functions, the code of a call. (armv7, ARM state.)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "arch/kernel_hooks.hpp"

namespace arch {

/// Registers as the exception stubs save them.
struct ExceptionFrame {
    std::uint32_t r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11, r12;
    std::uint32_t sp, lr; ///< of the mode that was interrupted
    std::uint32_t vector; ///< offset in the vector table
    std::uint32_t pc;     ///< the instruction itself
    std::uint32_t cpsr;
};

/// Where a function's frame holds its caller's frame pointer and its return address, in words from the frame pointer on: r11 points to the
/// saved lr, below which the caller's r11 is. A function that calls nobody saves r11 alone (kLeafFrameWord).
inline constexpr std::ptrdiff_t kCallerFrameWord = -1, kReturnAddressWord = 0;

/// A call leaves its return address in the link register.
inline constexpr bool kCallPushesReturnAddress = false;

/// True if the code before the address is a call: bl or blx with an offset, blx with a register. The word before it must be readable.
[[nodiscard]] inline bool follows_call(std::uintptr_t address) noexcept {
    if (address % 4 != 0) return false;
    const std::uint32_t code = *reinterpret_cast<const std::uint32_t*>(address - 4);
    return (code & 0x0f000000) == 0x0b000000 || (code & 0xfe000000) == 0xfa000000 || (code & 0x0ffffff0) == 0x012fff30;
}

/// The code of a function that only returns (bx lr): what a probe tries to execute where nothing may be executed.
inline constexpr std::array<std::uint32_t, 1> kReturnCode = {0xe12fff1e};

} // namespace arch
