// QEMU's registers for PCI hot-plug, and what a PC's host bridge passes on, out of a DSDT without an AML interpreter: by the patterns of
// bytes that declare them. Nothing of it is executed. Pure functions over checked bytes; any context.
//
//     if (auto ports = acpi::find_hot_plug_ports(*dsdt)) ...            // only then may the ports be touched
//     acpi::HotPlugBuses buses = acpi::find_hot_plug_buses(*dsdt);
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "kernel/firmware/acpi_tables.hpp"

namespace kernel::acpi {

/// QEMU, docs/specs/acpi_pci_hotplug: 32-bit registers from this port on. The numbers are 0xae00 on pc and 0x0cc0 on q35, but they are
/// believed only where the DSDT declares the region PCST there (and SEJ behind it): on another machine something else may be at those
/// ports, or nothing.
[[nodiscard]] std::optional<std::uint16_t> find_hot_plug_ports(Bytes dsdt) noexcept;
inline constexpr std::uint16_t kHotPlugArrived = 0x00;  ///< read (and cleared): slots in which a card has arrived, as bits
inline constexpr std::uint16_t kHotPlugLeaving = 0x04;  ///< read: slots of which the card is to leave
inline constexpr std::uint16_t kHotPlugEject = 0x08;    ///< written: slots that the card may leave now
inline constexpr std::uint16_t kHotPlugSelector = 0x10; ///< written: which bus the others are about
inline constexpr unsigned kHotPlugEvent = 1;            ///< of the general purpose events (method _E01)

/// A bus with such slots: the number that selects it (BSEL), and the bridges that lead there from the host bridge's bus.
struct HotPlugBus {
    static constexpr std::size_t kMostBridges = 4;
    struct Bridge {
        std::uint8_t device = 0;
        std::uint8_t function = 0;
        friend constexpr bool operator==(const Bridge&, const Bridge&) noexcept = default;
    };
    std::uint32_t selector = 0;
    std::array<Bridge, kMostBridges> path{};
    std::size_t bridges = 0; ///< 0: the first bus itself
};
struct HotPlugBuses {
    std::array<HotPlugBus, 64> buses{};
    std::size_t count = 0;
};
[[nodiscard]] HotPlugBuses find_hot_plug_buses(Bytes dsdt) noexcept;

/// The largest windows in the _CRS of the host bridge that has bus 0: memory below 4 GiB, ports. (ACPI 6.5, 6.4.3.5)
struct HostBridgeWindows {
    std::uint64_t memory = 0;
    std::uint64_t memory_bytes = 0; ///< 0: none
    std::uint32_t ports = 0;
    std::uint32_t port_count = 0;
};
[[nodiscard]] std::optional<HostBridgeWindows> find_host_bridge_windows(Bytes dsdt) noexcept;

} // namespace kernel::acpi
