// Capability parsing, BARs, the PCI and MMIO transports and the bus scan, on a configuration space and registers made of arrays.
#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "drivers/bus/mmio_slot.hpp"
#include "drivers/bus/pci_bus.hpp"
#include "libvirtio/transport/mmio.hpp"
#include "libvirtio/transport/pci_modern.hpp"
#include "tests/unit/support/fake_device.hpp"
#include "tests/unit/support/fake_pci.hpp"

using namespace virtio;
using fake::FakePci;
using fake::Function;
using fake::good_function;

TEST_CASE("PCI ids: modern, transitional by subsystem, others (trap 24)") {
    FakePci pci;
    Function& function = pci.functions[{}];
    const PciFunction at{pci, {}};
    function.identity(0x1042);
    CHECK(*virtio_type(at) == 2);
    function.identity(0x1001, 2);
    CHECK(*virtio_type(at) == 2);
    function.identity(0x1000, 1);
    CHECK(*virtio_type(at) == 1);
    function.identity(0x10ff);
    CHECK_FALSE(virtio_type(at));
    function.put<std::uint16_t>(0, 0x8086);
    CHECK_FALSE(virtio_type(at));
}

TEST_CASE("BAR sizes: 32 and 64 bits, absent, unassigned; contents and command are restored (B31)") {
    FakePci pci;
    Function& function = pci.functions[{}];
    function.put<std::uint16_t>(4, 0x0407);
    function.memory_bar(0, 0xfe00'0000, 0x1000);
    function.memory_bar(2, 0x12'3400'0000, 0x200'0000, true);
    function.memory_bar(4, 0x80'0000'0000, 0x1'0000'0000, true); // 4 GiB: the low mask is all zero
    const PciFunction at{pci, {}};
    CHECK(at.bar(0)->size == 0x1000);
    CHECK(at.bar(0)->base == 0xfe00'0000);
    CHECK(at.bar(1)->size == 0);
    CHECK(at.bar(2)->size == 0x200'0000);
    CHECK(at.bar(2)->base == 0x12'3400'0000);
    CHECK(at.bar(4)->size == 0x1'0000'0000);
    CHECK_FALSE(at.bar(6));
    CHECK(function.get(4, 2) == 0x0407);
    CHECK(function.get(0x10, 4) == 0xfe00'0000);
    function.memory_bar(0, 0, 0x1000);
    CHECK(at.bar(0)->size == 0);
    function.put<std::uint32_t>(0x24, 4); // a 64-bit BAR has no upper half here
    CHECK_FALSE(at.bar(5));
}

TEST_CASE("capabilities: a good function, longer capabilities, first usable one wins (B30)") {
    FakePci pci;
    pci.functions[{}] = good_function();
    const PciFunction at{pci, {}};
    auto found = find_pci_capabilities(at);
    REQUIRE(found);
    CHECK(found->common.offset == 0);
    CHECK(found->notify_multiplier == 4);
    CHECK(found->device.length == 0x100);
    CHECK(found->msix == 0);

    Function& function = pci.functions[{}];
    function.capability(0x11, 12);
    function.structure(4, 4, 0x2400, 0x80, 24); // a second device structure
    found = find_pci_capabilities(at);
    REQUIRE(found);
    CHECK(found->msix != 0);
    CHECK(found->device.offset == 0x2000);
}

TEST_CASE("capabilities: what lies outside its BAR, is too short or names a reserved BAR is passed over (trap 24, B30, B31)") {
    struct Row {
        const char* what;
        std::uint8_t bar;
        std::uint32_t offset, length;
        std::uint8_t size;
    };
    const Row rows[] = {
        {"reserved bar 6", 6, 0, 0x1000, 16},
        {"reserved bar 255", 255, 0, 0x1000, 16},
        {"absent bar", 2, 0, 0x1000, 16},
        {"ends beyond", 4, 0x3001, 0x1000, 16},
        {"starts beyond", 4, 0x4000, 0x1000, 16},
        {"overflows 32 bits", 4, 0xffff'f000, 0x1000, 16},
        {"overflows with length", 4, 0x1000, 0xffff'ffff, 16},
        {"too short a structure", 4, 0, 55, 16},
        {"empty", 4, 0, 0, 16},
        {"too short a capability", 4, 0, 0x1000, 15},
    };
    for (const Row& row : rows) {
        FakePci pci;
        Function function;
        function.identity(0x1042);
        function.memory_bar(4, 0x4000, 0x4000, true);
        function.structure(1, row.bar, row.offset, row.length, row.size);
        function.structure(3, 4, 0x1000, 0x1000);
        function.structure(2, 4, 0x3000, 0x400, 20);
        pci.functions[{}] = function;
        CHECK_MESSAGE(find_pci_capabilities(PciFunction{pci, {}}).error() == Error::bad_capability, row.what);
        // The same with a good one behind it works.
        pci.functions[{}].structure(1, 4, 0x2000, 0x100);
        const auto found = find_pci_capabilities(PciFunction{pci, {}});
        REQUIRE_MESSAGE(found, row.what);
        CHECK(found->common.offset == 0x2000);
    }
}

TEST_CASE("capability lists that loop, point nowhere or at themselves end (trap 24, B29)") {
    for (const unsigned next : {0x40u, 0x44u, 0xfcu, 0xffu, 0x01u, 0x3cu}) {
        FakePci pci;
        Function function;
        function.identity(0x1042);
        const std::uint8_t at = function.structure(1, 4, 0, 0x1000);
        function.space[at + 1u] = static_cast<std::uint8_t>(next);
        pci.functions[{}] = function;
        CHECK_FALSE(find_pci_capabilities(PciFunction{pci, {}}));
        CHECK(pci.reads < 2000);
    }
    FakePci nothing; // every read is all ones
    CHECK_FALSE(find_pci_capabilities(PciFunction{nothing, {}}));
    CHECK(nothing.reads < 2000);
}

TEST_CASE("PCI transport: registers, doorbell computed once and inside its capability (trap 19, B32)") {
    FakePci pci;
    pci.functions[{}] = good_function();
    PciTransport transport;
    REQUIRE(transport.open(PciFunction{pci, {}}));
    CHECK(transport.open(PciFunction{pci, {}}).error() == Error::already_started);
    CHECK(transport.identity()->type == 2);
    CHECK((pci.functions[{}].get(4, 2) & 6) == 6);
    std::byte* const common = pci.memory.data();
    const auto common16 = [&](std::size_t at) {
        std::uint16_t value;
        std::memcpy(&value, common + at, 2);
        return value;
    };
    const auto set16 = [&](std::size_t at, std::uint16_t value) { std::memcpy(common + at, &value, 2); };

    set16(pci_abi::kQueueCount, 2);
    set16(pci_abi::kQueueSize, 256);
    CHECK(*transport.queue_maximum(0) == 256);
    CHECK(*transport.queue_maximum(2) == 0);

    set16(pci_abi::kQueueNotifyOffset, 3);
    const auto grant = transport.queue_enable(1, {128, {0x1'0000'2000}, {0x3000}, {0x4000}, kNoVector, false});
    REQUIRE(grant);
    CHECK(common16(pci_abi::kQueueSelect) == 1);
    CHECK(common16(pci_abi::kQueueSize) == 128);
    CHECK(common16(pci_abi::kQueueEnable) == 1);
    CHECK(common16(pci_abi::kQueueDescriptor) == 0x2000);
    CHECK(common16(pci_abi::kQueueDescriptor + 4) == 1);
    CHECK(grant->doorbell.kind() == Doorbell::Kind::mmio16);
    grant->doorbell.ring(77);
    std::uint16_t rung;
    std::memcpy(&rung, common + 0x3000 + 12, 2);
    CHECK(rung == 1); // the queue's index, at notify offset 3 * 4
    CHECK(transport.queue_enable(1, {128, {}, {}, {}, kNoVector, false}).error() == Error::queue_unavailable); // enabled twice

    set16(pci_abi::kQueueEnable, 0);
    for (const std::uint16_t offset : {std::uint16_t{256}, std::uint16_t{0xffff}}) {
        set16(pci_abi::kQueueNotifyOffset, offset); // 256 * 4 = 0x400: one past the end
        CHECK(transport.queue_enable(1, {128, {}, {}, {}, kNoVector, false}).error() == Error::bad_capability);
    }
    set16(pci_abi::kQueueNotifyOffset, 255);
    CHECK(transport.queue_enable(1, {128, {}, {}, {}, kNoVector, true}).has_value()); // 32 bits still fit
    CHECK(transport.read_config(0x100, 1).error() == Error::out_of_range);
    CHECK(transport.read_config(0xfd, 4).error() == Error::out_of_range);
    CHECK(transport.read_config(0xfc, 4).has_value());
}

TEST_CASE("PCI transport: MSI-X table is written, bounded by its BAR; INTx stays disabled until it is wanted") {
    FakePci pci;
    Function function = good_function();
    const std::uint8_t msix = function.capability(0x11, 12);
    function.put<std::uint16_t>(msix + 2u, 3);          // four entries
    function.put<std::uint32_t>(msix + 4u, 0x3800 | 4); // BAR 4
    pci.functions[{}] = function;
    PciTransport transport;
    REQUIRE(transport.open(PciFunction{pci, {}}));
    CHECK((pci.functions[{}].get(4, 2) & 0x400) != 0);
    const InterruptTarget target{[](void*, std::uint16_t) noexcept {}, nullptr};
    pci.vectors = 3;
    CHECK(*transport.connect_messages(9, target) == 3);
    CHECK((pci.functions[{}].get(msix + 2u, 2) & 0xc000) == 0x8000);
    const auto word = [&](std::size_t at) {
        std::uint32_t value;
        std::memcpy(&value, pci.memory.data() + 0x3800 + at, 4);
        return value;
    };
    CHECK(word(0) == 0xfee0'0000);
    CHECK(word(8) == 0x30);
    CHECK(word(12) == 0);
    CHECK(word(2 * 16 + 8) == 0x32);
    CHECK(word(3 * 16 + 12) == 1); // not granted: masked
    transport.disconnect_interrupts();
    CHECK(pci.disconnects == 1);
    CHECK((pci.functions[{}].get(msix + 2u, 2) & 0x8000) == 0);
    REQUIRE(transport.connect_line(target));
    CHECK((pci.functions[{}].get(4, 2) & 0x400) == 0);

    pci.functions[{}].put<std::uint32_t>(msix + 4u, 0x3ff0 | 4); // the table would end beyond the BAR
    CHECK(transport.connect_messages(1, target).error() == Error::interrupt_unavailable);
    pci.functions[{}].put<std::uint32_t>(msix + 4u, 7);
    CHECK(transport.connect_messages(1, target).error() == Error::interrupt_unavailable);
}

TEST_CASE("bus scan: functions, bridges that point anywhere, removal and replacement") {
    FakePci pci;
    struct Seen {
        std::vector<PciAddress> added, removed;
    } seen;
    const PciListener listener{[](void* s, const PciFunction& f) noexcept { static_cast<Seen*>(s)->added.push_back(f.address()); },
                               [](void* s, const PciAddress& a) noexcept { static_cast<Seen*>(s)->removed.push_back(a); }, &seen};
    pci.functions[{0, 0, 3, 0}].identity(0x1042);
    pci.functions[{0, 0, 4, 0}].identity(0x1041);
    pci.functions[{0, 0, 4, 0}].space[0x0e] = 0x80;
    pci.functions[{0, 0, 4, 5}].identity(0x1044);
    pci.functions[{0, 0, 5, 3}].identity(0x1044); // function 0 is absent: not there
    Function& bridge = pci.functions[{0, 0, 6, 0}];
    bridge.identity(0x000c);
    bridge.space[0x0e] = 1;
    bridge.space[0x19] = 2;
    Function& back = pci.functions[{0, 2, 0, 0}];
    back.identity(0x000c);
    back.space[0x0e] = 1;
    back.space[0x19] = 0; // points back at the first bus
    pci.functions[{0, 2, 1, 0}].identity(0x1043);
    PciBus bus;
    REQUIRE(bus.scan(pci, {}, listener));
    CHECK(seen.added.size() == 6);
    REQUIRE(bus.scan(pci, {}, listener));
    CHECK(seen.added.size() == 6);
    CHECK(seen.removed.empty());
    pci.functions.erase({0, 2, 1, 0});
    pci.functions[{0, 0, 3, 0}].identity(0x1045); // another card
    REQUIRE(bus.scan(pci, {}, listener));
    CHECK(seen.removed.size() == 2);
    CHECK(seen.added.size() == 7);
}

TEST_CASE("MMIO slots on the command line: Linux's syntax and nonsense") {
    CHECK(*parse_mmio_slot("512@0xfeb00e00:12") == MmioSlot{0xfeb00e00, 512, 12});
    CHECK(*parse_mmio_slot("0x200@0xfeb00e00:12:3") == MmioSlot{0xfeb00e00, 512, 12});
    CHECK(*parse_mmio_slot("1K@4G:0x10") == MmioSlot{0x1'0000'0000, 1024, 16});
    CHECK(*parse_mmio_slot("010@0:7") == MmioSlot{0, 8, 7});
    for (const char* bad : {"", "512", "512@", "512@0x1000", "512@0x1000:", "@0x1000:5", "512@0x1000:5:", "512@0x1000:5x", "0@0x1000:5",
                            "512@0x1001:5", "512@-1:5", "z@0x1000:5", "0x@0x1000:5", "09@0x1000:5"})
        CHECK_MESSAGE(parse_mmio_slot(bad).error() == Error::invalid_argument, bad);
    for (const char* bad : {"99999999999999999999@0:1", "17179869184G@0:1", "512@0xffffffffffffff00:1", "512@0:4294967296"})
        CHECK_MESSAGE(parse_mmio_slot(bad).error() == Error::out_of_range, bad);
}

TEST_CASE("MMIO transport: checks in the specification's order, 32-bit registers, empty slots") {
    fake::HostPlatform platform;
    alignas(8) std::array<std::uint32_t, 128> registers{};
    const auto base = reinterpret_cast<std::uintptr_t>(registers.data());
    const auto at = [&](std::size_t offset) -> std::uint32_t& { return registers[offset / 4]; };
    const auto open = [&](std::size_t size = 0x200) {
        MmioTransport transport;
        return transport.open(platform, base, size);
    };
    CHECK(open(0xff).error() == Error::invalid_argument);
    CHECK(open().error() == Error::bad_magic);
    at(mmio_abi::kMagic) = 0x74726976;
    for (const std::uint32_t version : {0u, 3u, 0xffff'ffffu}) {
        at(mmio_abi::kVersion) = version;
        CHECK(open().error() == Error::bad_version);
    }
    at(mmio_abi::kVersion) = 2;
    CHECK(open().error() == Error::no_device);
    at(mmio_abi::kDeviceId) = 1;
    MmioTransport transport;
    REQUIRE(transport.open(platform, base, 0x200));
    CHECK(transport.identity()->type == 1);
    CHECK(transport.feature_words() == 2); // trap 26
    at(mmio_abi::kQueueMaximum) = 64;
    CHECK(transport.queue_enable(0, {128, {}, {}, {}, kNoVector, false}).error() == Error::queue_size_invalid);
    const auto grant = transport.queue_enable(1, {64, {0x5'0000'1000}, {0x2000}, {0x3000}, kNoVector, false});
    REQUIRE(grant);
    CHECK(at(mmio_abi::kQueueSize) == 64);
    CHECK(at(mmio_abi::kQueueDescriptor) == 0x1000);
    CHECK(at(mmio_abi::kQueueDescriptor + 4) == 5);
    CHECK(at(mmio_abi::kQueueReady) == 1);
    grant->doorbell.ring(9);
    CHECK(at(mmio_abi::kQueueNotify) == 1);
    CHECK(transport.queue_enable(1, {64, {}, {}, {}, kNoVector, false}).error() == Error::queue_unavailable);

    // The reason is acknowledged with what was read, and bits that do not exist are left alone (trap 5).
    at(mmio_abi::kInterruptStatus) = 0xfffffffe;
    CHECK(transport.interrupt_status().acknowledge() == InterruptStatus::kConfig);
    CHECK(at(mmio_abi::kInterruptAcknowledge) == InterruptStatus::kConfig);
    CHECK(transport.read_config(0x100, 1).error() == Error::out_of_range);
    CHECK(transport.read_config(0xff, 1).has_value());
}
