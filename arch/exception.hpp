// Exceptions as the kernel reports them: what happened, where, and the registers. Any context, any state: no heap, no library, no vector
// registers. Implemented by arch/NAME/, whose machine/frame.hpp has the registers as they are saved.
//
//     const arch::Fault fault = arch::fault_of(frame);
//     if (fault.kind == arch::Fault::Kind::page) ...
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "arch/kernel_hooks.hpp"

namespace arch {

struct Fault {
    enum class Kind : std::uint8_t { page, other };
    enum class Attempt : std::uint8_t { read, write, execute };
    Kind kind = Kind::other;
    Attempt attempt = Attempt::read; ///< of a page fault
    std::uint64_t address = 0;       ///< of a page fault
    const char* name = "";           ///< of anything else
    std::uint64_t code = 0;          ///< the processor's own details
    std::uintptr_t instruction = 0;
    std::uintptr_t stack_pointer = 0;
    std::uintptr_t frame_pointer = 0;
    std::uintptr_t link = 0; ///< the return address in a register; 0 on processors without
};
[[nodiscard]] Fault fault_of(const ExceptionFrame& frame) noexcept;

using Print = void (*)(const char* format, ...);
/// Lines of registers; formats are those of kernel::emergency_print.
void print_registers(const ExceptionFrame& frame, Print print) noexcept;

/// Lowest page of an exception stack, to be unmapped as its guard.
struct GuardPage {
    const void* page;
    const char* owner;
};
/// Exceptions are reported from here on, each on a stack that works. Once, first of all in boot.
void start_exceptions() noexcept;
[[nodiscard]] std::span<const GuardPage> exception_stack_guards() noexcept;

} // namespace arch
