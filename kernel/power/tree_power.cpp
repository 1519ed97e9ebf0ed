// The power button of machines that are described by a device tree: a pin of a PL061 GPIO chip. The machine ends by its firmware's calls
// (arch/power.hpp), not by registers in the tree.
#include <ringside/arch/io.hpp>

#include "kernel/firmware/hardware.hpp"
#include "kernel/interrupt/interrupts.hpp"
#include "kernel/memory/address_space.hpp"
#include "kernel/power/button_interrupt.hpp"
#include "kernel/power/firmware_power.hpp"

namespace kernel::power {
namespace {

// Arm PrimeCell GPIO (PL061), 3.3: direction, interrupt sense, both edges, event, mask.
constexpr std::uintptr_t kDirection = 0x400, kSense = 0x404, kBothEdges = 0x408, kEvent = 0x40c, kEnable = 0x410;
constexpr std::uint64_t kGpioBytes = 0x1000;

} // namespace

virtio::Result<> start_firmware() {
    const arch::PowerHardware& found = hardware().power;
    if (found.button_gpio.base == 0 || found.button_gpio.size < kGpioBytes) return {};
    const auto mapped = map_device(found.button_gpio.base, kGpioBytes);
    if (!mapped) return virtio::fail(mapped.error());
    const auto registers = reinterpret_cast<std::uintptr_t>(*mapped);
    const auto vector = allocate_vector(on_gpio, reinterpret_cast<void*>(registers), "power button");
    if (!vector) return virtio::fail(vector.error());
    // An input whose rising edge interrupts; no other pin does.
    const std::uint32_t pin = 1U << found.button_pin;
    const auto change = [&](std::uintptr_t offset, bool set) {
        const std::uint32_t old = arch::mmio_read32(registers + offset);
        arch::mmio_write32(registers + offset, set ? old | pin : old & ~pin);
    };
    arch::mmio_write32(registers + kEnable, 0);
    change(kDirection, false);
    change(kSense, false);
    change(kBothEdges, false);
    change(kEvent, true);
    arch::mmio_write32(registers + kGpioClear, 0xff); // what happened before we were there is not for us
    arch::mmio_write32(registers + kEnable, pin);
    return route_line(found.button_line, *vector);
}

void firmware_off() noexcept {}
void firmware_reset() noexcept {}
const char* firmware_method() noexcept { return nullptr; }

} // namespace kernel::power
