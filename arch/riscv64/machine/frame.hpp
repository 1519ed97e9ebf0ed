// What stands on a stack of this processor: registers saved by an exception, frames of functions, the code of a call. (riscv64.)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "arch/kernel_hooks.hpp"

namespace arch {

/// Registers as the exception entry saves them (switch of stack included). x[0] is not written.
struct ExceptionFrame {
    std::array<std::uint64_t, 32> x;
    std::uint64_t sepc, scause, stval, sstatus;
};

/// Where a function's frame holds its caller's frame pointer and its return address, in words from the frame pointer (s0) on.
inline constexpr std::ptrdiff_t kCallerFrameWord = -2, kReturnAddressWord = -1;

/// The return address is in a register; a function that calls others saves it in its frame.
inline constexpr bool kCallPushesReturnAddress = false;

/// True if the code before the address is a call: jal or jalr that links to ra, or the short form of the latter. The four bytes before it
/// must be readable.
[[nodiscard]] inline bool follows_call(std::uintptr_t address) noexcept {
    if (address % 2 != 0) return false;
    const auto* code = reinterpret_cast<const std::uint16_t*>(address);
    constexpr std::uint16_t kShortMask = 0xf07f, kShort = 0x9002; // c.jalr; with register 0 it is c.ebreak
    constexpr std::uint16_t kLinkMask = 0x0fff, kJal = 0x00ef, kJalr = 0x00e7;
    const bool is_short = (code[-1] & kShortMask) == kShort && (code[-1] & 0x0f80) != 0;
    return is_short || (code[-2] & kLinkMask) == kJal || (code[-2] & kLinkMask) == kJalr;
}

/// The code of a function that only returns: what a probe tries to execute where nothing may be executed.
inline constexpr std::array<std::uint16_t, 1> kReturnCode = {0x8082};

} // namespace arch
