// What the firmware says about the machine, whichever way it says it: ACPI and MP tables (hardware_acpi.cpp) or a device tree
// (hardware_tree.cpp); the build takes the one that the processor's machines have. Filled once by find_hardware(), read-only afterwards.
//
//     kernel::find_hardware();
//     for (const kernel::PciHost& host : kernel::pci_hosts()) ...
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "arch/hardware.hpp"

namespace kernel {

/// A range of PCI addresses that leads to memory or ports: what a bridge forwards.
struct PciWindow {
    enum class Kind : std::uint8_t { port, memory32, memory64 };
    Kind kind = Kind::memory32;
    std::uint64_t pci = 0;  ///< address on the bus
    std::uint64_t base = 0; ///< the same place as the processor sees it
    std::uint64_t size = 0; ///< bytes
    bool prefetchable = false;
};

/// One row of a device tree's interrupt-map: unit (device number) and pin of a function on the root bus to a line.
struct PciInterrupt {
    std::uint8_t device = 0;
    std::uint8_t pin = 0; ///< 1 to 4: INTA to INTD
    arch::Line line;
};

/// One row of msi-map: requester ids begin..begin+count-1 reach the interrupt controller as device ids from `target` on.
struct MsiMapping {
    std::uint32_t begin = 0;
    std::uint32_t target = 0;
    std::uint32_t count = 0;
};

/// Configuration space mapped into memory (ECAM) and what hangs on it.
struct PciHost {
    std::uint64_t config = 0; ///< of bus 0, even if first_bus is higher
    std::uint16_t segment = 0;
    std::uint8_t first_bus = 0;
    std::uint8_t last_bus = 0;
    bool assign = false; ///< nobody has assigned addresses: we do, out of the windows
    std::array<PciWindow, 4> windows{};
    std::size_t window_count = 0;
    std::uint8_t device_mask = 0; ///< bits of the device number that the interrupt map looks at
    std::array<PciInterrupt, 128> interrupts{};
    std::size_t interrupt_count = 0;
    std::array<MsiMapping, 4> msi{};
    std::size_t msi_count = 0; ///< 0: requester ids are device ids
};

/// A virtio-mmio register block, occupied or not.
struct MmioDevice {
    enum class Source : std::uint8_t { command_line, acpi, device_tree };
    std::uint64_t base = 0;
    std::uint64_t size = 0;
    arch::Line line;
    Source source = Source::device_tree;
};

/// Where a function's INTx pin may be looked up.
struct PciRoute {
    std::uint16_t segment = 0;
    std::uint8_t device = 0;         ///< on the root bus: bridges between have been accounted for
    std::uint8_t pin = 0;            ///< 1 to 4
    std::uint8_t interrupt_line = 0; ///< what the firmware wrote into the function's Interrupt Line register
};

/// Once, after memory and before interrupts. What is wrong in a table is noted
/// (firmware/problems.hpp), and the rest of it used.
void find_hardware();

[[nodiscard]] const arch::Hardware& hardware() noexcept;
[[nodiscard]] std::span<const PciHost> pci_hosts() noexcept;
/// Who describes the PCI hosts: "MCFG", "device tree".
[[nodiscard]] const char* pci_hosts_source() noexcept;
/// Of the firmware; the command line's slots are parsed by the device manager.
[[nodiscard]] std::span<const MmioDevice> mmio_devices() noexcept;
/// The line that a PCI pin is wired to; nothing if nobody says.
[[nodiscard]] std::optional<arch::Line> pci_line(const PciRoute& route) noexcept;

} // namespace kernel
