// What stands on a stack of this processor: registers saved by an exception, frames of functions, the code of a call. (aarch64.)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "arch/kernel_hooks.hpp"

namespace arch {

/// Registers as the exception entry saves them.
struct ExceptionFrame {
    enum class Kind : std::uint64_t { synchronous, interrupt, fast_interrupt, system_error };
    std::uint64_t x[31];
    std::uint64_t sp; // of the code that was interrupted
    std::uint64_t elr, spsr, esr, far;
    Kind kind;
    std::uint64_t unused; // for the alignment
};
static_assert(sizeof(ExceptionFrame) == 304);

/// Where a function's frame holds its caller's frame pointer and its return address, in words from the frame pointer on.
inline constexpr std::ptrdiff_t kCallerFrameWord = 0, kReturnAddressWord = 1;

/// A call leaves its return address in x30.
inline constexpr bool kCallPushesReturnAddress = false;

/// True if the instruction before the address is BL or BLR. The four bytes before it must be readable.
[[nodiscard]] inline bool follows_call(std::uintptr_t address) noexcept {
    if (address % 4 != 0) return false;
    const std::uint32_t code = reinterpret_cast<const std::uint32_t*>(address)[-1];
    return (code & 0xfc000000) == 0x94000000 || (code & 0xfffffc1f) == 0xd63f0000;
}

/// The code of a function that only returns: what a probe tries to execute where nothing may be executed.
inline constexpr std::array<std::uint32_t, 1> kReturnCode = {0xd65f03c0};

} // namespace arch
