#include "kernel/power/button_interrupt.hpp"

#include <ringside/arch/io.hpp>

#include "kernel/firmware/acpi_tables.hpp"
#include "kernel/task/task.hpp"

namespace kernel::power {

constinit std::atomic<std::uint32_t> button_pressed{0};
constinit std::atomic<std::uint32_t> general_event{0};

namespace {

void press() noexcept {
    button_pressed.store(1, std::memory_order_release);
    wake_hint();
}

} // namespace

void on_system_control(void* context) {
    const auto& events = *static_cast<const FixedEvents*>(context);
    for (const std::uint16_t port : {events.pm1a_status, events.pm1b_status}) {
        if (port == 0) continue;
        const std::uint16_t status = arch::port_read16(port);
        // Writing the bits back clears them; the line stays asserted as long as an enabled one is set.
        arch::port_write16(port, status);
        if ((status & kPowerButtonStatus) != 0) press();
    }
    if (events.general_status == 0 || (arch::port_read8(events.general_status) & events.general_bit) == 0) return;
    arch::port_write8(events.general_status, events.general_bit); // clears it
    general_event.store(1, std::memory_order_release);
    wake_hint();
}

void on_generic_event(void* context) {
    const std::uint32_t events = arch::mmio_read32(reinterpret_cast<std::uintptr_t>(context));
    if ((events & acpi::kEventPowerButton) != 0) press();
}

void on_gpio(void* context) {
    const auto registers = reinterpret_cast<std::uintptr_t>(context);
    const std::uint32_t pins = arch::mmio_read32(registers + kGpioPending);
    arch::mmio_write32(registers + kGpioClear, pins);
    if (pins != 0) press();
}

} // namespace kernel::power
