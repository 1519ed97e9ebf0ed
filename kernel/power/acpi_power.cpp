#include <ringside/arch/io.hpp>

#include "kernel/firmware/acpi.hpp"
#include "kernel/firmware/hardware.hpp"
#include "kernel/interrupt/interrupts.hpp"
#include "kernel/memory/address_space.hpp"
#include "kernel/power/button_interrupt.hpp"
#include "kernel/power/firmware_power.hpp"
#include "kernel/power/power.hpp"

namespace kernel::power {
namespace {

using acpi::Register;

constexpr std::uint16_t kSleepEnable = 1 << 13, kSciEnable = 1 << 0, kPowerButtonEnable = 1 << 8;
constexpr unsigned kSleepTypeShift = 10;
// Hardware-reduced ACPI's sleep control register (ACPI 6.5, 4.8.3.7).
constexpr std::uint8_t kReducedSleepEnable = 1 << 5;
constexpr unsigned kReducedSleepTypeShift = 2;

acpi::Fadt fadt;
// Mapped at the start, checked and searched only when the power goes: it is some thousand bytes long.
acpi::Bytes dsdt;
FixedEvents fixed_events;
bool has_system_control = false; // its interrupt is routed

void write8(const Register& reg, std::uint8_t value) noexcept {
    if (reg.space == Register::Space::port) arch::port_write8(static_cast<std::uint16_t>(reg.address), value);
    if (reg.space == Register::Space::memory) arch::mmio_write8(reg.address, value);
}

/// Memory registers are mapped now, while that can fail in peace; one that cannot be mapped counts as absent.
void prepare(Register& reg) {
    if (reg.space == Register::Space::memory && !map_device(reg.address, 1)) reg = {};
}

void enter_s5(const Register& control, std::uint8_t type) noexcept {
    if (control.space != Register::Space::port) return;
    const auto port = static_cast<std::uint16_t>(control.address);
    constexpr std::uint16_t kTypeMask = 7 << kSleepTypeShift;
    const auto value = static_cast<std::uint16_t>((arch::port_read16(port) & ~kTypeMask) | type << kSleepTypeShift | kSleepEnable);
    arch::port_write16(port, value);
}

bool can_enter_s5() noexcept {
    if (dsdt.empty()) return false;
    return fadt.hardware_reduced ? fadt.sleep_control.space != Register::Space::none : fadt.pm1a_control.space == Register::Space::port;
}

void enable_acpi_mode() noexcept {
    const auto control = static_cast<std::uint16_t>(fadt.pm1a_control.address);
    if (fadt.pm1a_control.space != Register::Space::port || (arch::port_read16(control) & kSciEnable) != 0) return;
    if (fadt.smi_command == 0 || fadt.smi_command > 0xffff || fadt.acpi_enable == 0) return;
    arch::port_write8(static_cast<std::uint16_t>(fadt.smi_command), fadt.acpi_enable);
    for (int attempt = 0; attempt < 10'000 && (arch::port_read16(control) & kSciEnable) == 0; ++attempt) arch::relax();
}

virtio::Result<> start_fixed_button() {
    if (!fadt.fixed_power_button || fadt.pm1a_event.space != Register::Space::port) return {};
    enable_acpi_mode();
    const auto vector = allocate_vector(on_system_control, &fixed_events, "acpi");
    if (!vector) return virtio::fail(vector.error());
    const auto enable = [](const Register& block) -> std::uint16_t {
        if (block.space != Register::Space::port) return 0;
        const auto status = static_cast<std::uint16_t>(block.address),
                   enabled = static_cast<std::uint16_t>(status + fadt.pm1_event_bytes / 2);
        arch::port_write16(status, 0xffff); // what happened before we were there is not for us
        arch::port_write16(enabled, kPowerButtonEnable);
        return status;
    };
    fixed_events.pm1a_status = enable(fadt.pm1a_event);
    fixed_events.pm1b_status = enable(fadt.pm1b_event);
    const auto routed = route_line(acpi::system_control_line(fadt), *vector);
    has_system_control = routed.has_value();
    return routed;
}

virtio::Result<> start_event_device() {
    const auto table = acpi::checked_table(dsdt, "DSDT");
    const auto device = table ? acpi::find_event_device(*table) : std::nullopt;
    if (!device) return {};
    const auto selector = map_device(device->selector, 4);
    if (!selector) return virtio::fail(selector.error());
    (void)arch::mmio_read32(device->selector); // events of before
    const auto vector = allocate_vector(on_generic_event, reinterpret_cast<void*>(device->selector), "acpi events");
    if (!vector) return virtio::fail(vector.error());
    return route_line({.gsi = device->gsi,
                       .trigger = device->level ? Trigger::level : Trigger::edge,
                       .polarity = device->active_low ? Polarity::low : Polarity::high},
                      *vector);
}

} // namespace

virtio::Result<> start_firmware() {
    const auto table = acpi::find_table("FACP");
    if (!table) return {};
    fadt = acpi::parse_fadt(*table);
    prepare(fadt.reset);
    prepare(fadt.sleep_control);
    prepare(fadt.sleep_status);
    if (const auto bytes = acpi::map_table(fadt.dsdt, "DSDT")) dsdt = *bytes;
    return fadt.hardware_reduced ? start_event_device() : start_fixed_button();
}

void firmware_off() noexcept {
    const auto table = acpi::checked_table(dsdt, "DSDT");
    const auto s5 = table ? acpi::find_s5(*table) : std::nullopt;
    if (!s5 || !can_enter_s5()) return;
    if (fadt.hardware_reduced) {
        write8(fadt.sleep_control, static_cast<std::uint8_t>(s5->a << kReducedSleepTypeShift | kReducedSleepEnable));
    } else {
        enter_s5(fadt.pm1a_control, s5->a);
        enter_s5(fadt.pm1b_control, s5->b);
    }
    // The power goes a little after the write; a reset now would make a reboot of it.
    for (int i = 0; i < 1'000'000; ++i) arch::relax();
}

void firmware_reset() noexcept { write8(fadt.reset, fadt.reset_value); }

const char* firmware_method() noexcept {
    if (!can_enter_s5()) return nullptr;
    return fadt.hardware_reduced ? "acpi sleep control" : "acpi s5";
}

} // namespace kernel::power

namespace kernel {

std::atomic<std::uint32_t>* watch_general_event(unsigned event) {
    using namespace power;
    using acpi::Register;
    const std::uint16_t half = fadt.general_event_bytes / 2;
    if (!has_system_control || fadt.general_event.space != Register::Space::port || event / 8 >= half) return nullptr;
    const auto status = static_cast<std::uint16_t>(fadt.general_event.address + event / 8);
    const auto enable = static_cast<std::uint16_t>(status + half);
    const auto bit = static_cast<std::uint8_t>(1u << event % 8);
    arch::port_write8(status, bit); // what happened before we were there is not for us
    fixed_events.general_bit = bit;
    fixed_events.general_status = status;
    arch::port_write8(enable, arch::port_read8(enable) | bit);
    return &general_event;
}

} // namespace kernel
