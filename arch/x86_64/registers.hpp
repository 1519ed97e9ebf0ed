// The processor's own registers, one function each: model-specific registers, CPUID, control registers. For arch/x86_64 and boot/x86_64.
// General registers only, so interrupt handlers may use them.
//
//     if (arch::cpuid(1).ecx & arch::kCpuidTscDeadline) ...
#pragma once

#include <cstdint>

namespace arch {

struct Cpuid {
    std::uint32_t eax, ebx, ecx, edx;
};

inline Cpuid cpuid(std::uint32_t leaf, std::uint32_t subleaf = 0) noexcept {
    Cpuid out;
    asm volatile("cpuid" : "=a"(out.eax), "=b"(out.ebx), "=c"(out.ecx), "=d"(out.edx) : "a"(leaf), "c"(subleaf));
    return out;
}

// Leaf 1, ecx and edx.
inline constexpr std::uint32_t kCpuidX2apic = 1u << 21, kCpuidTscDeadline = 1u << 24, kCpuidHypervisor = 1u << 31;
inline constexpr std::uint32_t kCpuidMachineCheck = 1u << 7;
// Leaf 7, ebx and ecx.
inline constexpr std::uint32_t kCpuidSmep = 1u << 7, kCpuidUmip = 1u << 2;
// Leaf 0x80000001, edx.
inline constexpr std::uint32_t kCpuidGigabytePages = 1u << 26;

inline std::uint64_t read_msr(std::uint32_t number) noexcept {
    std::uint32_t low, high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number) : "memory");
    return std::uint64_t{high} << 32 | low;
}
inline void write_msr(std::uint32_t number, std::uint64_t value) noexcept {
    asm volatile("wrmsr" : : "c"(number), "a"(static_cast<std::uint32_t>(value)), "d"(static_cast<std::uint32_t>(value >> 32)) : "memory");
}

inline std::uint64_t read_cr0() noexcept {
    std::uint64_t value;
    asm volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}
inline void write_cr0(std::uint64_t value) noexcept { asm volatile("mov %0, %%cr0" : : "r"(value) : "memory"); }
inline std::uint64_t read_cr2() noexcept {
    std::uint64_t value;
    asm volatile("mov %%cr2, %0" : "=r"(value));
    return value;
}
inline std::uint64_t read_cr3() noexcept {
    std::uint64_t value;
    asm volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}
inline void write_cr3(std::uint64_t value) noexcept { asm volatile("mov %0, %%cr3" : : "r"(value) : "memory"); }
inline std::uint64_t read_cr4() noexcept {
    std::uint64_t value;
    asm volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}
inline void write_cr4(std::uint64_t value) noexcept { asm volatile("mov %0, %%cr4" : : "r"(value) : "memory"); }
inline void invalidate_page(std::uint64_t address) noexcept { asm volatile("invlpg (%0)" : : "r"(address) : "memory"); }

} // namespace arch
