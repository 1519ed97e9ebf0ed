// ACPI tables, right and wrong. The hostile ones are made by damaging the right ones in every place.
#include <doctest/doctest.h>

#include <cstring>
#include <initializer_list>
#include <random>
#include <string_view>
#include <vector>

#include "kernel/firmware/acpi_tables.hpp"

namespace {

using namespace kernel;
using Table = std::vector<std::byte>;

template<class T> void put(Table& table, std::size_t offset, T value) {
    if (table.size() < offset + sizeof value) table.resize(offset + sizeof value);
    std::memcpy(table.data() + offset, &value, sizeof value);
}

void append(Table& table, std::initializer_list<unsigned> bytes) {
    for (const unsigned byte : bytes) table.push_back(static_cast<std::byte>(byte));
}
void append(Table& table, std::string_view text) {
    for (const char c : text) table.push_back(static_cast<std::byte>(c));
}

/// Sets length and checksum.
Table finish(Table table) {
    put(table, 4, static_cast<std::uint32_t>(table.size()));
    table[9] = std::byte{0};
    unsigned sum = 0;
    for (const std::byte byte : table) sum += static_cast<unsigned>(byte);
    table[9] = static_cast<std::byte>(0x100 - (sum & 0xff));
    return table;
}

Table header(std::string_view signature, std::size_t size = acpi::kHeaderBytes) {
    Table table(size);
    std::memcpy(table.data(), signature.data(), 4);
    return table;
}

Table madt() {
    Table table = header("APIC", 44);
    put(table, 36, std::uint32_t{0xfee00000});
    append(table, {0, 8, 0, 0, 1, 0, 0, 0});                           // processor 0, enabled
    append(table, {0, 8, 1, 1, 0, 0, 0, 0});                           // processor 1, disabled
    append(table, {1, 12, 0, 0, 0x00, 0x00, 0xc0, 0xfe, 0, 0, 0, 0});  // I/O APIC, inputs from 0
    append(table, {1, 12, 1, 0, 0x00, 0x00, 0xc1, 0xfe, 24, 0, 0, 0}); // the second one, from 24
    append(table, {2, 10, 0, 0, 2, 0, 0, 0, 0, 0});                    // interrupt 0 is input 2
    append(table, {2, 10, 0, 5, 5, 0, 0, 0, 0x0d, 0});                 // 5: high, level
    append(table, {2, 10, 0, 9, 20, 0, 0, 0, 0x0f, 0});                // 9 is input 20: low, level
    append(table, {4, 6, 0xff, 0, 0, 1});                              // local NMI: not for us
    append(table, {9, 16, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0});  // x2APIC processor, enabled
    append(table, {5, 12, 0, 0, 0x00, 0x10, 0xe0, 0xfe, 1, 0, 0, 0});  // local APIC elsewhere
    return finish(table);
}

Table fadt(bool reduced) {
    Table table = header("FACP", 276);
    put(table, 40, std::uint32_t{0x1000});
    put(table, 46, std::uint16_t{9});
    put(table, 48, std::uint32_t{0xb2});
    put(table, 52, std::uint8_t{2});
    put(table, 56, std::uint32_t{0x600});
    put(table, 64, std::uint32_t{0x604});
    put(table, 76, std::uint32_t{0x608});
    put(table, 88, std::uint8_t{4});
    put(table, 108, std::uint8_t{0x32});
    put(table, 112, std::uint32_t{1 << 10 | 1 << 8 | (reduced ? 1u << 20 : 0)});
    put(table, 116, std::uint8_t{1});
    put(table, 120, std::uint64_t{0xcf9});
    put(table, 128, std::uint8_t{0xf});
    if (reduced) {
        put(table, 116, std::uint8_t{0});
        put(table, 120, std::uint64_t{0xfea00202});
        put(table, 244, std::uint8_t{0});
        put(table, 248, std::uint64_t{0xfea00200});
        put(table, 256, std::uint8_t{0});
        put(table, 260, std::uint64_t{0xfea00201});
    }
    return finish(table);
}

/// What QEMU 7.2 builds for microvm, shortened: an event device with its interrupt and selector, and \_S5.
Table dsdt() {
    Table table = header("DSDT");
    append(table, {0x10, 0x40, 0x08});
    append(table, "_SB_");
    append(table, {0x5b, 0x82, 0x40, 0x05});
    append(table, "GED_");
    append(table, {0x08});
    append(table, "_HID");
    append(table, {0x0d});
    append(table, "ACPI0013");
    append(table, {0x00, 0x08});
    append(table, "_CRS");
    append(table, {0x11, 0x0e, 0x0a, 0x0b, 0x89, 0x06, 0x00, 0x03, 0x01, 0x09, 0x00, 0x00, 0x00, 0x79, 0x00});
    append(table, {0x5b, 0x80});
    append(table, "EREG");
    append(table, {0x00, 0x0c, 0x00, 0x00, 0xa0, 0xfe, 0x0a, 0x04});
    append(table, {0x08});
    append(table, "_S5_");
    append(table, {0x12, 0x07, 0x04, 0x0a, 0x05, 0x00, 0x00, 0x00});
    return finish(table);
}

/// Runs `parse` on every damaged form of a table: it may say anything but must stay inside the bytes (ASan watches) and come back.
template<class Parse> void damage(const Table& good, Parse parse) {
    for (std::size_t size = 0; size <= good.size(); ++size) {
        const Table cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
        parse(cut);
    }
    for (std::size_t at = 0; at < good.size(); ++at)
        for (const unsigned value : {0u, 1u, 0x7fu, 0x80u, 0xffu}) {
            Table bad = good;
            bad[at] = static_cast<std::byte>(value);
            parse(bad);
        }
    std::mt19937 random(11);
    for (int round = 0; round < 2000; ++round) {
        Table bad = good;
        for (int i = 0; i < 6; ++i) bad[random() % bad.size()] = static_cast<std::byte>(random());
        parse(bad);
    }
}

} // namespace

TEST_CASE("a table is taken only with the right signature, length and checksum") {
    const Table good = madt();
    REQUIRE(acpi::checked_table(good, "APIC"));
    CHECK(acpi::checked_table(good, "APIC")->size() == good.size());
    CHECK_FALSE(acpi::checked_table(good, "FACP"));

    Table longer = good;
    longer.resize(good.size() + 100);
    REQUIRE(acpi::checked_table(longer, "APIC")); // what follows the table is not part of it
    CHECK(acpi::checked_table(longer, "APIC")->size() == good.size());

    Table wrong = good;
    wrong[50] ^= std::byte{1};
    CHECK_FALSE(acpi::checked_table(wrong, "APIC"));
    wrong = good;
    put(wrong, 4, static_cast<std::uint32_t>(good.size() + 1));
    CHECK_FALSE(acpi::checked_table(wrong, "APIC"));
    put(wrong, 4, std::uint32_t{35});
    CHECK_FALSE(acpi::checked_table(wrong, "APIC"));
    CHECK_FALSE(acpi::checked_table({}, "APIC"));
    damage(good, [](const Table& table) { (void)acpi::checked_table(table, "APIC"); });
}

TEST_CASE("MADT: chips, overrides, processors") {
    const acpi::Madt found = acpi::parse_madt(madt());
    CHECK(found.local_apic == 0x1fee01000);
    CHECK(found.processors == 2);
    REQUIRE(found.io_apic_count == 2);
    CHECK(found.io_apics[0].address == 0xfec00000);
    CHECK(found.io_apics[1].address == 0xfec10000);
    CHECK(found.io_apics[1].first_gsi == 24);
    REQUIRE(found.override_count == 3);
    CHECK((found.overrides[0].irq == 0 && found.overrides[0].gsi == 2 && !found.overrides[0].level && !found.overrides[0].active_low));
    CHECK((found.overrides[1].irq == 5 && found.overrides[1].level && !found.overrides[1].active_low));
    CHECK((found.overrides[2].gsi == 20 && found.overrides[2].level && found.overrides[2].active_low));
}

TEST_CASE("MADT: an entry of length 0 or 1 ends the walk, and too many entries are cut off") {
    for (const unsigned length : {0u, 1u}) {
        Table table = header("APIC", 44);
        append(table, {1, length, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0});
        CHECK(acpi::parse_madt(table).io_apic_count == 0);
    }
    Table table = header("APIC", 44);
    for (int i = 0; i < 300; ++i) append(table, {1, 12, 0, 0, 0x00, 0x00, 0xc0, 0xfe, 0, 0, 0, 0});
    for (int i = 0; i < 300; ++i) append(table, {2, 10, 0, 5, 5, 0, 0, 0, 0x0d, 0});
    const acpi::Madt found = acpi::parse_madt(table);
    CHECK(found.io_apic_count == found.io_apics.size());
    CHECK(found.override_count == found.overrides.size());
    // An entry that is shorter than its type needs is passed over.
    Table shorter = header("APIC", 44);
    append(shorter, {1, 4, 0, 0});
    append(shorter, {1, 12, 0, 0, 0x00, 0x00, 0xc0, 0xfe, 0, 0, 0, 0});
    CHECK(acpi::parse_madt(shorter).io_apic_count == 1);
    damage(madt(), [](const Table& bad) { (void)acpi::parse_madt(bad); });
}

TEST_CASE("root pointer: short and long form") {
    Table pointer(36);
    std::memcpy(pointer.data(), "RSD PTR ", 8);
    put(pointer, 16, std::uint32_t{0x7fe1234});
    const auto sum_up = [&](std::size_t size, std::size_t at) {
        pointer[at] = std::byte{0};
        unsigned sum = 0;
        for (std::size_t i = 0; i < size; ++i) sum += static_cast<unsigned>(pointer[i]);
        pointer[at] = static_cast<std::byte>(0x100 - (sum & 0xff));
    };
    sum_up(20, 8);
    REQUIRE(acpi::parse_root_pointer(pointer));
    CHECK(acpi::parse_root_pointer(pointer)->rsdt == 0x7fe1234);
    CHECK(acpi::parse_root_pointer(pointer)->xsdt == 0);

    put(pointer, 15, std::uint8_t{2});
    put(pointer, 20, std::uint32_t{36});
    put(pointer, 24, std::uint64_t{0x123456789});
    sum_up(20, 8);
    CHECK(acpi::parse_root_pointer(pointer)->xsdt == 0); // the long form's checksum is wrong
    sum_up(36, 32);
    CHECK(acpi::parse_root_pointer(pointer)->xsdt == 0x123456789);
    put(pointer, 20, std::uint32_t{0xffffffff});
    CHECK(acpi::parse_root_pointer(pointer)->xsdt == 0);
    pointer[0] = std::byte{'X'};
    CHECK_FALSE(acpi::parse_root_pointer(pointer));
    damage(pointer, [](const Table& bad) { (void)acpi::parse_root_pointer(bad); });
}

TEST_CASE("root tables list addresses of 8 or 4 bytes") {
    Table xsdt = header("XSDT");
    put(xsdt, 36, std::uint64_t{0x100000001});
    put(xsdt, 44, std::uint64_t{2});
    CHECK(acpi::root_entry(xsdt, 0) == 0x100000001);
    CHECK(acpi::root_entry(xsdt, 1) == 2);
    CHECK_FALSE(acpi::root_entry(xsdt, 2));
    CHECK_FALSE(acpi::root_entry(xsdt, ~std::size_t{0} / 8));
    Table rsdt = header("RSDT");
    put(rsdt, 36, std::uint32_t{5});
    rsdt.resize(43); // not a whole entry more
    CHECK(acpi::root_entry(rsdt, 0) == 5);
    CHECK_FALSE(acpi::root_entry(rsdt, 1));
    CHECK_FALSE(acpi::root_entry({}, 0));
}

TEST_CASE("FADT: ports of the old form, registers of the new one") {
    const acpi::Fadt old = acpi::parse_fadt(fadt(false));
    CHECK(old.dsdt == 0x1000);
    CHECK(old.sci_irq == 9);
    CHECK((old.pm1a_control.space == acpi::Register::Space::port && old.pm1a_control.address == 0x604));
    CHECK(old.pm1b_control.space == acpi::Register::Space::none);
    CHECK((old.reset.space == acpi::Register::Space::port && old.reset.address == 0xcf9 && old.reset_value == 0xf));
    CHECK(old.fixed_power_button);
    CHECK(old.pm_timer.address == 0x608);
    CHECK(old.century_register == 0x32);

    Table table = fadt(false);
    put(table, 140, std::uint64_t{0x200000000});
    put(table, 172, std::uint8_t{1});
    put(table, 176, std::uint64_t{0xb004});
    put(table, 112, std::uint32_t{1 << 4}); // the button is a control method's, and there is no reset register
    const acpi::Fadt extended = acpi::parse_fadt(table);
    CHECK(extended.dsdt == 0x200000000);
    CHECK(extended.pm1a_control.address == 0xb004);
    CHECK_FALSE(extended.fixed_power_button);
    CHECK(extended.reset.space == acpi::Register::Space::none);

    const acpi::Fadt reduced = acpi::parse_fadt(fadt(true));
    CHECK(reduced.hardware_reduced);
    CHECK((reduced.sleep_control.space == acpi::Register::Space::memory && reduced.sleep_control.address == 0xfea00200));
    CHECK(reduced.sleep_status.address == 0xfea00201);
    CHECK(reduced.pm1a_control.space == acpi::Register::Space::none);
    CHECK_FALSE(reduced.fixed_power_button);
}

TEST_CASE("FADT: an old short table has no new fields; nonsense registers are none") {
    Table table = fadt(false);
    table.resize(116);
    const acpi::Fadt found = acpi::parse_fadt(table);
    CHECK(found.pm1a_control.address == 0x604);
    CHECK(found.reset.space == acpi::Register::Space::none);
    table = fadt(false);
    put(table, 120, std::uint64_t{0x10000}); // no such port
    CHECK(acpi::parse_fadt(table).reset.space == acpi::Register::Space::none);
    put(table, 116, std::uint8_t{3}); // embedded controller
    CHECK(acpi::parse_fadt(table).reset.space == acpi::Register::Space::none);
    damage(fadt(true), [](const Table& bad) { (void)acpi::parse_fadt(bad); });
}

TEST_CASE("the values of _S5 are found in the bytes") {
    const auto from_microvm = acpi::find_s5(dsdt());
    REQUIRE(from_microvm);
    CHECK(from_microvm->a == 5);
    CHECK(from_microvm->b == 0);

    // A root prefix, ones and zeros, two length bytes, a word that only looks like it before.
    Table table = header("DSDT");
    append(table, "_S5_");
    append(table, {0x08, 0x5c});
    append(table, "_S5_");
    append(table, {0x12, 0x46, 0x00, 0x04, 0x01, 0x0a, 0x06, 0x00, 0x00});
    REQUIRE(acpi::find_s5(table));
    CHECK(acpi::find_s5(table)->a == 1);
    CHECK(acpi::find_s5(table)->b == 6);

    Table none = header("DSDT");
    append(none, "_S5_\x12");
    CHECK_FALSE(acpi::find_s5(none));
    Table large = header("DSDT");
    append(large, {0x08});
    append(large, "_S5_");
    append(large, {0x12, 0x06, 0x04, 0x0a, 0x99, 0x00, 0x00, 0x00}); // three bits is all that a register has
    CHECK_FALSE(acpi::find_s5(large));
    damage(dsdt(), [](const Table& bad) { (void)acpi::find_s5(bad); });
}

TEST_CASE("the event device: selector and interrupt") {
    const auto found = acpi::find_event_device(dsdt());
    REQUIRE(found);
    CHECK(found->selector == 0xfea00000);
    CHECK(found->gsi == 9);
    CHECK_FALSE(found->level);
    CHECK_FALSE(found->active_low);
    CHECK_FALSE(acpi::find_event_device(header("DSDT")));
    Table other = dsdt(); // somebody else's event device: another register
    for (std::size_t i = 0; i + 4 < other.size(); ++i)
        if (std::memcmp(&other[i], "EREG", 4) == 0) other[i] = std::byte{'X'};
    CHECK_FALSE(acpi::find_event_device(other));
    damage(dsdt(), [](const Table& bad) { (void)acpi::find_event_device(bad); });
}

TEST_CASE("MCFG: configuration space ranges") {
    Table table = header("MCFG", 44);
    put(table, 44, std::uint64_t{0xb0000000});
    put(table, 52, std::uint16_t{0});
    append(table, {0, 255, 0, 0, 0, 0});
    REQUIRE(acpi::config_space(table, 0));
    CHECK(acpi::config_space(table, 0)->base == 0xb0000000);
    CHECK(acpi::config_space(table, 0)->last_bus == 255);
    CHECK_FALSE(acpi::config_space(table, 1));
    put(table, 54, std::uint8_t{9});
    put(table, 55, std::uint8_t{3});
    CHECK_FALSE(acpi::config_space(table, 0));
    CHECK_FALSE(acpi::config_space({}, 0));
}
