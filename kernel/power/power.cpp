#include "kernel/power/power.hpp"

#include "arch/power.hpp"
#include "kernel/firmware/command_line.hpp"
#include "kernel/firmware/hardware.hpp"
#include "kernel/interrupt/interrupts.hpp"
#include "kernel/power/button_interrupt.hpp"
#include "kernel/power/firmware_power.hpp"

namespace kernel {

virtio::Result<> start_power() { return power::start_firmware(); }

void power_off(int status) noexcept {
    disable_interrupts();
    if (status != 0) arch::exit_emulator(hardware().power, command_line_value("debug-exit").value_or(""), status);
    power::firmware_off();
    arch::power_off(hardware().power);
    power::firmware_reset();
    arch::reset(hardware().power);
}

void reboot() noexcept {
    disable_interrupts();
    power::firmware_reset();
    arch::reset(hardware().power);
}

bool power_button_pressed() noexcept { return power::button_pressed.load(std::memory_order_acquire) != 0; }
std::atomic<std::uint32_t>& power_button_word() noexcept { return power::button_pressed; }

const char* power_method() noexcept {
    if (const char* method = power::firmware_method()) return method;
    const char* method = arch::power_method(hardware().power);
    return method != nullptr ? method : "reset";
}

} // namespace kernel
