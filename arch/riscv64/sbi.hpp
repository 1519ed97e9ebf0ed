// Calls into the firmware (RISC-V SBI 0.2 and later): what is below supervisor mode. Any context; general registers only.
//
//     if (arch::sbi_has(arch::kSbiTime)) arch::sbi_call(arch::kSbiTime, 0, deadline);
#pragma once

#include <cstdint>

namespace arch {

inline constexpr std::uint64_t kSbiBase = 0x10, kSbiTime = 0x54494d45, kSbiReset = 0x53525354, kSbiLegacyPutchar = 1,
                               kSbiInterrupt = 0x735049, kSbiRemoteFence = 0x52464e43, kSbiHart = 0x48534d;

struct SbiResult {
    std::int64_t error = 0; ///< 0: done
    std::uint64_t value = 0;
};

inline SbiResult sbi_call(std::uint64_t extension, std::uint64_t function, std::uint64_t first = 0, std::uint64_t second = 0,
                          std::uint64_t third = 0, std::uint64_t fourth = 0) noexcept {
    register std::uint64_t a0 asm("a0") = first;
    register std::uint64_t a1 asm("a1") = second;
    register std::uint64_t a2 asm("a2") = third;
    register std::uint64_t a3 asm("a3") = fourth;
    register std::uint64_t a6 asm("a6") = function;
    register std::uint64_t a7 asm("a7") = extension;
    asm volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a3), "r"(a6), "r"(a7) : "memory");
    return {static_cast<std::int64_t>(a0), a1};
}

/// Whether the firmware has an extension.
[[nodiscard]] inline bool sbi_has(std::uint64_t extension) noexcept {
    constexpr std::uint64_t kProbe = 3;
    const SbiResult result = sbi_call(kSbiBase, kProbe, extension);
    return result.error == 0 && result.value != 0;
}

} // namespace arch
