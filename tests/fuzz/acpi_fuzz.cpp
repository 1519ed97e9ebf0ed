// A fuzzer of the ACPI table readers: the first byte chooses the table, the rest is its bytes. Checksums are no obstacle: the readers
// are called as behind a right one, checked_table() beside them.
#include <cstring>
#include <span>
#include <vector>

#include "kernel/firmware/acpi_hot_plug.hpp"
#include "kernel/firmware/acpi_mmio.hpp"
#include "kernel/firmware/acpi_tables.hpp"
#include "tests/fuzz/check.hpp"

namespace {

using namespace kernel;
using fuzz::check;

void definition_block(acpi::Bytes table) {
    if (const auto found = acpi::find_s5(table)) check(found->a <= 7 && found->b <= 7, "a sleep type has three bits");
    if (const auto found = acpi::find_event_device(table))
        check(found->selector != 0 && found->selector % 4 == 0, "an event device has a selector");
    if (const auto port = acpi::find_hot_plug_ports(table)) check(*port != 0 && *port % 4 == 0, "registers have a port");
    const acpi::HotPlugBuses hot = acpi::find_hot_plug_buses(table);
    check(hot.count <= hot.buses.size(), "buses fit");
    for (const acpi::HotPlugBus& bus : std::span(hot.buses).first(hot.count)) {
        check(bus.bridges <= bus.path.size() && bus.selector <= 0xffff, "a bus has a way and a number");
        for (const auto& bridge : std::span(bus.path).first(bus.bridges))
            check(bridge.device < 32 && bridge.function < 8, "a bridge has a place");
    }
    if (const auto windows = acpi::find_host_bridge_windows(table)) {
        check(windows->memory + windows->memory_bytes <= 0x1'0000'0000, "memory lies below 4 GiB");
        check(windows->ports + windows->port_count <= 0x1'0000, "there are 65,536 ports");
    }
    for (const std::size_t room : {std::size_t{0}, std::size_t{3}, std::size_t{64}}) {
        std::vector<acpi::MmioDevice> into(room); // of exactly that size: a sanitizer sees what goes beyond
        const auto found = acpi::find_mmio_devices(table, into);
        check(found.found <= room, "devices fit");
        check(found.left_out == 0 || found.found == room, "a device is left out only where there is no room");
        check(found.found + found.unusable + found.left_out == 0 || acpi::mentions_mmio_devices(table), "the quick look misses nothing");
        for (std::size_t i = 0; i < found.found; ++i) check(into[i].size != 0, "a device has registers");
    }
}

void all(unsigned choice, acpi::Bytes table) {
    switch (choice % 6) {
    case 0: {
        const acpi::Madt madt = acpi::parse_madt(table);
        check(madt.io_apic_count <= madt.io_apics.size() && madt.override_count <= madt.overrides.size(), "chips and overrides fit");
        check(madt.processors <= table.size() / 8, "a processor has an entry");
        break;
    }
    case 1: static_cast<void>(acpi::parse_fadt(table)); break;
    case 2: definition_block(table); break;
    case 3:
        for (std::size_t i = 0; acpi::config_space(table, i); ++i) check(i < table.size(), "a list ends");
        break;
    case 4:
        for (std::size_t i = 0; acpi::root_entry(table, i); ++i) check(i < table.size(), "a list ends");
        break;
    default:
        if (const auto root = acpi::parse_root_pointer(table)) check(root->xsdt != 0 || root->rsdt != 0, "a root pointer points");
        break;
    }
    for (const char* signature : {"APIC", "DSDT", "XSDT"})
        if (const auto checked = acpi::checked_table(table, signature)) {
            check(checked->size() <= table.size() && acpi::table_problem(table) == nullptr, "a checked table lies inside");
        } else {
            check(acpi::table_problem(table) != nullptr || table.size() < 4 || std::memcmp(table.data(), signature, 4) != 0,
                  "a refusal has a reason");
        }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const unsigned choice = input.byte();
    const auto rest = input.rest();
    // A copy of exactly this size.
    std::vector<std::byte> table(rest.begin(), rest.end());
    if ((choice & 0x80) != 0 && table.size() >= 10) {
        // The checksum put right: the 10th byte.
        unsigned sum = 0;
        table[9] = std::byte{0};
        for (const std::byte one : table) sum += static_cast<unsigned>(one);
        table[9] = static_cast<std::byte>(0x100 - (sum & 0xff));
    }
    all(choice & 0x7f, table);
    return 0;
}
