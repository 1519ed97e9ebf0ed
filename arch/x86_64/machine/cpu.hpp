// What the kernel asks of every processor, one function each: interrupts on and off, halting, the counter that time is made of, a random
// number. General registers only, so interrupt handlers may use them. (x86_64.)
//
//     const std::uint64_t before = arch::read_counter();
#pragma once

#include <cstdint>

namespace arch {

/// The time stamp counter, not ordered with surrounding loads: good enough for a clock of one processor.
inline std::uint64_t read_counter() noexcept {
    std::uint32_t low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return std::uint64_t{high} << 32 | low;
}

inline bool interrupts_enabled() noexcept {
    std::uint64_t flags;
    asm volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
    return (flags & 0x200) != 0;
}
inline void enable_interrupts() noexcept { asm volatile("sti" : : : "memory"); }
inline void disable_interrupts() noexcept { asm volatile("cli" : : : "memory"); }
/// STI holds interrupts off for one more instruction: nothing can slip in before the halt.
inline void enable_and_halt() noexcept { asm volatile("sti; hlt" : : : "memory"); }
[[noreturn]] inline void halt_for_ever() noexcept {
    for (;;) asm volatile("cli; hlt" : : : "memory");
}

/// What set_processor_pointer() was given on this processor: an object whose first member is its own address.
[[nodiscard]] inline void* processor_pointer() noexcept {
    void* pointer;
    asm("movq %%gs:0, %0" : "=r"(pointer));
    return pointer;
}
inline void set_processor_pointer(void* pointer) noexcept {
    const auto value = reinterpret_cast<std::uintptr_t>(pointer);
    asm volatile("wrmsr"
                 :
                 : "c"(0xc0000101), "a"(static_cast<std::uint32_t>(value)), "d"(static_cast<std::uint32_t>(value >> 32))
                 : "memory");
}

/// A random number from the processor; false without RDRAND or when it is out of entropy (ten tries, as its manual advises).
[[nodiscard]] inline bool random_number(std::uint64_t& value) noexcept {
    std::uint32_t eax = 1, ebx, ecx = 0, edx;
    asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    if ((ecx & 1u << 30) == 0) return false;
    for (int attempt = 0; attempt < 10; ++attempt) {
        bool ok;
        asm volatile("rdrand %0" : "=r"(value), "=@ccc"(ok));
        if (ok) return true;
    }
    return false;
}
/// What that source is called.
inline constexpr const char* kRandomSource = "rdrand";

} // namespace arch
