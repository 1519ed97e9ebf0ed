// A device tree turned into the neutral description of the machine (arch/hardware.hpp, kernel/firmware/hardware.hpp): interrupt chips,
// processors, timer, serial port, clock, power, PCI hosts, virtio-mmio slots. Pure functions over a tree that somebody else wrote: what
// makes no sense is left out and named in the warnings. Task context; nothing is kept but what is filled in.
//
//     kernel::TreeMachine machine;
//     kernel::read_machine(tree, machine);
//     for (const kernel::TreeWarning& warning : machine.warnings.all()) log("%s: %s", warning.node, warning.what);
#pragma once

#include "kernel/firmware/device_tree.hpp"
#include "kernel/firmware/hardware.hpp"

namespace kernel {

struct TreeWarning {
    char node[32] = {}; ///< its name, cut off
    const char* what = "";
};

/// The first few things that made no sense.
struct TreeWarnings {
    std::array<TreeWarning, 8> items{};
    std::size_t count = 0;
    std::size_t more = 0; ///< for which there was no room

    void add(const TreeNode& node, const char* what) noexcept;
    [[nodiscard]] std::span<const TreeWarning> all() const noexcept { return std::span(items).first(count); }
};

struct TreeMachine {
    static constexpr std::size_t kMostHosts = 4, kMostDevices = 64;

    arch::Hardware hardware;
    std::array<PciHost, kMostHosts> hosts{};
    std::size_t host_count = 0;
    std::array<MmioDevice, kMostDevices> devices{};
    std::size_t device_count = 0;
    TreeWarnings warnings;
};

/// `into` is a fresh one.
void read_machine(const DeviceTree& tree, TreeMachine& into) noexcept;

/// The serial port alone, for those who want to print before there is memory: what "stdout-path" names, else the first that we can drive.
[[nodiscard]] arch::Uart read_uart(const DeviceTree& tree) noexcept;

/// An interrupt as the processors count it; nothing if its chip is not one that we know, or has no such input.
[[nodiscard]] std::optional<arch::Line> line_of(const TreeInterrupt& interrupt) noexcept;
/// The same for a device that all processors share: nothing, too, if the interrupt is each processor's own (the GIC's private ones).
[[nodiscard]] std::optional<arch::Line> device_line_of(const TreeInterrupt& interrupt) noexcept;

/// Parts of read_machine (tree_buses.cpp).
void read_pci_host(const TreeNode& node, TreeMachine& into) noexcept;
void read_mmio_device(const TreeNode& node, TreeMachine& into) noexcept;

} // namespace kernel
