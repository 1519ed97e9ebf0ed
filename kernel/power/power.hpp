// Ending: power off, reboot, and the host's power button.
// power_off and reboot may be called from any context with general registers only; they do not flush anything. The power task
// waits for the button: the interrupt only sets a word and calls wake_hint().
//
//     kernel::wait_for(kernel::power_button_word(), kernel::kNever);   // then flush the disks, and
//     kernel::power_off(0);
#pragma once

#include <atomic>
#include <cstdint>

#include "libvirtio/base.hpp"

namespace kernel {

/// Finds the power registers in the firmware's tables and routes the power button. After start_interrupts(). Without ACPI: power_off still works by reset.
[[nodiscard]] virtio::Result<> start_power();

/// Status 0: ACPI S5 (or what the machine has). Otherwise, with debug-exit=PORT on the command line, the status goes to that port
/// (QEMU's isa-debug-exit ends with (status << 1) | 1); without it, S5 as well.
[[noreturn]] void power_off(int status) noexcept;
[[noreturn]] void reboot() noexcept;

[[nodiscard]] bool power_button_pressed() noexcept;
/// Non-zero once the button was pressed; what wait_for() waits on.
[[nodiscard]] std::atomic<std::uint32_t>& power_button_word() noexcept;

/// Only where there is ACPI: lets a general purpose event set `word`'s value to 1 (what wait_for() waits on); one event in all. Null: this machine has no
/// such events, or no interrupt for them.
[[nodiscard]] std::atomic<std::uint32_t>* watch_general_event(unsigned event);

/// "acpi-s5", "ged", "reset": how power_off will do it, for the log.
[[nodiscard]] const char* power_method() noexcept;

} // namespace kernel
