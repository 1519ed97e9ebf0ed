// Inside drivers/bus only: the words of configuration space that bridges and slots have, and the two loops over it. Names follow PCI 3.0
// (6.1), the PCI-to-PCI bridge specification 1.2 (3.2) and PCI Express 6.0 (7.5.3). Task context.
//
//     each_function(platform, segment, bus, [&](const PciFunction& function, std::uint8_t header) { ... });
#pragma once

#include <cstdint>

#include "drivers/bus/pci_resources.hpp"
#include "libvirtio/memory.hpp"
#include "libvirtio/pci.hpp"

namespace virtio::pci_registers {

inline constexpr std::uint16_t kCommand = 0x04, kBar0 = 0x10, kInterruptPin = 0x3d;
inline constexpr std::uint32_t kCommandPort = 1u << 0, kCommandMemory = 1u << 1, kCommandBusMaster = 1u << 2;

// Header type, 0x0e.
inline constexpr std::uint8_t kMultiFunction = 0x80, kBridge = 0x01;

// A bridge's header.
inline constexpr std::uint16_t kBusNumbersRegister = 0x18; // primary, secondary, subordinate, latency timer
inline constexpr std::uint16_t kPortWindowRegister = 0x1c, kMemoryWindowRegister = 0x20, kPrefetchableWindowRegister = 0x24;
inline constexpr std::uint16_t kPrefetchableBaseHigh = 0x28, kPrefetchableLimitHigh = 0x2c, kPortWindowHigh = 0x30;

// The PCI Express capability.
inline constexpr std::uint8_t kExpress = 0x10;
inline constexpr std::uint16_t kExpressFlags = 0x02, kSlotCapabilities = 0x14, kSlotControl = 0x18, kSlotStatus = 0x1a;
inline constexpr std::uint16_t kExpressBytes = 0x1c;       // as far as the slot's registers
inline constexpr std::uint32_t kSlotImplemented = 1u << 8; // of the flags
inline constexpr std::uint32_t kSlotHotPlug = 1u << 6;     // of the slot's capabilities

[[nodiscard]] PciWindow memory_window(const PciFunction& bridge) noexcept;
[[nodiscard]] PciWindow prefetchable_window(const PciFunction& bridge) noexcept;
[[nodiscard]] PciWindow port_window(const PciFunction& bridge) noexcept;
/// `window` is a whole number of what the register counts in. Errors: bad_bar (the bridge does not keep it).
[[nodiscard]] Result<> set_memory_window(const PciFunction& bridge, const PciWindow& window) noexcept;
[[nodiscard]] Result<> set_prefetchable_window(const PciFunction& bridge, const PciWindow& window, bool wide) noexcept;
[[nodiscard]] Result<> set_port_window(const PciFunction& bridge, const PciWindow& window) noexcept;

/// visit(function, header type without the multi-function bit) for what answers on a bus.
template<class Visit> void each_function(PciPlatform& platform, std::uint16_t segment, std::uint8_t bus, Visit visit) noexcept {
    for (std::uint8_t slot = 0; slot < 32; ++slot) {
        std::uint8_t functions = 1;
        for (std::uint8_t number = 0; number < functions; ++number) {
            const PciFunction function{platform, {segment, bus, slot, number}};
            if (function.vendor() == 0xffff && !mutant(859)) continue;
            const std::uint8_t header = function.header_type();
            if (number == 0 && (header & kMultiFunction) != 0) functions = 8;
            visit(function, static_cast<std::uint8_t>(header & 0x7f));
        }
    }
}

} // namespace virtio::pci_registers
