// Ending, as the processor's own means can do it: PSCI on ARM, SBI on RISC-V, a reset on x86 (powering off is ACPI's business there).
// Any context; general registers only. Implemented by arch/NAME/.
//
//     arch::exit_emulator("0xf4", 3);        // returns if there is no such device
//     arch::reset(power);
#pragma once

#include <cstdint>
#include <string_view>

#include "arch/hardware.hpp"

namespace arch {

/// Ends an emulator with a status, by the means that debug-exit= names on the command line: on x86 the port of QEMU's isa-debug-exit (which
/// makes (status << 1) | 1 of it), on ARM "semihosting", on RISC-V the test device, named or not. Returns if there is none.
void exit_emulator(const PowerHardware& power, std::string_view how, int status) noexcept;
/// Returns if the processor has no such means.
void power_off(const PowerHardware& power) noexcept;
[[noreturn]] void reset(const PowerHardware& power) noexcept;
/// What power_off() uses, for the log; null if it cannot.
[[nodiscard]] const char* power_method(const PowerHardware& power) noexcept;

} // namespace arch
