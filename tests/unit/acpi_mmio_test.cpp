// LNRO0005 devices in a DSDT: as QEMU's microvm and Firecracker write them, and damaged in every place.
#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "kernel/firmware/acpi_mmio.hpp"

namespace {

using namespace kernel;
using Table = std::vector<std::byte>;

Table operator+(Table a, const Table& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}
Table raw(std::initializer_list<unsigned> bytes) {
    Table table;
    for (const unsigned byte : bytes) table.push_back(static_cast<std::byte>(byte));
    return table;
}
Table text(std::string_view characters) {
    Table table;
    for (const char c : characters) table.push_back(static_cast<std::byte>(c));
    return table;
}
Table word(std::uint32_t value) { return raw({value & 0xff, value >> 8 & 0xff, value >> 16 & 0xff, value >> 24}); }

/// A package's length in as few bytes as it takes (ACPI 6.5, 20.2.4), and the package.
Table package(const Table& body) {
    if (body.size() + 1 < 64) return raw({static_cast<unsigned>(body.size() + 1)}) + body;
    const std::size_t bytes = body.size() + 2 < 4096 ? 1 : 2, length = body.size() + 1 + bytes;
    Table head = raw({static_cast<unsigned>(bytes << 6 | (length & 15)), static_cast<unsigned>(length >> 4 & 0xff)});
    if (bytes == 2) head = head + raw({static_cast<unsigned>(length >> 12 & 0xff)});
    return head + body;
}
Table device(std::string_view name, const Table& body) { return raw({0x5b, 0x82}) + package(text(name) + body); }
Table hid(std::string_view id = "LNRO0005") { return raw({8}) + text("_HID") + raw({0x0d}) + text(id) + raw({0}); }
Table memory(std::uint32_t base, std::uint32_t size) { return raw({0x86, 9, 0, 1}) + word(base) + word(size); }
Table interrupt(std::uint32_t gsi, unsigned flags = 1) { return raw({0x89, 6, 0, flags, 1}) + word(gsi); }
Table end() { return raw({0x79, 0}); }
Table resources(const Table& items) {
    return raw({8}) + text("_CRS") + raw({0x11}) + package(raw({0x0a, static_cast<unsigned>(items.size())}) + items);
}
Table status(std::initializer_list<unsigned> value) { return raw({8}) + text("_STA") + raw(value); }

Table slot(unsigned number, std::uint32_t base, std::uint32_t gsi) {
    return device("VR" + std::string(number < 10 ? "0" : "") + std::to_string(number),
                  hid() + raw({8}) + text("_UID") + raw({0x0a, number}) + raw({8}) + text("_CCA") + raw({1}) +
                      resources(memory(base, 0x200) + interrupt(gsi) + end()));
}
Table dsdt(const Table& body) { return text("DSDT") + Table(acpi::kHeaderBytes - 4) + raw({0x10}) + package(text("_SB_") + body); }

struct Found {
    std::vector<acpi::MmioDevice> devices;
    std::size_t unusable = 0, left_out = 0;
};
Found find(const Table& table, std::size_t room = 32) {
    std::vector<acpi::MmioDevice> into(room);
    const auto result = acpi::find_mmio_devices(table, into);
    REQUIRE(result.found <= room);
    into.resize(result.found);
    return {into, result.unusable, result.left_out};
}
bool none(const Table& body) {
    const Found found = find(dsdt(body));
    return found.devices.empty() && found.unusable == 0;
}
bool unusable(const Table& body) {
    const Found found = find(dsdt(body));
    return found.devices.empty() && found.unusable == 1;
}

Table good() {
    Table body = device("FWCF", hid("QEMU0002") + resources(raw({0x47, 1, 0x10, 5, 0x10, 5, 1, 12}) + end()));
    for (unsigned i = 0; i < 24; ++i) body = body + slot(i, 0xfeb00000 + i * 0x200, 24 + i);
    return dsdt(body);
}

} // namespace

TEST_CASE("microvm's 24 slots, in order") {
    const Found found = find(good());
    REQUIRE(found.devices.size() == 24);
    for (std::uint32_t i = 0; i < 24; ++i)
        CHECK(found.devices[i] ==
              acpi::MmioDevice{.base = 0xfeb00000 + i * 0x200, .size = 0x200, .gsi = 24 + i, .level = true, .active_low = false});
    CHECK((found.unusable == 0 && found.left_out == 0));
    CHECK(acpi::mentions_mmio_devices(good()));
    CHECK_FALSE(acpi::mentions_mmio_devices(dsdt(device("FWCF", hid("QEMU0002")))));
    CHECK_FALSE(acpi::mentions_mmio_devices({}));
    CHECK_FALSE(acpi::mentions_mmio_devices(text("LNRO000")));

    const Found few = find(good(), 5);
    CHECK((few.devices.size() == 5 && few.left_out == 19));
    CHECK((find(good(), 0).devices.empty() && find(good(), 0).left_out == 24));
}

TEST_CASE("the text is found wherever it stands") {
    for (std::size_t before = 0; before < 40; ++before)
        for (const char filler : {'x', 'L', 'N', 'R', 'O', '0', '5'}) {
            const Table table = text(std::string(before, filler)) + text("LNRO0005");
            CHECK(acpi::mentions_mmio_devices(table));
            CHECK(find(dsdt(text(std::string(before, filler)) + slot(1, 0xd0000000, 5))).devices.size() == 1);
        }
}

TEST_CASE("resources in other orders and forms") {
    // Firecracker's: a longer package, edge-triggered; others: low, several interrupts, items that are passed over, a size in two bytes.
    const auto only = [](const Table& body) {
        const Found found = find(dsdt(body));
        REQUIRE(found.devices.size() == 1);
        return found.devices[0];
    };
    const Table crs = resources(interrupt(5, 3) + memory(0xd0000000, 0x1000) + end());
    CHECK(only(device("V000", crs + hid())) == acpi::MmioDevice{0xd0000000, 0x1000, 5, false, false});
    CHECK(only(device("V000", hid() + resources(raw({0x22, 1, 0}) + memory(0x1000, 0x200) + memory(0x2000, 0x200) +
                                                raw({0x89, 10, 0, 7, 2}) + word(7) + word(8) + interrupt(9) + end()))) ==
          acpi::MmioDevice{0x1000, 0x200, 7, false, true});
    const Table items = memory(0x1000, 0x200) + interrupt(7) + end();
    CHECK(only(device("V000",
                      hid() + raw({8}) + text("_CRS") + raw({0x11}) + package(raw({0x0b, static_cast<unsigned>(items.size()), 0}) + items)))
              .gsi == 7);
    CHECK(only(device("V000", hid() + status({0x0a, 0x0f}) + resources(items))).gsi == 7);
    CHECK(only(device("\\V000", hid() + resources(items))).gsi == 7);
    // A device inside another one, whose own resources are not its child's.
    CHECK(only(device("BUS0", hid("PNP0A05") + resources(memory(0x9000, 0x200) + interrupt(1) + end()) + slot(3, 0x4000, 44))).gsi == 44);
    CHECK(only(device("V000", hid() + Table(5000, std::byte{0xa3}) + resources(items))).gsi == 7);
}

TEST_CASE("what is no such device, or not there, is passed over") {
    const Table crs = resources(memory(0x1000, 0x200) + interrupt(7) + end());
    CHECK(none(device("V000", hid("LNRO0006") + crs)));
    CHECK(none(device("V000", hid("LNRO00055") + crs)));
    CHECK(none(device("V000", raw({8}) + text("_CID") + raw({0x0d}) + text("LNRO0005") + raw({0}) + crs)));
    CHECK(none(text("LNRO0005") + crs));
    CHECK(none(device("V000", hid() + status({0}) + crs)));
    CHECK(none(device("V000", hid() + status({0x0a, 0x0e}) + crs)));
    CHECK(find({}).devices.empty());
    CHECK(find(text("LNRO0005")).devices.empty());
}

TEST_CASE("a device whose resources are not understood is counted, not guessed") {
    const Table mem = memory(0x1000, 0x200), irq = interrupt(7);
    CHECK(unusable(hid() + resources(mem + irq + end()))); // in no device
    CHECK(unusable(device("V000", hid())));
    CHECK(unusable(device("V000", hid() + resources(mem + irq)))); // no end
    CHECK(unusable(device("V000", hid() + resources(mem + end()))));
    CHECK(unusable(device("V000", hid() + resources(irq + end()))));
    CHECK(unusable(device("V000", hid() + resources(memory(0x1000, 0) + irq + end()))));
    CHECK(unusable(device("V000", hid() + resources(mem + raw({0x89, 2, 0, 1, 0}) + end()))));       // no interrupt in it
    CHECK(unusable(device("V000", hid() + resources(mem + raw({0x89, 0xff, 0xff, 1, 1}) + end())))); // longer than the buffer
    CHECK(unusable(device("V000", hid() + resources(raw({0x86, 4, 0, 1, 0, 0, 0}) + irq + end()))));
    CHECK(unusable(
        device("V000", hid() + raw({8}) + text("_CRS") + raw({0x11, 0x3f, 0x0a, 0xff}) + mem + irq + end()))); // a package that is too long
    CHECK(unusable(device("V000", hid() + raw({8}) + text("_CRS") + raw({0x11}) + package(raw({0x0a, 0xff}) + mem + irq + end()))));
    CHECK(unusable(device("V000", hid() + raw({0x14}) + package(text("_CRS") + raw({0}))))); // a method
    CHECK(unusable(device("v000", hid() + resources(mem + irq + end()))));                   // no name of an object
    // The device's package ends before its resources do.
    Table cut = device("V000", hid() + resources(mem + irq + end()));
    cut[2] = std::byte{30};
    CHECK(unusable(cut));
    // The next device's resources are not this one's.
    const Found two = find(dsdt(device("V000", hid()) + slot(1, 0x2000, 9)));
    CHECK((two.unusable == 1 && two.devices.size() == 1 && two.devices[0].gsi == 9));
}

TEST_CASE("damaged in any place: inside the bytes, and back") {
    const Table table = dsdt(slot(0, 0xfeb00000, 24) +
                             device("V000", hid() + status({0x0b, 1, 0}) + resources(interrupt(5) + memory(0xd0000000, 0x1000) + end())));
    std::size_t devices = 0;
    for (std::size_t size = 0; size <= table.size(); ++size)
        devices += find(Table(table.begin(), table.begin() + static_cast<std::ptrdiff_t>(size))).devices.size();
    for (std::size_t at = 0; at < table.size(); ++at)
        for (unsigned value = 0; value < 256; value += at < 40 ? 51 : 1) {
            Table bad = table;
            bad[at] = static_cast<std::byte>(value);
            devices += find(bad).devices.size();
        }
    std::mt19937 seed(3);
    for (int round = 0; round < 4000; ++round) {
        Table bad = table;
        for (int i = 0; i < 3; ++i) bad[seed() % bad.size()] = static_cast<std::byte>(seed());
        devices += find(bad).devices.size();
    }
    CHECK(devices > 10000);
}

TEST_CASE("a table that was made to take long does not") {
    // Devices that all claim the table's rest, and are all not there: without a limit this test would not come to its own end.
    constexpr std::size_t kEach = 30, kCount = 40'000, kStatus = 6;
    Table table = text("SSDT") + Table(acpi::kHeaderBytes - 4);
    const std::size_t end_of_table = table.size() + kEach * kCount + kStatus;
    for (std::size_t i = 0; i < kCount; ++i) {
        const std::size_t length = end_of_table - (table.size() + 2);
        const auto part = [&](unsigned shift) { return static_cast<unsigned>(length >> shift & 0xff); };
        const Table one = raw({0x5b, 0x82, 0xc0U | (part(0) & 15), part(4), part(12), part(20)}) + text("V000") + hid() +
                          Table(kEach - 10 - hid().size(), std::byte{0xa3});
        table.insert(table.end(), one.begin(), one.end());
    }
    table = table + status({0});
    REQUIRE(table.size() == end_of_table);
    const Found found = find(table);
    CHECK((found.devices.empty() && found.left_out == 0));
    CHECK(found.unusable == 1); // that it was given up is not passed over

    // As many slots as fit that do not overlap are looked at, whether there or not.
    Table slots;
    for (unsigned i = 0; i < 2000; ++i) {
        const Table one = device("V000", hid() + status({0}) + resources(memory(0x1000, 0x200) + interrupt(7) + end()));
        slots.insert(slots.end(), one.begin(), one.end());
    }
    const Found last = find(dsdt(slots + slot(9, 0x4000, 44)));
    REQUIRE(last.devices.size() == 1);
    CHECK((last.devices[0].gsi == 44 && last.unusable == 0));
}
