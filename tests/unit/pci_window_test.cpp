// Capabilities beyond the four structures: the window in configuration space and what is driven through it, shared memory regions,
// vendor data.
#include <doctest/doctest.h>

#include <cstring>

#include "libvirtio/transport/pci_modern.hpp"
#include "tests/unit/support/fake_pci.hpp"

using namespace virtio;
using fake::FakePci;
using fake::Function;
using fake::good_function;

namespace {

template<class T> Error why(const Result<T>& result) { return result ? Error::none : result.error(); }

/// A function that is reached by nothing but the window: its BAR is not assigned, and nobody can map it.
struct WindowBench {
    explicit WindowBench(bool assigned = false) {
        Function function = good_function();
        if (!assigned) {
            function.put<std::uint32_t>(0x20, 4);
            function.put<std::uint32_t>(0x24, 0);
        }
        window = function.structure(5, 0, 0, 0, 20);
        pci.functions[{}] = function;
        pci.on_read = [this](Function& its, std::uint16_t offset) {
            if (offset != window + 16) return;
            const auto [at, width] = aim(its);
            if (at + width <= pci.memory.size()) std::memcpy(&its.space[window + 16u], pci.memory.data() + at, width);
        };
        pci.on_write = [this](Function& its, std::uint16_t offset, unsigned bytes, std::uint32_t value) {
            if (offset != window + 16) return;
            const auto [at, width] = aim(its);
            CHECK(width == bytes);
            ++writes;
            if (at + width <= pci.memory.size()) std::memcpy(pci.memory.data() + at, &value, width);
        };
    }
    std::pair<std::uint32_t, std::uint32_t> aim(const Function& its) {
        CHECK(its.space[window + 4u] == 4);
        const std::uint32_t at = its.get(window + 8u, 4), width = its.get(window + 12u, 4);
        CHECK((width == 1 || width == 2 || width == 4));
        CHECK(at % width == 0);
        return {at, width};
    }
    template<class T> T get(std::size_t at) const {
        T value;
        std::memcpy(&value, pci.memory.data() + at, sizeof value);
        return value;
    }
    template<class T> void put(std::size_t at, T value) { std::memcpy(pci.memory.data() + at, &value, sizeof value); }

    FakePci pci;
    PciTransport transport;
    std::uint8_t window = 0;
    unsigned writes = 0;
};

constexpr InterruptTarget kTarget{[](void*, std::uint16_t) noexcept {}, nullptr};

} // namespace

TEST_CASE("window: every register through configuration space, with BARs that nobody assigned (4.1.4.9)") {
    WindowBench bench;
    PciTransport& transport = bench.transport;
    CHECK(why(PciTransport{}.open(PciFunction{bench.pci, {}})) == Error::bad_capability); // mapped: there is nothing
    REQUIRE(transport.open(PciFunction{bench.pci, {}}, PciReach::window));
    CHECK(std::string_view(transport.name()) == "pci-cfg");
    CHECK(transport.identity()->type == 2);
    bench.put<std::uint32_t>(pci_abi::kDeviceFeature, 0x1234'5678);
    CHECK(*transport.device_features(1) == 0x1234'5678);
    CHECK(bench.get<std::uint32_t>(pci_abi::kDeviceFeatureSelect) == 1);
    REQUIRE(transport.set_status(3));
    CHECK(bench.get<std::uint8_t>(pci_abi::kStatus) == 3);
    bench.put<std::uint32_t>(0x2008, 0xaabb'ccdd);
    CHECK(*transport.read_config(8, 4) == 0xaabb'ccdd);
    CHECK(*transport.read_config(9, 1) == 0xcc);
    REQUIRE(transport.write_config(2, 2, 0x7788));
    CHECK(bench.get<std::uint16_t>(0x2002) == 0x7788);
    CHECK(why(transport.read_config(0x100, 1)) == Error::out_of_range);

    bench.put<std::uint16_t>(pci_abi::kQueueCount, 100);
    bench.put<std::uint16_t>(pci_abi::kQueueSize, 64);
    CHECK(*transport.queue_maximum(3) == 64);
    bench.put<std::uint16_t>(pci_abi::kQueueNotifyOffset, 7);
    const auto grant = transport.queue_enable(3, {32, {0x1'0000'2000}, {0x3000}, {0x4000}, kNoVector, false});
    REQUIRE(grant);
    CHECK(grant->doorbell.kind() == Doorbell::Kind::call);
    CHECK(bench.get<std::uint64_t>(pci_abi::kQueueDescriptor) == 0x1'0000'2000);
    grant->doorbell.ring(9);
    CHECK(bench.get<std::uint32_t>(0x3000 + 7 * 4) == 3); // 16 bits of it
    bench.put<std::uint16_t>(pci_abi::kQueueEnable, 0);
    const auto telling = transport.queue_enable(3, {32, {}, {}, {}, kNoVector, true});
    REQUIRE(telling);
    telling->doorbell.ring(9);
    CHECK(bench.get<std::uint32_t>(0x3000 + 7 * 4) == 0x0009'0003);
    bench.put<std::uint16_t>(pci_abi::kQueueEnable, 0);
    CHECK(why(transport.queue_enable(64, {32, {}, {}, {}, kNoVector, false})) == Error::queue_unavailable); // no place for its offset
    CHECK(transport.queue_enable(63, {32, {}, {}, {}, kNoVector, false}));

    // A handler may not use the window, and a queue is called by its index.
    CHECK(why(transport.connect_line(kTarget)) == Error::interrupt_unavailable);
    CHECK(transport.interrupt_status().acknowledge() == 0);
    CHECK(transport.unsupported().has(RingFeature::notif_config_data));
    CHECK(why(transport.connect_messages(1, kTarget)) == Error::interrupt_unavailable); // it has none
}

TEST_CASE("window: one that is not there, too short, or over the end") {
    for (const unsigned what : {0u, 1u, 2u}) {
        WindowBench bench{true};
        Function& function = bench.pci.functions[{}];
        if (what == 0) function.space[bench.window + 3u] = 99;
        if (what == 1) function.space[bench.window + 2u] = 19;
        if (what == 2) { // moved to where its data would be behind the 256 bytes
            function.space[bench.window + 3u] = 99;
            function.next_free = 0xf0;
            const std::uint8_t at = function.capability(9, 16);
            function.space[at + 2u] = 20;
            function.space[at + 3u] = 5;
        }
        CHECK(why(bench.transport.open(PciFunction{bench.pci, {}}, PciReach::window)) == Error::bad_capability);
        CHECK(bench.transport.open(PciFunction{bench.pci, {}}).has_value()); // who does not need it does not miss it
        CHECK(bench.pci.beyond == 0);
    }
}

TEST_CASE("shared memory: regions by id, inside their BAR, 64 bits wide; vendor data is listed (4.1.4.7, 4.1.4.8)") {
    FakePci pci;
    Function function = good_function();
    function.memory_bar(2, 0x80'0000'0000, 0x4'0000'0000, true); // 16 GiB
    // The upper halves stand behind the header.
    struct Region {
        std::uint8_t id, bar;
        std::uint64_t offset, length;
        std::uint8_t size;
    };
    const auto add = [&function](const Region& region) {
        const std::uint8_t at = function.structure(8, region.bar, static_cast<std::uint32_t>(region.offset),
                                                   static_cast<std::uint32_t>(region.length), region.size);
        function.space[at + 5u] = region.id;
        if (region.size < 24) return;
        function.put(at + 16u, static_cast<std::uint32_t>(region.offset >> 32));
        function.put(at + 20u, static_cast<std::uint32_t>(region.length >> 32));
    };
    add({1, 2, 0x1'0000'0000, 0x2'0000'0000, 24});
    add({1, 2, 0, 0x1000, 24});             // the same id again
    add({2, 2, 0x3'ffff'f000, 0x2000, 24}); // ends beyond
    add({3, 2, 0, 0x4'0000'0001, 24});      // longer than the BAR
    add({4, 2, 0, 0, 24});                  // empty
    const std::uint8_t last = function.next_free;
    pci.functions[{}] = function;
    auto found = find_pci_capabilities(PciFunction{pci, {}});
    REQUIRE(found);
    REQUIRE(found->shared_memory_count == 1);
    CHECK(found->shared_memory[0].id == 1);
    CHECK(found->shared_memory[0].bar == 2);
    CHECK(found->shared_memory[0].offset == 0x1'0000'0000);
    CHECK(found->shared_memory[0].length == 0x2'0000'0000);
    CHECK(last <= 0x100); // all of them fit
    CHECK(found->vendor_data_count == 0);
    {
        PciTransport transport;
        REQUIRE(transport.open(PciFunction{pci, {}}));
        CHECK(transport.capabilities().shared_memory_count == 1);
        CHECK(transport.shared_memory(1)->address == 0x81'0000'0000);
        CHECK(transport.shared_memory(1)->length == 0x2'0000'0000);
        CHECK(why(transport.shared_memory(2)) == Error::not_found);
        pci.functions[{}].put<std::uint32_t>(0x18, 4); // the register is taken away
        pci.functions[{}].put<std::uint32_t>(0x1c, 0);
        CHECK(why(transport.shared_memory(1)) == Error::bad_bar);
        pci.functions[{}].port_bar(2, 0x4000, 0x1000);
        CHECK(why(transport.shared_memory(1)) == Error::bad_bar);
    }

    // As many as there is room for; short ones do not count.
    function = good_function();
    for (std::uint8_t id = 0; id < 4; ++id) add({id, 4, 0x1000u * id, 0x100, 24});
    pci.functions[{}] = function;
    CHECK(find_pci_capabilities(PciFunction{pci, {}})->shared_memory_count == 4);
    add({9, 4, 0, 0x100, 24}); // over the end of the configuration space, or one too many
    pci.functions[{}] = function;
    CHECK(find_pci_capabilities(PciFunction{pci, {}})->shared_memory_count == 4);
    function = good_function();
    add({1, 4, 0, 0x100, 23});
    add({2, 4, 0, 0x100, 16});
    pci.functions[{}] = function;
    CHECK(find_pci_capabilities(PciFunction{pci, {}})->shared_memory_count == 0);

    function = good_function();
    function.next_free = 0xec; // its last four bytes would be behind the 256
    add({7, 4, 0, 0x100, 16});
    function.space[0xec + 2] = 24;
    pci.functions[{}] = function;
    CHECK(find_pci_capabilities(PciFunction{pci, {}})->shared_memory_count == 0);
    CHECK(pci.beyond == 0);

    function = good_function();
    std::uint8_t at = 0;
    for (std::uint8_t i = 0; i < 5; ++i) {
        at = function.capability(9, 8);
        function.space[at + 2u] = 8;
        function.space[at + 3u] = 9;
        function.put<std::uint16_t>(at + 4u, static_cast<std::uint16_t>(0x1af4 + i));
    }
    pci.functions[{}] = function;
    found = find_pci_capabilities(PciFunction{pci, {}});
    REQUIRE(found);
    CHECK(found->vendor_data_count == 4);
    CHECK(found->vendor_data[1].vendor == 0x1af5);
    CHECK(found->vendor_data[1].size == 8);
    pci.functions[{}].space[at + 2u - 8u] = 5;    // too short for its vendor
    pci.functions[{}].space[at + 2u - 16u] = 255; // over the end
    found = find_pci_capabilities(PciFunction{pci, {}});
    CHECK(found->vendor_data_count == 3);
    CHECK(found->vendor_data[2].vendor == 0x1af8);
}

TEST_CASE("PCI and MMIO configuration of a device that has vanished is an error, all ones of one that is there a value") {
    FakePci pci;
    pci.functions[{}] = good_function();
    PciTransport transport;
    REQUIRE(transport.open(PciFunction{pci, {}}));
    std::memset(pci.memory.data(), 0xff, pci.memory.size());
    CHECK(*transport.read_config(0, 4) == 0xffff'ffff);
    CHECK(*transport.config_generation() == 0xff);
    pci.gone = true;
    for (const unsigned width : {1u, 2u, 4u}) CHECK(why(transport.read_config(0, width)) == Error::device_gone);
    CHECK(why(transport.config_generation()) == Error::device_gone);
}
