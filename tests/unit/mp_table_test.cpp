#include <doctest/doctest.h>

#include <cstring>
#include <initializer_list>
#include <random>
#include <vector>

#include "kernel/firmware/mp_table.hpp"

namespace {

using namespace kernel;
using Bytes = std::vector<std::byte>;

void append(Bytes& bytes, std::initializer_list<unsigned> values) {
    for (const unsigned value : values) bytes.push_back(static_cast<std::byte>(value));
}

Bytes finish(Bytes bytes) {
    const auto length = static_cast<std::uint16_t>(bytes.size());
    std::memcpy(bytes.data() + 4, &length, 2);
    bytes[7] = std::byte{0};
    unsigned sum = 0;
    for (const std::byte byte : bytes) sum += static_cast<unsigned>(byte);
    bytes[7] = static_cast<std::byte>(0x100 - (sum & 0xff));
    return bytes;
}

/// As qboot makes it for QEMU's microvm: no count of entries, interrupt 0 on input 2.
Bytes good() {
    Bytes table(44);
    std::memcpy(table.data(), "PCMP", 4);
    append(table, {0, 0, 0x14, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    append(table, {1, 0, 'I', 'S', 'A', ' ', ' ', ' '});
    append(table, {1, 1, 'P', 'C', 'I', ' ', ' ', ' '});
    append(table, {2, 2, 0x14, 1, 0x00, 0x00, 0xc0, 0xfe});
    append(table, {2, 3, 0x14, 0, 0x00, 0x00, 0xc1, 0xfe}); // not usable
    append(table, {3, 0, 0, 0, 0, 0, 2, 2});
    append(table, {3, 0, 0x0f, 0, 0, 5, 2, 5});
    append(table, {3, 0, 0x0f, 0, 1, 5, 2, 16}); // PCI's: not an ISA interrupt
    append(table, {4, 3, 0, 0, 0, 0, 0, 0});
    return finish(table);
}

} // namespace

TEST_CASE("an MP table gives chips and the wiring of ISA interrupts") {
    const auto found = mp::parse(good());
    REQUIRE(found);
    CHECK(found->processors == 1);
    REQUIRE(found->io_apic_count == 1);
    CHECK(found->io_apics[0].address == 0xfec00000);
    REQUIRE(found->interrupt_count == 2);
    CHECK((found->interrupts[0].irq == 0 && found->interrupts[0].input == 2 && !found->interrupts[0].level));
    CHECK((found->interrupts[1].irq == 5 && found->interrupts[1].level && found->interrupts[1].active_low));
}

TEST_CASE("wrong signature, length or checksum: no table") {
    Bytes bad = good();
    bad[60] ^= std::byte{1};
    CHECK_FALSE(mp::parse(bad));
    bad = good();
    bad[0] = std::byte{'Q'};
    CHECK_FALSE(mp::parse(bad));
    bad = good();
    bad.resize(bad.size() - 1);
    CHECK_FALSE(mp::parse(bad));
    bad = good();
    bad[4] = std::byte{10};
    bad[5] = std::byte{0};
    CHECK_FALSE(mp::parse(bad));
    CHECK_FALSE(mp::parse({}));
}

TEST_CASE("an unknown entry or one that is cut off ends the walk; too many are left out") {
    Bytes table(44);
    std::memcpy(table.data(), "PCMP", 4);
    append(table, {2, 2, 0x14, 1, 0x00, 0x00, 0xc0, 0xfe});
    append(table, {99, 0, 0, 0, 0, 0, 0, 0});
    append(table, {2, 2, 0x14, 1, 0x00, 0x00, 0xc0, 0xfe});
    CHECK(mp::parse(finish(table))->io_apic_count == 1);

    Bytes many(44);
    std::memcpy(many.data(), "PCMP", 4);
    append(many, {1, 0, 'I', 'S', 'A', ' ', ' ', ' '});
    for (int i = 0; i < 100; ++i) append(many, {2, 2, 0x14, 1, 0x00, 0x00, 0xc0, 0xfe});
    for (int i = 0; i < 100; ++i) append(many, {3, 0, 0, 0, 0, 0, 2, 2});
    const auto found = mp::parse(finish(many));
    REQUIRE(found);
    CHECK(found->io_apic_count == found->io_apics.size());
    CHECK(found->interrupt_count == found->interrupts.size());

    std::mt19937 random(5);
    for (int round = 0; round < 5000; ++round) {
        Bytes bad = good();
        for (int i = 0; i < 4; ++i) bad[8 + random() % (bad.size() - 8)] = static_cast<std::byte>(random());
        (void)mp::parse(finish(bad));
        bad.resize(random() % bad.size());
        (void)mp::parse(bad);
    }
}

TEST_CASE("the floating pointer names the table") {
    Bytes pointer(16);
    std::memcpy(pointer.data(), "_MP_", 4);
    pointer[4] = std::byte{0x10};
    pointer[6] = std::byte{0x9};
    CHECK(mp::configuration_address(pointer) == 0x90010);
    pointer[0] = std::byte{'x'};
    CHECK(mp::configuration_address(pointer) == 0);
    CHECK(mp::configuration_address({}) == 0);
}
