// Inside kernel/power only: the interrupt handlers behind the power button.
#pragma once

#include <atomic>
#include <cstdint>

namespace kernel::power {

/// Where the fixed button's status bit is: one or two status registers (port numbers, 0: absent).
struct FixedEvents {
    std::uint16_t pm1a_status = 0;
    std::uint16_t pm1b_status = 0;
    std::uint16_t general_status = 0; ///< one byte of the general purpose events; 0: nobody wants one
    std::uint8_t general_bit = 0;     ///< the event in it that somebody waits for
};
inline constexpr std::uint16_t kPowerButtonStatus = 1 << 8;

extern std::atomic<std::uint32_t> button_pressed;
extern std::atomic<std::uint32_t> general_event;

/// ACPI's system control interrupt; `context` is a FixedEvents.
void on_system_control(void* context);
/// The generic event device's interrupt; `context` is the selector register's address (reading it clears the events).
void on_generic_event(void* context);
/// A PL061's interrupt; `context` is the address of its registers, and the button's is the only pin that interrupts.
void on_gpio(void* context);
inline constexpr std::uintptr_t kGpioPending = 0x418, kGpioClear = 0x41c;

} // namespace kernel::power
