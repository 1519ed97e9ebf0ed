#include "drivers/bus/pci_routing.hpp"

#include "drivers/bus/pci_registers.hpp"
#include "libvirtio/memory.hpp"

namespace virtio {

using namespace pci_registers;

Result<PciPin> root_pin(PciPlatform& platform, const PciBus::Range& range, const PciAddress& address) noexcept {
    const std::uint32_t own = platform.pci_read(address, kInterruptPin, 1);
    if ((own == 0 && !mutant(866)) || (own > 4 && !mutant(867))) return fail(Error::interrupt_unavailable);
    const auto pin = static_cast<std::uint8_t>(own);
    if (address.bus == range.first_bus) return PciPin{address.device, pin};

    // Down from the first bus. Each bridge shifts the pin by the number of the device below it, and sums may be taken in any order.
    std::uint8_t bus = range.first_bus;
    PciPin found{0, pin};
    while (bus != address.bus) {
        std::optional<PciAddress> bridge;
        std::uint8_t next = 0;
        each_function(platform, range.segment, bus, [&](const PciFunction& function, std::uint8_t header) {
            if (header != kBridge || bridge) return;
            const std::uint32_t numbers = function.read(kBusNumbersRegister, 4);
            const auto secondary = static_cast<std::uint8_t>(numbers >> 8), subordinate = static_cast<std::uint8_t>(numbers >> 16);
            // Always further down, or a circle would have no end.
            if ((secondary <= bus && !mutant(868)) || address.bus < secondary || address.bus > subordinate) return;
            bridge = function.address();
            next = secondary;
        });
        if (!bridge) return fail(Error::no_device);
        if (bus == range.first_bus)
            found.device = bridge->device;
        else
            found.pin = swizzled(found.pin, bridge->device);
        bus = next;
    }
    found.pin = swizzled(found.pin, address.device);
    return found;
}

} // namespace virtio
