// What the kernel asks of every processor, one function each: interrupts on and off, halting, the counter that time is made of, a random
// number. General registers only, so interrupt handlers may use them. (armv7: the generic timer's virtual counter; no random numbers.)
//
//     const std::uint64_t before = arch::read_counter();
#pragma once

#include <cstdint>

namespace arch {

/// CNTVCT, not ordered with surrounding loads: good enough for a clock of one processor.
inline std::uint64_t read_counter() noexcept {
    std::uint32_t low, high;
    asm volatile("mrrc p15, 1, %0, %1, c14" : "=r"(low), "=r"(high));
    return std::uint64_t{high} << 32 | low;
}

inline bool interrupts_enabled() noexcept {
    std::uint32_t status;
    asm volatile("mrs %0, cpsr" : "=r"(status) : : "memory");
    return (status & 0x80) == 0;
}
inline void enable_interrupts() noexcept { asm volatile("cpsie i" : : : "memory"); }
inline void disable_interrupts() noexcept { asm volatile("cpsid i" : : : "memory"); }
/// WFI ends with an interrupt that is pending even while it is masked: nothing can slip in before the halt.
inline void enable_and_halt() noexcept { asm volatile("cpsid i; dsb; wfi; cpsie i; isb" : : : "memory"); }
[[noreturn]] inline void halt_for_ever() noexcept {
    for (;;) asm volatile("cpsid if; wfi" : : : "memory");
}

/// What set_processor_pointer() was given on this processor.
[[nodiscard]] inline void* processor_pointer() noexcept {
    void* pointer;
    asm("mrc p15, 0, %0, c13, c0, 4" : "=r"(pointer)); // TPIDRPRW
    return pointer;
}
inline void set_processor_pointer(void* pointer) noexcept { asm volatile("mcr p15, 0, %0, c13, c0, 4" : : "r"(pointer) : "memory"); }

/// There is no instruction for it before ARMv8.5.
[[nodiscard]] inline bool random_number(std::uint64_t&) noexcept { return false; }
inline constexpr const char* kRandomSource = "none";

} // namespace arch
