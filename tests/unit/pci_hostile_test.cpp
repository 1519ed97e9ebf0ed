// PCI functions and MMIO blocks that lie about themselves, and callers that misuse transports and the bus.
#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "drivers/bus/mmio_slot.hpp"
#include "drivers/bus/pci_bus.hpp"
#include "libvirtio/status.hpp"
#include "libvirtio/transport/mmio.hpp"
#include "libvirtio/transport/pci_modern.hpp"
#include "tests/unit/support/fake_device.hpp"
#include "tests/unit/support/fake_pci.hpp"

using namespace virtio;
using fake::FakePci;
using fake::Function;
using fake::good_function;

namespace {

/// Why it failed; a value is no failure.
template<class T> Error why(const Result<T>& result) { return result ? Error::none : result.error(); }

struct Found {
    std::vector<PciAddress> added;
    PciListener listener() {
        return {[](void* found, const PciFunction& function) noexcept { static_cast<Found*>(found)->added.push_back(function.address()); },
                nullptr, this};
    }
};

void make_bridge(Function& function, std::uint8_t to) {
    function.identity(0x000c);
    function.space[0x0e] = 1;
    function.space[0x19] = to;
}

} // namespace

TEST_CASE("bus scan: bridges do not lead out of the range") {
    FakePci pci;
    make_bridge(pci.functions[{0, 2, 0, 0}], 1);
    make_bridge(pci.functions[{0, 2, 1, 0}], 4);
    make_bridge(pci.functions[{0, 2, 2, 0}], 3);
    for (const std::uint8_t bus : {std::uint8_t{1}, std::uint8_t{3}, std::uint8_t{4}}) pci.functions[{0, bus, 0, 0}].identity(0x1042);
    PciBus bus;
    Found found;
    REQUIRE(bus.scan(pci, {.segment = 0, .first_bus = 2, .last_bus = 3}, found.listener()));
    CHECK(found.added.size() == 4);
    CHECK(found.added.back() == PciAddress{0, 3, 0, 0});
}

TEST_CASE("bus scan: a device of one function may answer at all eight, and what is no bridge leads nowhere") {
    FakePci pci;
    for (std::uint8_t number = 0; number < 8; ++number) pci.functions[{0, 0, 1, number}].identity(0x1042);
    pci.functions[{0, 0, 2, 0}].identity(0x1042);
    pci.functions[{0, 0, 2, 0}].space[0x19] = 5; // a base address register's byte here
    pci.functions[{0, 5, 0, 0}].identity(0x1042);
    PciBus bus;
    Found found;
    REQUIRE(bus.scan(pci, {}, found.listener()));
    CHECK(found.added == std::vector<PciAddress>{{0, 0, 1, 0}, {0, 0, 2, 0}});
}

TEST_CASE("bus scan: more functions than there is room for are an error, and a listener may be deaf") {
    FakePci pci;
    for (std::uint8_t slot = 0; slot < 32; ++slot)
        for (std::uint8_t number = 0; number < 8; ++number) {
            Function& function = pci.functions[{0, 0, slot, number}];
            function.identity(0x1042);
            function.space[0x0e] = 0x80;
        }
    make_bridge(pci.functions[{0, 0, 0, 0}], 1);
    pci.functions[{0, 0, 0, 0}].space[0x0e] = 0x81;
    pci.functions[{0, 1, 0, 0}].identity(0x1042);
    PciBus bus;
    Found found;
    CHECK(bus.scan(pci, {}, found.listener()).error() == Error::out_of_memory);
    CHECK(bus.function_count() == PciBus::kMostFunctions);
    CHECK(found.added.size() == PciBus::kMostFunctions);
    pci.functions.erase({0, 1, 0, 0});
    pci.functions.erase({0, 0, 31, 7});
    CHECK(bus.scan(pci, {}, {}).has_value()); // nobody is told of the removal
    CHECK(bus.function_count() == PciBus::kMostFunctions - 1);
    pci.functions[{0, 0, 31, 7}].identity(0x1042);
    CHECK(bus.scan(pci, {}, {}).has_value()); // nor of the addition
    CHECK(bus.function_count() == PciBus::kMostFunctions);
}

TEST_CASE("bus scan: what replaced a card is heard of after that one's end, and stays") {
    FakePci pci;
    pci.functions[{0, 0, 3, 0}].identity(0x1042);
    PciBus bus;
    std::vector<int> heard;
    const PciListener listener{[](void* seen, const PciFunction&) noexcept { static_cast<std::vector<int>*>(seen)->push_back(1); },
                               [](void* seen, const PciAddress&) noexcept { static_cast<std::vector<int>*>(seen)->push_back(-1); }, &heard};
    REQUIRE(bus.scan(pci, {}, listener));
    pci.functions[{0, 0, 3, 0}].identity(0x1041);
    REQUIRE(bus.scan(pci, {}, listener));
    CHECK(heard == std::vector<int>{1, -1, 1});
    REQUIRE(bus.scan(pci, {}, listener));
    CHECK(heard.size() == 3);
    CHECK(bus.function_count() == 1);
}

TEST_CASE("BARs: sizes and places that cannot be (B31)") {
    FakePci pci;
    Function& function = pci.functions[{}];
    function.put<std::uint32_t>(0x10, 0x1001); // ports, and no bit sticks
    function.put<std::uint32_t>(0x14, 0xfe00'0000);
    function.put<std::uint32_t>(0x18, 0xfd00'0000);
    function.bar_mask[2] = 0xffff'5000; // not a power of two
    function.memory_bar(4, 0xffff'ffff'ffff'f000, 0x1000, true);
    const PciFunction at{pci, {}};
    CHECK(at.bar(0)->size == 0);
    CHECK(at.bar(1)->size == 0);
    CHECK(why(at.bar(2)) == Error::bad_bar);
    CHECK(why(at.bar(4)) == Error::bad_bar);
    CHECK(why(at.bar(6)) == Error::bad_bar);
    function.put<std::uint32_t>(0x24, 4); // 64 bits wide, and the last one
    CHECK(why(at.bar(5)) == Error::bad_bar);
    function.put<std::uint32_t>(0x10, 0x1001);
    function.bar_mask[0] = 0xffe0;
    CHECK(at.bar(0)->size == 32);
    CHECK(at.bar(0)->port);
}

TEST_CASE("capabilities: no list, lists inside the header, capabilities over the end (trap 24, B29, B30)") {
    FakePci pci;
    Function& function = pci.functions[{}];
    const PciFunction at{pci, {}};
    function = good_function();
    function.put<std::uint16_t>(6, 0); // no list, whatever the pointer says
    CHECK(why(find_pci_capabilities(at)) == Error::bad_capability);

    // The interrupt status structure stands inside the header.
    function = Function{};
    function.identity(0x1042);
    function.memory_bar(4, 0x4000, 0x4000, true);
    function.structure(1, 4, 0, 0x1000);
    function.structure(2, 4, 0x3000, 0x400, 20);
    const std::uint8_t isr = function.structure(3, 4, 0x1000, 0x1000);
    std::memcpy(&function.space[0x28], &function.space[isr], 12); // its length is the pointer of the list: more than the BAR
    function.put<std::uint32_t>(0x30, 4);
    for (unsigned i = 0x40; i < 0x100; ++i)
        if (function.space[i] == isr) function.space[i] = 0x28;
    CHECK(why(find_pci_capabilities(at)) == Error::bad_capability);

    // Without each of the three that must be there.
    for (const std::uint8_t missing : {std::uint8_t{1}, std::uint8_t{2}, std::uint8_t{3}}) {
        function = good_function();
        for (unsigned i = 0x40; i < 0xf0; i += 4)
            if (function.space[i] == 9 && function.space[i + 3] == missing) function.space[i + 3] = 99;
        CHECK_MESSAGE(why(find_pci_capabilities(at)) == Error::bad_capability, int{missing});
    }

    // A notification capability that is too short to hold its multiplier.
    function = good_function();
    for (unsigned i = 0x40; i < 0xf0; i += 4)
        if (function.space[i] == 9 && function.space[i + 3] == 2) function.space[i + 2] = 19;
    CHECK(why(find_pci_capabilities(at)) == Error::bad_capability);

    // Capabilities of which the end is behind the 256 bytes.
    for (const std::uint8_t place : {std::uint8_t{0xf0}, std::uint8_t{0xf4}, std::uint8_t{0xfc}}) {
        function = Function{};
        function.identity(0x1042);
        function.memory_bar(4, 0x4000, 0x4000, true);
        function.structure(1, 4, 0, 0x1000);
        function.structure(3, 4, 0x1000, 0x1000);
        function.next_free = place;
        function.capability(9, 4);
        function.space[place + 2u] = 20;
        function.space[place + 3u] = 2;
        if (place == 0xf0) {
            function.space[0xf4] = 4;
            function.put<std::uint32_t>(0xf8, 0x3000);
            function.put<std::uint32_t>(0xfc, 0x400);
        }
        pci.beyond = 0;
        CHECK_MESSAGE(why(find_pci_capabilities(at)) == Error::bad_capability, int{place});
        CHECK_MESSAGE(pci.beyond == 0, int{place});
    }

    function.identity(0x0fff, 2); // one below virtio's
    CHECK(why(virtio_type(at)) == Error::no_device);
    function.identity(0x1080);
    CHECK(why(virtio_type(at)) == Error::no_device);
    function.identity(0x1042);
    CHECK(*virtio_type(at) == 2);
    function.put<std::uint16_t>(0, 0x8086);
    CHECK(why(virtio_type(at)) == Error::no_device);
}

TEST_CASE("capabilities: structures at addresses that registers cannot have (VIRTIO 1.4, 4.1.4)") {
    FakePci pci;
    Function& function = pci.functions[{}];
    for (const std::uint8_t type : {std::uint8_t{1}, std::uint8_t{2}, std::uint8_t{3}, std::uint8_t{4}})
        for (const std::uint32_t by : {1u, 2u, 4u}) {
            CAPTURE(int{type});
            CAPTURE(by);
            function = good_function();
            for (unsigned i = 0x40; i < 0xf0; i += 4)
                if (function.space[i] == 9 && function.space[i + 3] == type) {
                    function.put<std::uint32_t>(i + 8, function.get(i + 8, 4) + by);
                    function.put<std::uint32_t>(i + 12, 0x100);
                }
            const bool possible = type == 3 || by == 4 || (type == 2 && by == 2);
            const auto found = find_pci_capabilities(PciFunction{pci, {}});
            if (type == 4) {
                REQUIRE(found);
                CHECK(static_cast<bool>(found->device) == (possible && found->device.offset % 4 == 0 && found->device.length != 0));
            } else {
                CHECK(found.has_value() == possible);
            }
        }
}

TEST_CASE("capabilities: structures of which one byte is outside") {
    FakePci pci;
    Function& function = pci.functions[{}];
    for (const std::uint32_t excess : {0u, 1u, 0xffff'c000u}) {
        function = good_function();
        function.structure(4, 4, 0, 0); // empty: not a structure
        for (unsigned i = 0x40; i < 0xf0; i += 4)
            if (function.space[i] == 9 && function.space[i + 3] == 4) {
                function.put<std::uint32_t>(i + 8, 0x2000 + excess);
                function.put<std::uint32_t>(i + 12, 0x2000);
            }
        const auto found = find_pci_capabilities(PciFunction{pci, {}});
        REQUIRE(found);
        CHECK(static_cast<bool>(found->device) == (excess == 0));
    }
    function = good_function();
    for (unsigned i = 0x40; i < 0xf0; i += 4)
        if (function.space[i] == 9 && function.space[i + 3] == 4) function.put<std::uint32_t>(i + 12, 0x4001);
    CHECK_FALSE(find_pci_capabilities(PciFunction{pci, {}})->device);
}

// QEMU's modern-pio-notify=on puts the notification structure in ports first in the list.
TEST_CASE("capabilities: one in ports is passed over for the next, mapped and through the window (PCI-010)") {
    for (const PciReach reach : {PciReach::mapped, PciReach::window}) {
        FakePci pci;
        Function function;
        function.port_bar(0, 0x4000, 0x100); // memory of that address could be mapped
        const std::uint8_t ports = function.structure(2, 0, 0, 4, 20);
        function.identity(0x1042);
        function.memory_bar(4, 0x4000, 0x4000, true);
        for (const std::uint8_t type : {std::uint8_t{1}, std::uint8_t{3}, std::uint8_t{4}})
            function.structure(type, 4, 0x1000u * (type - 1u), 0x100);
        const std::uint8_t memory = function.structure(2, 4, 0x1000, 0x400, 20);
        function.put<std::uint32_t>(memory + 16u, 4);
        function.structure(5, 0, 0, 0, 20);
        function.structure(8, 0, 0, 0x100, 24); // shared memory is none either
        pci.functions[{}] = function;
        const auto found = find_pci_capabilities(PciFunction{pci, {}}, reach);
        REQUIRE(found);
        CHECK(ports < memory);
        CHECK(found->notify.bar == 4);
        CHECK(found->notify.offset == 0x1000);
        CHECK(found->notify_multiplier == 4);
        CHECK(found->shared_memory_count == 0);
        PciTransport transport;
        CHECK(transport.open(PciFunction{pci, {}}, reach));
    }
}

TEST_CASE("PCI transport: BARs of ports, BARs that shrink between two looks, memory that cannot be mapped (B31)") {
    {
        FakePci pci;
        Function function = good_function();
        function.put<std::uint32_t>(0x10, 0x4001); // memory of that address could be mapped
        function.bar_mask[0] = 0xff00;
        for (unsigned i = 0x40; i < 0xf0; i += 4)
            if (function.space[i] == 9 && function.space[i + 3] == 1) {
                function.space[i + 4] = 0;
                function.put<std::uint32_t>(i + 12, 64);
            }
        pci.functions[{}] = function;
        PciTransport transport;
        CHECK(why(transport.open(PciFunction{pci, {}})) == Error::bad_capability);
    }
    {
        FakePci pci;
        pci.functions[{}] = good_function();
        unsigned looks = 0;
        pci.on_read = [&](Function& function, std::uint16_t offset) {
            if (offset != 0x20 || ++looks <= 2) return; // the contents, the mask; and from then on the mask is empty:
            function.put<std::uint32_t>(0x20, looks % 2 == 1 ? 0x4004 : 0);
            function.bar_mask[5] = 0;
        };
        PciTransport transport;
        CHECK(why(transport.open(PciFunction{pci, {}})) == Error::bad_bar);
        CHECK(looks > 2);
    }
    {
        FakePci pci;
        Function function = good_function();
        function.memory_bar(4, 0x9000'0000, 0x4000, true); // nobody can map that
        pci.functions[{}] = function;
        PciTransport transport;
        CHECK(why(transport.open(PciFunction{pci, {}})) == Error::bad_bar);
        CHECK(why(transport.identity()) == Error::not_started);
    }
}

TEST_CASE("PCI transport: a device that is gone, short structures, registers that never move (B36, B41)") {
    FakePci pci;
    Function function = good_function();
    for (unsigned i = 0x40; i < 0xf0; i += 4)
        if (function.space[i] == 9 && function.space[i + 3] == 1) function.put<std::uint32_t>(i + 12, 56);
    pci.functions[{}] = function;
    PciTransport transport;
    CHECK(why(transport.identity()) == Error::not_started);
    REQUIRE(transport.open(PciFunction{pci, {}}));
    const auto set16 = [&](std::size_t at, std::uint16_t value) { std::memcpy(pci.memory.data() + at, &value, 2); };
    transport.disconnect_interrupts();
    CHECK(pci.disconnects == 0); // nothing was connected

    CHECK(transport.unsupported().has(RingFeature::ring_reset)); // 56 bytes: no such register
    CHECK(why(transport.queue_reset(0, ~std::uint64_t{0})) == Error::unsupported_request);
    for (const std::size_t width : {1u, 2u, 4u}) {
        const auto w = static_cast<unsigned>(width);
        CHECK(why(transport.read_config(0x100, w)) == Error::out_of_range);
        CHECK(why(transport.read_config(0x101, w)) == Error::out_of_range);
        CHECK(why(transport.write_config(0x100, w, 0)) == Error::out_of_range);
        CHECK(why(transport.write_config(0x101, w, 0)) == Error::out_of_range);
        CHECK(transport.write_config(0x100 - width, w, 0).has_value());
    }
    CHECK(why(transport.write_config(0xfe, 4, 0)) == Error::out_of_range);
    CHECK(why(transport.write_config(0xffff'ffff'ffff'ffff, 1, 0)) == Error::out_of_range);
    CHECK(why(transport.read_config(0xffff'ffff'ffff'ffff, 1)) == Error::out_of_range);
    CHECK(why(transport.read_config(0, 3)) == Error::invalid_argument);

    set16(pci_abi::kQueueCount, 1);
    const auto masters = [&] { return (PciFunction{pci, {}}.read(0x04, 2) & 4) != 0; };
    CHECK(transport.cut_off());
    CHECK(transport.set_status(virtio::status::kFailed).has_value());
    CHECK_FALSE(masters());
    CHECK(transport.set_status(virtio::status::kAcknowledge).has_value()); // only ever written after a reset that was confirmed
    CHECK(masters());
    pci.keeps_mastering = true;
    CHECK_FALSE(transport.cut_off()); // it stays a master of the bus
    std::memset(pci.memory.data(), 0xff, 64);
    CHECK(*transport.status() == 0xff);
    CHECK(*transport.device_features(0) == 0xffff'ffff);
    CHECK(*transport.queue_maximum(0) == 0xffff);
    pci.gone = true;
    CHECK(why(transport.identity()) == Error::device_gone);
    CHECK(why(transport.status()) == Error::device_gone);
    CHECK(why(transport.device_features(0)) == Error::device_gone);
    CHECK(why(transport.queue_maximum(0)) == Error::device_gone);
    CHECK(transport.cut_off());
}

TEST_CASE("PCI transport: a queue reset ends at its deadline (B36)") {
    FakePci pci;
    pci.functions[{}] = good_function();
    PciTransport transport;
    REQUIRE(transport.open(PciFunction{pci, {}}));
    CHECK_FALSE(transport.unsupported().has(RingFeature::ring_reset));
    CHECK(why(transport.queue_reset(0, pci.clock + 1'000'000)) == Error::reset_timeout); // the register stays at 1
    CHECK(pci.clock < 10'000'000);
}

TEST_CASE("PCI transport: kicks stay inside the notification structure (trap 19, B32)") {
    struct Row {
        std::uint32_t length, multiplier;
        std::uint16_t offset;
        bool data, fits;
    };
    for (const Row& row : {Row{2, 4, 0, false, true}, Row{2, 4, 0, true, false}, Row{3, 4, 0, true, false}, Row{0x400, 1, 1, false, false},
                           Row{0x400, 2, 1, false, true}, Row{0x400, 2, 1, true, false}, Row{0x400, 4, 255, true, true},
                           Row{0x400, 4, 256, true, false}, Row{0x400, 0xffff'ffff, 0xffff, false, false}}) {
        FakePci pci;
        Function function = good_function();
        for (unsigned i = 0x40; i < 0xf0; i += 4)
            if (function.space[i] == 9 && function.space[i + 3] == 2) {
                function.put<std::uint32_t>(i + 12, row.length);
                function.put<std::uint32_t>(i + 16, row.multiplier);
            }
        pci.functions[{}] = function;
        PciTransport transport;
        REQUIRE(transport.open(PciFunction{pci, {}}));
        std::memcpy(pci.memory.data() + pci_abi::kQueueNotifyOffset, &row.offset, 2);
        const auto grant = transport.queue_enable(0, {16, {}, {}, {}, kNoVector, row.data});
        CHECK(grant.has_value() == row.fits);
        if (!row.fits) CHECK(why(grant) == Error::bad_capability);
    }
}

TEST_CASE("PCI transport: interrupt tables that are not there, or not where they are said to be") {
    const InterruptTarget target{[](void*, std::uint16_t) noexcept {}, nullptr};
    FakePci pci;
    pci.vectors = 100;
    const auto connect = [&](std::uint16_t entries, std::uint32_t where, std::uint16_t wanted) -> Result<std::uint16_t> {
        Function function = good_function();
        function.put<std::uint32_t>(0x10, 0x4001); // ports; memory of that address could be mapped
        function.bar_mask[0] = 0xff00;
        function.memory_bar(1, 0x4000, 0x1000); // a page of the device's memory
        if (entries != 0) {
            const std::uint8_t msix = function.capability(0x11, 12);
            function.put<std::uint16_t>(msix + 2u, static_cast<std::uint16_t>(entries - 1));
            function.put<std::uint32_t>(msix + 4u, where);
        }
        pci.functions[{}] = function;
        PciTransport transport;
        REQUIRE(transport.open(PciFunction{pci, {}}));
        return transport.connect_messages(wanted, target);
    };
    CHECK(*connect(4, 0x3800 | 4, 9) == 4);       // what the table has
    CHECK(*connect(128, 0x3800 | 4, 100) == 64);  // what there is room for
    CHECK(*connect(4, 0xfc0 | 1, 4) == 4);        // the last that fits
    CHECK_FALSE(connect(0, 0, 4));                // none
    CHECK_FALSE(connect(4, 0 | 0, 4));            // ports
    CHECK_FALSE(connect(4, 0xfd0 | 1, 4));        // one byte too far, but inside the device's memory
    CHECK_FALSE(connect(257, 0 | 1, 4));          // longer than its register
    CHECK_FALSE(connect(4, 0xffff'fff8u | 1, 4)); // nowhere
    pci.grants_none = true;
    CHECK(why(connect(4, 0x3800 | 4, 9)) == Error::interrupt_unavailable);
}

TEST_CASE("MMIO slots: what stands between the numbers") {
    CHECK(why(parse_mmio_slot("512#0x1000:5")) == Error::invalid_argument);
    CHECK(why(parse_mmio_slot("5120x1000:5")) == Error::invalid_argument);
    CHECK(parse_mmio_slot("512@0x1000;5").error() == Error::invalid_argument);
    CHECK(why(parse_mmio_slot("512@0x1000@5")) == Error::invalid_argument);
    CHECK(why(parse_mmio_slot("1K0x1000:5")) == Error::invalid_argument); // after a suffix a number could follow at once
    CHECK(why(parse_mmio_slot("512@4K5")) == Error::invalid_argument);
}

TEST_CASE("MMIO transport: no block, a small one, one that is gone, registers that never move (B36, B41)") {
    fake::HostPlatform platform;
    alignas(8) std::array<std::uint32_t, 130> registers{};
    const auto base = reinterpret_cast<std::uintptr_t>(registers.data());
    const auto at = [&](std::size_t offset) -> std::uint32_t& { return registers[offset / 4]; };
    at(mmio_abi::kMagic) = 0x74726976;
    at(mmio_abi::kVersion) = 2;
    at(mmio_abi::kDeviceId) = 1;
    MmioTransport transport;
    CHECK(why(transport.identity()) == Error::not_started);
    CHECK(why(transport.open(platform, 0, 0x200)) == Error::invalid_argument);
    CHECK(why(transport.open(platform, base + 2, 0x200)) == Error::invalid_argument);
    CHECK(why(transport.open(platform, base, 0xff)) == Error::invalid_argument);
    REQUIRE(transport.open(platform, base, 0x200, MmioTransport::Line::absent));
    CHECK(why(transport.open(platform, base, 0x200)) == Error::already_started);
    CHECK(why(transport.connect_line({})) == Error::interrupt_unavailable);
    for (const std::size_t width : {1u, 2u, 4u}) {
        const auto w = static_cast<unsigned>(width);
        CHECK(why(transport.read_config(0x100, w)) == Error::out_of_range);
        CHECK(why(transport.read_config(0x101, w)) == Error::out_of_range);
        CHECK(why(transport.write_config(0x100, w, 0)) == Error::out_of_range);
        CHECK(why(transport.write_config(0x101, w, 0)) == Error::out_of_range);
        CHECK(transport.write_config(0x100 - width, w, 0).has_value());
        CHECK(transport.read_config(0x100 - width, w).has_value());
    }
    CHECK(why(transport.write_config(0xffff'ffff'ffff'ff04, 1, 0)) == Error::out_of_range); // would be another register
    CHECK(why(transport.read_config(0xffff'ffff'ffff'ff04, 1)) == Error::out_of_range);
    CHECK(why(transport.read_config(0, 3)) == Error::invalid_argument);

    // Shared memory: one region, none, an empty one, one beyond the end.
    const auto region = [&](std::uint64_t address, std::uint64_t length) {
        at(mmio_abi::kSharedMemoryBase) = static_cast<std::uint32_t>(address);
        at(mmio_abi::kSharedMemoryBase + 4) = static_cast<std::uint32_t>(address >> 32);
        at(mmio_abi::kSharedMemoryLength) = static_cast<std::uint32_t>(length);
        at(mmio_abi::kSharedMemoryLength + 4) = static_cast<std::uint32_t>(length >> 32);
        return transport.shared_memory(7);
    };
    CHECK(region(0x1'2345'6000, 0x2'0000'0000)->address == 0x1'2345'6000);
    CHECK(region(0x1'2345'6000, 0x2'0000'0000)->length == 0x2'0000'0000);
    CHECK(at(mmio_abi::kSharedMemorySelect) == 7);
    CHECK(why(region(0, ~std::uint64_t{0})) == Error::not_found);
    CHECK(why(region(0x1000, 0)) == Error::not_found);
    CHECK(why(region(0xffff'ffff'ffff'f000, 0x1001)) == Error::bad_config);

    at(mmio_abi::kInterruptStatus) = 0; // another device's interrupt: nothing to acknowledge
    at(mmio_abi::kInterruptAcknowledge) = 77;
    CHECK(transport.interrupt_status().acknowledge() == 0);
    CHECK(at(mmio_abi::kInterruptAcknowledge) == 77);
    std::uint32_t reason = 0xf4;
    const auto other = InterruptStatus::through([](void* context) noexcept { return *static_cast<std::uint32_t*>(context); }, &reason);
    CHECK(other.acknowledge() == 0);
    reason = 0xf5;
    CHECK(other.acknowledge() == InterruptStatus::kQueue);

    // It never confirms the reset of a queue: the register stays at 1.
    const std::uint64_t before = platform.clock_ns;
    CHECK(why(transport.queue_reset(0, before + 1'000'000)) == Error::reset_timeout);
    CHECK(platform.clock_ns - before < 10'000'000);

    at(mmio_abi::kDeviceFeatures) = at(mmio_abi::kQueueMaximum) = at(mmio_abi::kStatus) = 0xffff'ffff;
    CHECK(*transport.device_features(0) == 0xffff'ffff);
    CHECK(*transport.queue_maximum(0) == 0xffff'ffff);
    CHECK(why(transport.status()) == Error::device_gone);
    at(mmio_abi::kConfig) = 0xffff'ffff;
    CHECK(*transport.read_config(0, 4) == 0xffff'ffff);
    at(mmio_abi::kQueueReset) = 0xffff'ffff;
    at(mmio_abi::kMagic) = 0xffff'ffff;
    CHECK(why(transport.read_config(0, 1)) == Error::device_gone);
    CHECK(why(transport.read_config(0, 4)) == Error::device_gone);
    CHECK(why(transport.identity()) == Error::device_gone);
    CHECK(why(transport.device_features(0)) == Error::device_gone);
    CHECK(why(transport.queue_maximum(0)) == Error::device_gone);
}
