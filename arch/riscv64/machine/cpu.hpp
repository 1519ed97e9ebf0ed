// What the kernel asks of every processor, one function each: interrupts on and off, halting, the counter that time is made of, a random
// number. General registers only, so interrupt handlers may use them. (riscv64, supervisor mode.)
//
//     const std::uint64_t before = arch::read_counter();
#pragma once

#include <cstdint>

namespace arch {

/// The `time` register, the same for all harts, not ordered with surrounding loads: good enough for a clock.
inline std::uint64_t read_counter() noexcept {
    std::uint64_t value;
    asm volatile("rdtime %0" : "=r"(value));
    return value;
}

// Bit 1 of sstatus: supervisor interrupt enable.
inline bool interrupts_enabled() noexcept {
    std::uint64_t status;
    asm volatile("csrr %0, sstatus" : "=r"(status) : : "memory");
    return (status & 2) != 0;
}
inline void enable_interrupts() noexcept { asm volatile("csrsi sstatus, 2" : : : "memory"); }
inline void disable_interrupts() noexcept { asm volatile("csrci sstatus, 2" : : : "memory"); }
/// WFI ends for an interrupt that is pending even while they are held off, so one that came before cannot be slept through.
inline void enable_and_halt() noexcept { asm volatile("wfi; csrsi sstatus, 2" : : : "memory"); }
[[noreturn]] inline void halt_for_ever() noexcept {
    asm volatile("csrw sie, zero" : : : "memory");
    for (;;) asm volatile("wfi" : : : "memory");
}

/// What set_processor_pointer() was given on this processor. (The thread pointer: there are no thread-local variables.)
[[nodiscard]] inline void* processor_pointer() noexcept {
    void* pointer;
    asm("mv %0, tp" : "=r"(pointer));
    return pointer;
}
inline void set_processor_pointer(void* pointer) noexcept { asm volatile("mv tp, %0" : : "r"(pointer) : "memory"); }

/// The entropy source of the scalar cryptography extensions is machine mode's: supervisor mode has no random number of its own.
[[nodiscard]] inline bool random_number(std::uint64_t&) noexcept { return false; }
/// What that source is called.
inline constexpr const char* kRandomSource = "none";

} // namespace arch
