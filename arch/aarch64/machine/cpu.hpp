// What the kernel asks of every processor, one function each: interrupts on and off, halting, the counter that time is made of, a random
// number. General registers only, so interrupt handlers may use them. (aarch64.)
//
//     const std::uint64_t before = arch::read_counter();
#pragma once

#include <cstdint>

namespace arch {

/// The virtual counter. Not before the instructions ahead of it: a clock that is read early can seem to run backwards.
inline std::uint64_t read_counter() noexcept {
    std::uint64_t value;
    asm volatile("isb; mrs %0, cntvct_el0" : "=r"(value) : : "memory");
    return value;
}

inline bool interrupts_enabled() noexcept {
    std::uint64_t masks;
    asm volatile("mrs %0, daif" : "=r"(masks) : : "memory");
    return (masks & 0x80) == 0;
}
inline void enable_interrupts() noexcept { asm volatile("msr daifclr, #2" : : : "memory"); }
inline void disable_interrupts() noexcept { asm volatile("msr daifset, #2" : : : "memory"); }
/// WFI wakes for an interrupt that is masked as well: it is taken behind the halt, and cannot come before it.
inline void enable_and_halt() noexcept { asm volatile("dsb sy; wfi; msr daifclr, #2" : : : "memory"); }
[[noreturn]] inline void halt_for_ever() noexcept {
    for (;;) asm volatile("msr daifset, #15; wfi" : : : "memory");
}

/// What set_processor_pointer() was given on this processor.
[[nodiscard]] inline void* processor_pointer() noexcept {
    void* pointer;
    asm("mrs %0, tpidr_el0" : "=r"(pointer));
    return pointer;
}
inline void set_processor_pointer(void* pointer) noexcept { asm volatile("msr tpidr_el0, %0" : : "r"(pointer) : "memory"); }

/// A random number from the processor; false without FEAT_RNG or when it is out of entropy (ten tries).
[[nodiscard]] inline bool random_number(std::uint64_t& value) noexcept {
    std::uint64_t features;
    asm volatile("mrs %0, id_aa64isar0_el1" : "=r"(features));
    if (features >> 60 == 0) return false;
    for (int attempt = 0; attempt < 10; ++attempt) {
        bool empty;
        asm volatile("mrs %0, s3_3_c2_c4_0" : "=r"(value), "=@cceq"(empty)); // RNDR; Z is set when it has none
        if (!empty) return true;
    }
    return false;
}
/// What that source is called.
inline constexpr const char* kRandomSource = "rndr";

} // namespace arch
