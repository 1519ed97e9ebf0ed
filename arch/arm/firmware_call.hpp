// Calls to whoever runs below the kernel: PSCI by way of the hypervisor or the secure monitor (SMC Calling Convention, ARM DEN 0028; 32-bit
// numbers), and a debugger's semihosting. The three functions are assembly of arch/NAME/; registers as for any call of C. Any context.
#pragma once

#include <cstdint>

namespace arch {

// ARM DEN 0022, 5.1.
inline constexpr std::uint32_t kPsciVersion = 0x84000000, kPsciSystemOff = 0x84000008, kPsciSystemReset = 0x84000009;
inline constexpr std::uintptr_t kPsciCpuOn32 = 0x84000003, kPsciCpuOn64 = 0xc4000003;

// "Semihosting for AArch32 and AArch64", 7.8.
inline constexpr std::uint32_t kSemihostingExitExtended = 0x20;
inline constexpr std::uintptr_t kSemihostingApplicationExit = 0x20026;

extern "C" {
std::intptr_t ringside_hypervisor_call(std::uintptr_t function, std::uintptr_t a, std::uintptr_t b, std::uintptr_t c) noexcept;
std::intptr_t ringside_secure_call(std::uintptr_t function, std::uintptr_t a, std::uintptr_t b, std::uintptr_t c) noexcept;
/// An exception where no debugger or emulator listens.
std::intptr_t ringside_semihosting(std::uint32_t operation, const std::uintptr_t* parameters) noexcept;
}

} // namespace arch
