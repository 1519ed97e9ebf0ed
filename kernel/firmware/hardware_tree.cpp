// The machine out of a device tree: what everybody but PCs has.
#include "kernel/boot_info.hpp"
#include "kernel/firmware/hardware.hpp"
#include "kernel/firmware/problems.hpp"
#include "kernel/firmware/tree_hardware.hpp"
#include "kernel/memory/address_space.hpp"
#include "kernel/panic/panic.hpp"

namespace kernel {
namespace {

TreeMachine machine;

std::optional<std::span<const std::byte>> bytes_at(std::uint64_t address, std::size_t size) {
    const auto mapped = map_firmware(address, size);
    if (!mapped) return std::nullopt;
    return std::span(static_cast<const std::byte*>(*mapped), size);
}

} // namespace

void find_hardware() {
    const std::uint64_t address = boot_info().device_tree;
    const auto header = address != 0 ? bytes_at(address, DeviceTree::kHeaderBytes) : std::nullopt;
    const std::uint32_t length = header ? DeviceTree::length(*header) : 0;
    const auto bytes = length != 0 ? bytes_at(address, length) : std::nullopt;
    // The boot stub has taken the memory from it: without it nothing is known of the machine.
    if (!bytes) panic("no device tree at 0x%llx", static_cast<unsigned long long>(address));
    const auto tree = DeviceTree::open(*bytes);
    if (!tree) panic("device tree: %s (at byte %u)", tree.error().what, static_cast<unsigned>(tree.error().offset));
    read_machine(*tree, machine);
    for (const TreeWarning& warning : machine.warnings.all()) note_firmware_problem(warning.node, 0, warning.what);
    if (machine.warnings.more != 0) note_firmware_problem("device tree", 0, "more that makes no sense");
}

const arch::Hardware& hardware() noexcept { return machine.hardware; }
const char* pci_hosts_source() noexcept { return "device tree"; }
std::span<const PciHost> pci_hosts() noexcept { return std::span(machine.hosts).first(machine.host_count); }
std::span<const MmioDevice> mmio_devices() noexcept { return std::span(machine.devices).first(machine.device_count); }

std::optional<arch::Line> pci_line(const PciRoute& route) noexcept {
    for (const PciHost& host : pci_hosts()) {
        if (host.segment != route.segment) continue;
        for (std::size_t i = 0; i < host.interrupt_count; ++i)
            if (host.interrupts[i].device == (route.device & host.device_mask) && host.interrupts[i].pin == route.pin)
                return host.interrupts[i].line;
    }
    return std::nullopt;
}

} // namespace kernel
