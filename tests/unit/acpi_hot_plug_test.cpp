// The patterns of a DSDT that declare QEMU's hot-plug registers, and tables that are cut off or changed in every place.
#include <doctest/doctest.h>

#include <initializer_list>
#include <random>
#include <string_view>
#include <vector>

#include "kernel/firmware/acpi_hot_plug.hpp"

namespace {

using namespace kernel;
using Table = std::vector<std::byte>;

void append(Table& table, std::initializer_list<unsigned> bytes) {
    for (const unsigned byte : bytes) table.push_back(static_cast<std::byte>(byte));
}
void append(Table& table, std::string_view text) {
    for (const char c : text) table.push_back(static_cast<std::byte>(c));
}
void append(Table& table, const Table& more) { table.insert(table.end(), more.begin(), more.end()); }

Table region(std::string_view name, unsigned port, unsigned length) {
    Table table;
    append(table, {0x5b, 0x80});
    append(table, name);
    append(table, {0x01, 0x0b, port & 0xff, port >> 8, 0x0a, length});
    return table;
}
/// Device(name) { Name(_ADR, ...) body }, its length in two bytes.
Table device(std::string_view name, unsigned number, const Table& body) {
    Table inner;
    append(inner, name);
    append(inner, {0x08});
    append(inner, "_ADR");
    if (number == 0)
        append(inner, {0x00});
    else
        append(inner, {0x0c, 0, 0, number, 0});
    append(inner, body);
    const std::size_t length = inner.size() + 2;
    Table table;
    append(table, {0x5b, 0x82, static_cast<unsigned>(0x40 | (length & 15)), static_cast<unsigned>(length >> 4)});
    append(table, inner);
    return table;
}
Table selector(unsigned number) {
    Table table;
    append(table, {0x08});
    append(table, "BSEL");
    if (number < 2)
        append(table, {number});
    else
        append(table, {0x0a, number});
    return table;
}
Table resources() {
    Table list;
    append(list, {0x88, 13, 0, 2, 12, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 1}); // buses
    append(list, {0x47, 1, 0xf8, 0x0c, 0xf8, 0x0c, 1, 8});
    append(list, {0x88, 13, 0, 1, 12, 3, 0, 0, 0, 0, 0xf7, 0x0c, 0, 0, 0xf8, 0x0c});
    append(list, {0x88, 13, 0, 1, 12, 3, 0, 0, 0, 0x0d, 0xff, 0xff, 0, 0, 0, 0xf3});
    append(list, {0x87, 23, 0, 0, 12, 3, 0, 0, 0, 0, 0, 0, 10, 0, 255, 255, 11, 0, 0, 0, 0, 0, 0, 0, 2, 0});
    append(list, {0x87, 23, 0, 0, 12, 1, 0, 0, 0, 0, 0, 0, 0, 0xc0, 255, 255, 0xbf, 0xfe, 0, 0, 0, 0, 0, 0, 0xc0, 0x3e});
    append(list, {0x79, 0});
    Table table;
    append(table, {0x08});
    append(table, "_CRS");
    const auto bytes = static_cast<unsigned>(list.size());
    const unsigned length = bytes + 4;
    append(table, {0x11, 0x40 | (length & 15), length >> 4, 0x0a, bytes});
    append(table, list);
    return table;
}
Table whole() {
    Table table(36);
    append(table, region("PCST", 0x0cc0, 8));
    append(table, region("SEJ_", 0x0cc8, 4));
    append(table, region("BNMR", 0x0cd0, 8));
    append(table, selector(0)); // of the first bus
    append(table, device("S10_", 2, {}));
    Table below = selector(7);
    append(below, device("S00_", 0, selector(1)));
    append(table, device("S18_", 3, below));
    append(table, resources());
    return table;
}

} // namespace

TEST_CASE("hot-plug registers, buses and windows are found in the bytes") {
    const Table table = whole();
    REQUIRE(acpi::find_hot_plug_ports(table));
    CHECK(*acpi::find_hot_plug_ports(table) == 0x0cc0);
    const acpi::HotPlugBuses buses = acpi::find_hot_plug_buses(table);
    REQUIRE(buses.count == 3);
    CHECK(buses.buses[0].selector == 0);
    CHECK(buses.buses[0].bridges == 0);
    CHECK(buses.buses[1].selector == 7);
    REQUIRE(buses.buses[1].bridges == 1);
    CHECK(buses.buses[1].path[0] == acpi::HotPlugBus::Bridge{3, 0});
    CHECK(buses.buses[2].selector == 1);
    REQUIRE(buses.buses[2].bridges == 2);
    CHECK(buses.buses[2].path[1] == acpi::HotPlugBus::Bridge{0, 0});
    const auto windows = acpi::find_host_bridge_windows(table);
    REQUIRE(windows);
    CHECK(windows->memory == 0xc000'0000);
    CHECK(windows->memory_bytes == 0x3ec0'0000);
    CHECK(windows->ports == 0x0d00);
    CHECK(windows->port_count == 0xf300);
}

TEST_CASE("an expander's resources stand before the host bridge's, and are not its windows") {
    // As QEMU writes pxb-pcie: its buses begin at 12, and it passes on little.
    Table list;
    append(list, {0x88, 13, 0, 1, 12, 3, 0, 0, 0, 0xc0, 0xff, 0xcf, 0, 0, 0, 0x10});
    append(list, {0x87, 23, 0, 0, 12, 1, 0, 0, 0, 0, 0, 0, 0, 0xfe, 255, 255, 0x1f, 0xfe, 0, 0, 0, 0, 0, 0, 0x20, 0});
    append(list, {0x88, 13, 0, 2, 12, 0, 0, 0, 12, 0, 13, 0, 0, 0, 2, 0, 0x79, 0});
    Table expander;
    append(expander, {0x08});
    append(expander, "_CRS");
    const auto bytes = static_cast<unsigned>(list.size());
    append(expander, {0x11, 0x40 | ((bytes + 4) & 15), (bytes + 4) >> 4, 0x0a, bytes});
    append(expander, list);
    Table table(36);
    append(table, expander);
    CHECK(!acpi::find_host_bridge_windows(table)); // alone it has no windows of the first bus's
    append(table, resources());
    append(table, expander);
    const auto windows = acpi::find_host_bridge_windows(table);
    REQUIRE(windows);
    CHECK((windows->memory == 0xc000'0000 && windows->memory_bytes == 0x3ec0'0000));
    CHECK((windows->ports == 0x0d00 && windows->port_count == 0xf300));
}

TEST_CASE("ports are not believed unless all three regions fit together") {
    const auto ports = [](unsigned status, unsigned eject, unsigned number) {
        Table table(36);
        append(table, region("PCST", status, 8));
        append(table, region("SEJ_", eject, 4));
        append(table, region("BNMR", number, 8));
        append(table, {0, 0, 0, 0, 0, 0, 0, 0});
        return acpi::find_hot_plug_ports(table).has_value();
    };
    CHECK(ports(0xae00, 0xae08, 0xae10));
    CHECK(!ports(0xae00, 0xae0c, 0xae10));
    CHECK(!ports(0xae00, 0xae08, 0xae14));
    CHECK(!ports(0xae02, 0xae0a, 0xae12));
    CHECK(!ports(0xfff0, 0xfff8, 0xfffc));
    CHECK(!ports(0, 8, 16));
    Table only(36);
    append(only, region("PCST", 0xae00, 8));
    CHECK(!acpi::find_hot_plug_ports(only));
    Table memory = whole();
    memory[36 + 6] = std::byte{0}; // not in port space
    CHECK(!acpi::find_hot_plug_ports(memory));
}

TEST_CASE("devices in devices: too deep, and longer than the one around them") {
    Table body = selector(5);
    for (unsigned depth = 0; depth < acpi::HotPlugBus::kMostBridges + 2; ++depth) body = device("S08_", 1, body);
    Table table(36);
    append(table, body);
    append(table, selector(6));
    append(table, {0, 0, 0, 0, 0, 0});
    const auto deep = acpi::find_hot_plug_buses(table);
    REQUIRE(deep.count == 1);
    CHECK(deep.buses[0].selector == 6);
    CHECK(deep.buses[0].bridges == 0);

    Table inner = device("S10_", 2, selector(3));
    inner[3] = std::byte{5}; // claims more than its parent has
    Table outer(36);
    append(outer, device("S08_", 1, inner));
    append(outer, Table(80));
    const auto wrong = acpi::find_hot_plug_buses(outer);
    REQUIRE(wrong.count == 1);
    CHECK(wrong.buses[0].bridges == 1);

    Table many(36);
    for (unsigned i = 0; i < 100; ++i) append(many, selector(i));
    append(many, {0, 0, 0, 0, 0, 0});
    CHECK(acpi::find_hot_plug_buses(many).count == 64);
}

TEST_CASE("tables that are cut off or changed anywhere") {
    const Table good = whole();
    const auto look = [](const Table& table) {
        // In memory of exactly that size, so that a look beyond it is seen.
        const std::vector<std::byte> exact(table.begin(), table.end());
        if (const auto ports = acpi::find_hot_plug_ports(exact)) CHECK(*ports % 4 == 0);
        const auto buses = acpi::find_hot_plug_buses(exact);
        CHECK(buses.count <= buses.buses.size());
        for (std::size_t i = 0; i < buses.count; ++i) CHECK(buses.buses[i].bridges <= acpi::HotPlugBus::kMostBridges);
        if (const auto windows = acpi::find_host_bridge_windows(exact)) {
            CHECK(windows->memory + windows->memory_bytes <= 0x1'0000'0000);
            CHECK(windows->ports + windows->port_count <= 0x1'0000);
        }
    };
    for (std::size_t size = 0; size <= good.size(); ++size) look(Table(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)));
    std::minstd_rand random(5);
    for (std::size_t at = 36; at < good.size(); ++at)
        for (const unsigned value : {0x00u, 0x7fu, 0xc0u, 0xffu, static_cast<unsigned>(random() & 255)}) {
            Table bad = good;
            bad[at] = static_cast<std::byte>(value);
            look(bad);
        }
}
