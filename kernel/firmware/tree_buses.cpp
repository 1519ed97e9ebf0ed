// PCI hosts and virtio-mmio slots out of a device tree.
#include <algorithm>

#include "kernel/firmware/tree_hardware.hpp"
#include "kernel/firmware/wire.hpp"

namespace kernel {
namespace {

constexpr unsigned kBusShift = 20;        // configuration space for each bus: 1 MiB
constexpr unsigned kDeviceShift = 11;     // of the device number in an address of PCI
constexpr std::size_t kMostEntries = 256; // of a list, whatever they say
constexpr std::uint32_t kDevices = 32, kPins = 4;
constexpr std::uint64_t kLeastMmioBytes = 0x100; // where the device's own configuration begins

void read_windows(const TreeNode& node, PciHost& host, TreeMachine& into) noexcept {
    for (std::size_t i = 0; i < kMostEntries; ++i) {
        const auto range = node.pci_range(i);
        if (!range) return;
        if (range->space == TreePciRange::Space::configuration) continue;
        if (host.window_count == host.windows.size()) return into.warnings.add(node, "more windows than can be kept");
        PciWindow window{.kind = PciWindow::Kind::memory32,
                         .pci = range->pci,
                         .base = range->cpu,
                         .size = range->size,
                         .prefetchable = range->prefetchable};
        if (range->space == TreePciRange::Space::port) window.kind = PciWindow::Kind::port;
        if (range->space == TreePciRange::Space::memory64) window.kind = PciWindow::Kind::memory64;
        // Ports and short addresses are of 32 bits: what lies beyond nobody can use.
        if (window.kind != PciWindow::Kind::memory64 && (window.pci > 0xffffffff || window.size - 1 > 0xffffffff - window.pci)) {
            into.warnings.add(node, "a window beyond its kind of addresses");
            continue;
        }
        host.windows[host.window_count++] = window;
    }
}

void read_interrupts(const TreeNode& node, PciHost& host) noexcept {
    if (!node.has("interrupt-map")) return;
    host.device_mask = static_cast<std::uint8_t>(node.cell("interrupt-map-mask").value_or(0xffffffff) >> kDeviceShift & (kDevices - 1));
    for (std::uint32_t device = 0; device < kDevices; ++device) {
        if ((device & host.device_mask) != device) continue; // the same as a lower one
        for (std::uint32_t pin = 1; pin <= kPins; ++pin) {
            const std::array<std::uint32_t, 3> unit{std::uint32_t{host.first_bus} << 16 | device << kDeviceShift, 0, 0};
            const std::array<std::uint32_t, 1> specifier{pin};
            const auto interrupt = node.map_interrupt(unit, specifier);
            const auto line = interrupt ? device_line_of(*interrupt) : std::nullopt;
            if (line && host.interrupt_count < host.interrupts.size())
                host.interrupts[host.interrupt_count++] = {static_cast<std::uint8_t>(device), static_cast<std::uint8_t>(pin), *line};
        }
    }
}

void read_messages(const TreeNode& node, PciHost& host, TreeMachine& into) noexcept {
    // Requester id base, controller, id base, how many (pci-msi.txt).
    for (std::size_t i = 0; i < kMostEntries && host.msi_count < host.msi.size(); ++i) {
        const auto begin = node.cell("msi-map", 4 * i), target = node.cell("msi-map", 4 * i + 2), count = node.cell("msi-map", 4 * i + 3);
        if (!begin || !target || !count) return;
        if (*count != 0 && !node.msi(*begin)) {
            into.warnings.add(node, "messages to an interrupt chip that is not there");
            continue;
        }
        host.msi[host.msi_count++] = {*begin, *target, *count};
    }
}

} // namespace

void read_pci_host(const TreeNode& node, TreeMachine& into) noexcept {
    const auto config = node.reg(0);
    if (!config || config->base == 0) return into.warnings.add(node, "a PCI host without configuration space");
    const std::uint32_t first = node.cell("bus-range", 0).value_or(0), last = node.cell("bus-range", 1).value_or(255);
    if (first > last || last > 255) return into.warnings.add(node, "a PCI host with an impossible range of buses");
    const std::uint64_t buses = config->size >> kBusShift;
    if (buses == 0 || config->base % (std::uint64_t{1} << kBusShift) != 0 || config->base >> kBusShift < first)
        return into.warnings.add(node, "configuration space that holds no bus");
    const std::uint32_t segment = node.cell("linux,pci-domain").value_or(static_cast<std::uint32_t>(into.host_count));
    if (segment > 0xffff) return into.warnings.add(node, "an impossible segment number");
    if (into.host_count == into.hosts.size()) return into.warnings.add(node, "more PCI hosts than can be kept");

    PciHost& host = into.hosts[into.host_count++];
    host.config = config->base - (std::uint64_t{first} << kBusShift);
    host.segment = static_cast<std::uint16_t>(segment);
    host.first_bus = static_cast<std::uint8_t>(first);
    host.last_bus = static_cast<std::uint8_t>(std::min<std::uint64_t>(last, first + buses - 1));
    host.assign = true;
    read_windows(node, host, into);
    read_interrupts(node, host);
    read_messages(node, host, into);
}

void read_mmio_device(const TreeNode& node, TreeMachine& into) noexcept {
    const auto registers = node.reg(0);
    if (!registers || registers->base == 0 || registers->base % 4 != 0 || registers->size < kLeastMmioBytes)
        return into.warnings.add(node, "a virtio-mmio device without usable registers");
    if (into.device_count == into.devices.size()) return into.warnings.add(node, "more virtio-mmio devices than can be kept");
    const auto interrupt = node.interrupt(0);
    const auto line = interrupt ? device_line_of(*interrupt) : std::nullopt;
    if (!line) return into.warnings.add(node, "a virtio-mmio device without an interrupt that we know");
    into.devices[into.device_count++] = {registers->base, registers->size, *line, MmioDevice::Source::device_tree};
}

} // namespace kernel
