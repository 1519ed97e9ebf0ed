#include "kernel/device_manager/acpi_slots.hpp"

#include <algorithm>
#include <optional>
#include <span>

#include <ringside/arch/io.hpp>

#include "kernel/boot_info.hpp"
#include "kernel/device_manager/platform.hpp"
#include "kernel/device_manager/plugging.hpp"
#include "kernel/firmware/acpi.hpp"
#include "kernel/firmware/acpi_hot_plug.hpp"
#include "kernel/log/log.hpp"
#include "kernel/power/power.hpp"

namespace kernel {
namespace {

constexpr std::uint16_t kBusNumbers = 0x18, kHeaderType = 0x0e;
// The chipset's own registers lie below, whatever the host bridge is said to pass on.
constexpr std::uint32_t kFirstFreePort = 0xc000;

std::optional<acpi::Bytes> dsdt() {
    const auto table = acpi::find_table("FACP");
    if (!table) return std::nullopt;
    const auto bytes = acpi::map_table(acpi::parse_fadt(*table).dsdt, "DSDT");
    return bytes ? acpi::checked_table(*bytes, "DSDT") : std::nullopt;
}

/// The bus that the bridges lead to, as they are numbered now; nothing if one of them is not there.
std::optional<std::uint8_t> bus_behind(KernelPlatform& platform, const acpi::HotPlugBus& bus) {
    std::uint8_t number = 0;
    for (const acpi::HotPlugBus::Bridge& step : std::span(bus.path).first(bus.bridges)) {
        const virtio::PciAddress bridge{0, number, step.device, step.function};
        if ((platform.pci_read(bridge, kHeaderType, 1) & 0x7f) != 1) return std::nullopt;
        const auto next = static_cast<std::uint8_t>(platform.pci_read(bridge, kBusNumbers + 1, 1));
        if (next <= number) return std::nullopt;
        number = next;
    }
    return number;
}

} // namespace

bool AcpiSlots::possible() { return boot_info().rsdp != 0; }

bool AcpiSlots::find(KernelPlatform& platform) {
    const auto table = dsdt();
    const auto ports = table ? acpi::find_hot_plug_ports(*table) : std::nullopt;
    if (!ports) return false;
    const acpi::HotPlugBuses buses = acpi::find_hot_plug_buses(*table);
    for (const acpi::HotPlugBus& bus : std::span(buses.buses).first(buses.count))
        if (const auto number = bus_behind(platform, bus)) buses_[count_++] = {bus.selector, *number};
    ports_ = *ports;
    if (count_ != 0) log(LogLevel::debug, "hot-plug: ACPI registers at port 0x%x, %zu buses", static_cast<unsigned>(ports_), count_);
    return count_ != 0;
}

std::atomic<std::uint32_t>* AcpiSlots::watch() { return watch_general_event(acpi::kHotPlugEvent); }

bool AcpiSlots::serves(std::uint8_t bus) const noexcept {
    for (const Bus& each : std::span(buses_).first(count_))
        if (each.number == bus) return true;
    return false;
}

bool AcpiSlots::service() {
    bool arrived = false;
    for (const Bus& bus : std::span(buses_).first(count_)) {
        const auto port = [&](std::uint16_t offset) { return static_cast<std::uint16_t>(ports_ + offset); };
        arch::port_write32(port(acpi::kHotPlugSelector), bus.selector);
        if (arch::port_read32(port(acpi::kHotPlugArrived)) != 0) arrived = true;
        const std::uint32_t leaving = arch::port_read32(port(acpi::kHotPlugLeaving));
        for (std::uint8_t slot = 0; slot < 32; ++slot) {
            if ((leaving >> slot & 1) == 0) continue;
            let_go_of({0, bus.number, slot, 0}, Leaving::asked);
            // Others may have run meanwhile, but nobody else selects.
            arch::port_write32(port(acpi::kHotPlugEject), std::uint32_t{1} << slot);
        }
    }
    return arrived;
}

virtio::PciWindows AcpiSlots::host_windows() {
    const auto table = dsdt();
    const auto found = table ? acpi::find_host_bridge_windows(*table) : std::nullopt;
    if (!found) return {};
    virtio::PciWindows windows;
    windows.memory = {found->memory, found->memory_bytes};
    const std::uint32_t first = std::max(found->ports, kFirstFreePort), end = found->ports + found->port_count;
    if (end > first) windows.port = {first, end - first};
    return windows;
}

} // namespace kernel
