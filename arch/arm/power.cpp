// Ending by PSCI (ARM DEN 0022) and, for an emulator's exit status, by semihosting.
#include "arch/power.hpp"

#include <machine/cpu.hpp>

#include "arch/arm/firmware_call.hpp"

namespace arch {
namespace {

void call(const PowerHardware& power, std::uint32_t function) noexcept {
    if (power.psci == PowerHardware::Psci::hvc) ringside_hypervisor_call(function, 0, 0, 0);
    if (power.psci == PowerHardware::Psci::smc) ringside_secure_call(function, 0, 0, 0);
}

} // namespace

void exit_emulator(const PowerHardware&, std::string_view how, int status) noexcept {
    // Where nobody takes the call, it is an exception, which is reported and ends here again.
    static bool tried = false;
    if (how != "semihosting" || tried) return;
    tried = true;
    const std::uintptr_t parameters[2] = {kSemihostingApplicationExit, static_cast<std::uintptr_t>(status)};
    ringside_semihosting(kSemihostingExitExtended, parameters);
}

void power_off(const PowerHardware& power) noexcept { call(power, kPsciSystemOff); }

const char* power_method(const PowerHardware& power) noexcept {
    switch (power.psci) {
    case PowerHardware::Psci::hvc: return "psci by hvc";
    case PowerHardware::Psci::smc: return "psci by smc";
    case PowerHardware::Psci::none: break;
    }
    return nullptr;
}

void reset(const PowerHardware& power) noexcept {
    call(power, kPsciSystemReset);
    halt_for_ever();
}

} // namespace arch
