// The machine out of ACPI tables, or out of an MP table where there is no ACPI: what PCs have.
#include <algorithm>
#include <array>

#include "kernel/boot_info.hpp"
#include "kernel/firmware/acpi.hpp"
#include "kernel/firmware/acpi_mmio.hpp"
#include "kernel/firmware/hardware.hpp"
#include "kernel/firmware/isa_lines.hpp"
#include "kernel/firmware/problems.hpp"

namespace kernel {
namespace {

using arch::InterruptChip;

constexpr std::uint64_t kIoApicBytes = 0x20;
constexpr std::uint16_t kUartPort = 0x3f8;
constexpr std::uint8_t kPitIrq = 0, kUartIrq = 4;

arch::Hardware found;
std::array<PciHost, 4> hosts;
std::size_t host_count = 0;
std::array<MmioDevice, 64> devices;
std::size_t device_count = 0;
IsaLines isa_lines;

constexpr Line line_of(std::uint32_t gsi, bool level, bool active_low) noexcept {
    return {gsi, level ? Trigger::level : Trigger::edge, active_low ? Polarity::low : Polarity::high};
}

void add_io_apic(std::uint64_t address, std::uint32_t first) noexcept {
    if (found.chip_count == found.chips.size()) return;
    InterruptChip chip{.kind = InterruptChip::Kind::io_apic, .first = first};
    chip.registers[0] = {address, kIoApicBytes};
    found.chips[found.chip_count++] = chip;
}

/// Some firmware lists a processor twice, by its short and by its long id: it must not be started again.
void add_processor(std::uint32_t apic_id) noexcept {
    for (const arch::Processor& known : std::span(found.processors).first(found.processor_count))
        if (known.id == apic_id) return;
    if (found.processor_count < found.processors.size()) found.processors[found.processor_count++].id = apic_id;
}

/// A page of usable memory below 1 MiB, where nobody of ours is: other processors begin there.
std::uint64_t find_start_page() noexcept {
    constexpr std::uint64_t kPage = 4096, kUsual = 0x8000, kEnd = 0xa0000;
    for (const std::uint64_t wanted : {kUsual, kPage}) {
        for (const MemoryRegion& region : memory_map()) {
            const std::uint64_t page = (std::max(region.base, wanted) + kPage - 1) & ~(kPage - 1);
            if (region.kind == MemoryKind::usable && page + kPage <= std::min(region.base + region.size, kEnd)) return page;
        }
    }
    return 0;
}

bool find_chips_in_madt() {
    const auto table = acpi::find_table("APIC");
    if (!table) return false;
    const acpi::Madt madt = acpi::parse_madt(*table);
    if (madt.problem != nullptr) note_firmware_problem("APIC", 0, madt.problem);
    for (std::size_t i = 0; i < madt.io_apic_count; ++i) add_io_apic(madt.io_apics[i].address, madt.io_apics[i].first_gsi);
    for (std::size_t i = 0; i < madt.override_count; ++i) {
        const acpi::IrqOverride& entry = madt.overrides[i];
        isa_lines.override(entry.irq, line_of(entry.gsi, entry.level, entry.active_low));
    }
    for (std::size_t i = 0; i < std::min(madt.processors, madt.apic_ids.size()); ++i) add_processor(madt.apic_ids[i]);
    return found.chip_count != 0;
}

void find_chips_in_mp_table() {
    const auto table = mp::find_table();
    if (!table) return;
    // The table numbers chips by id and inputs within each; global numbers follow the order of the chips, 24 inputs each as on every chip
    // that machines without ACPI have.
    constexpr std::uint32_t kInputs = 24;
    std::array<std::uint32_t, 256> first_gsi_of_id{};
    for (std::size_t i = 0; i < table->io_apic_count; ++i) {
        const auto first = static_cast<std::uint32_t>(i) * kInputs;
        add_io_apic(table->io_apics[i].address, first);
        first_gsi_of_id[table->io_apics[i].id] = first;
    }
    if (found.processor_count == 0)
        for (std::size_t i = 0; i < std::min(table->processors, table->apic_ids.size()); ++i) add_processor(table->apic_ids[i]);
    for (std::size_t i = 0; i < table->interrupt_count; ++i) {
        const mp::IsaInterrupt& entry = table->interrupts[i];
        isa_lines.override(entry.irq, line_of(first_gsi_of_id[entry.io_apic] + entry.input, entry.level, entry.active_low));
    }
}

void find_pci_hosts() {
    const auto table = acpi::find_table("MCFG");
    if (!table) return;
    for (std::size_t i = 0; host_count < hosts.size(); ++i) {
        const auto range = acpi::config_space(*table, i);
        if (!range) return;
        if (range->base == 0 || range->first_bus > range->last_bus) continue;
        hosts[host_count++] = {
            .config = range->base, .segment = range->segment, .first_bus = range->first_bus, .last_bus = range->last_bus};
    }
}

/// Virtio devices that a DSDT or SSDT declares. The table is checked only if it speaks of any: it is some thousand bytes long.
void find_mmio_devices(acpi::Bytes bytes, std::string_view signature) {
    if (!acpi::mentions_mmio_devices(bytes)) return;
    if (const char* problem = acpi::table_problem(bytes)) return note_firmware_problem(signature, 0, problem);
    std::array<acpi::MmioDevice, 64> declared;
    const auto result = acpi::find_mmio_devices(bytes, std::span(declared).first(devices.size() - device_count));
    for (const acpi::MmioDevice& one : std::span(declared).first(result.found))
        devices[device_count++] = {one.base, one.size, line_of(one.gsi, one.level, one.active_low), MmioDevice::Source::acpi};
    if (result.unusable != 0) note_firmware_problem(signature, 0, "a virtio device (LNRO0005) whose resources are not understood");
    if (result.left_out != 0) note_firmware_problem(signature, 0, "more virtio devices (LNRO0005) than can be kept");
}

} // namespace

void find_hardware() {
    if (!find_chips_in_madt()) find_chips_in_mp_table();
    find_pci_hosts();
    found.start_page = find_start_page();
    found.timer.pit_line = isa_lines.isa_line(kPitIrq);
    found.uart = {.kind = arch::Uart::Kind::ns16550_port, .registers = {kUartPort, 8}, .line = isa_lines.isa_line(kUartIrq)};
    found.rtc.kind = arch::RealTimeClock::Kind::cmos;
    if (const auto table = acpi::find_table("FACP")) {
        const acpi::Fadt fadt = acpi::parse_fadt(*table);
        found.rtc.century_register = fadt.century_register;
        if (fadt.pm_timer.space == acpi::Register::Space::port)
            found.timer.pm_timer_port = static_cast<std::uint16_t>(fadt.pm_timer.address);
        if (const auto dsdt = acpi::map_table(fadt.dsdt, "DSDT")) find_mmio_devices(*dsdt, "DSDT");
    }
    constexpr std::size_t kMostTables = 32;
    for (std::size_t i = 0; i < kMostTables; ++i) {
        const auto table = acpi::find_table("SSDT", i);
        if (!table) break;
        find_mmio_devices(*table, "SSDT");
    }
}

const arch::Hardware& hardware() noexcept { return found; }
const char* pci_hosts_source() noexcept { return "MCFG"; }
std::span<const PciHost> pci_hosts() noexcept { return std::span(hosts).first(host_count); }
std::span<const MmioDevice> mmio_devices() noexcept { return std::span(devices).first(device_count); }

std::optional<arch::Line> pci_line(const PciRoute& route) noexcept {
    // Without an AML interpreter the firmware's routing is what the Interrupt Line register says. Whether it is true shows the first
    // request: a line that stays silent is polled.
    if (route.interrupt_line == 0 || route.interrupt_line >= 0xf0) return std::nullopt;
    return isa_lines.pci_line(route.interrupt_line);
}

arch::Line acpi::system_control_line(const Fadt& fadt) noexcept {
    if (fadt.sci_irq >= 256) return {fadt.sci_irq, Trigger::level, Polarity::low};
    return isa_lines.pci_line(static_cast<std::uint8_t>(fadt.sci_irq));
}

} // namespace kernel
