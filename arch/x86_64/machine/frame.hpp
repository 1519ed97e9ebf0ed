// What stands on a stack of this processor: registers saved by an exception, frames of functions, the code of a call. (x86_64.)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "arch/kernel_hooks.hpp"

namespace arch {

/// Registers as the exception stubs save them (switch of stack included).
struct ExceptionFrame {
    std::uint64_t unused;
    std::uint64_t cr2; // valid for page faults
    std::uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    std::uint64_t vector, error_code;
    std::uint64_t rip, cs, rflags, rsp, ss;
};

/// Where a function's frame holds its caller's frame pointer and its return address, in words from the frame pointer on.
inline constexpr std::ptrdiff_t kCallerFrameWord = 0, kReturnAddressWord = 1;

/// A call leaves its return address on the stack, where a function without a frame of its own still shows it.
inline constexpr bool kCallPushesReturnAddress = true;

/// True if the code before the address is a call: e8 and four bytes, or ff with its operand. The seven bytes before it must be readable.
[[nodiscard]] inline bool follows_call(std::uintptr_t address) noexcept {
    const auto* code = reinterpret_cast<const std::uint8_t*>(address);
    return code[-5] == 0xe8 || code[-2] == 0xff || code[-3] == 0xff || code[-6] == 0xff || code[-7] == 0xff;
}

/// The code of a function that only returns: what a probe tries to execute where nothing may be executed.
inline constexpr std::array<std::uint8_t, 1> kReturnCode = {0xc3};

} // namespace arch
