// VirtualBox: a device's legacy registers in I/O ports read all ones while memory decoding is on.
#include <doctest/doctest.h>

#include <cstring>

#include "libvirtio/transport/pci_legacy.hpp"
#include "tests/unit/support/fake_pci.hpp"

using namespace virtio;
using fake::FakePci;
using fake::Function;

TEST_CASE("VirtualBox: legacy ports that answer only while memory decoding is off; there are no messages then") {
    FakePci pci;
    Function& function = pci.functions[{}];
    function.identity(0x1000, 1);
    function.port_bar(0, 0x4000, 0x40);
    function.memory_bar(1, 0x6000, 0x1000);
    const std::uint8_t msix = function.capability(0x11, 12);
    function.put<std::uint16_t>(msix + 2u, 3);
    function.put<std::uint32_t>(msix + 4u, 1);
    std::array<std::byte, 0x40> registers{};
    registers[0] = std::byte{0x20};
    const auto show = [&](std::uint32_t command) {
        if ((command & 2) != 0)
            std::memset(pci.memory.data(), 0xff, registers.size());
        else
            std::memcpy(pci.memory.data(), registers.data(), registers.size());
    };
    show(function.get(4, 2));
    pci.on_write = [&](Function&, std::uint16_t offset, unsigned, std::uint32_t value) {
        if (offset == 4) show(value);
    };
    PciLegacyTransport transport;
    REQUIRE(transport.open(PciFunction{pci, {}}));
    CHECK(*transport.device_features(0) == 0x20);
    CHECK(*transport.status() == 0);
    CHECK((pci.functions[{}].get(4, 2) & 7) == 5); // ports and mastering, no memory
    // The interrupt table is in memory.
    const InterruptTarget target{[](void*, std::uint16_t) noexcept {}, nullptr};
    CHECK(transport.connect_messages(2, target).error() == Error::interrupt_unavailable);
    REQUIRE(transport.connect_line(target));
    CHECK(*transport.device_features(0) == 0x20);
}
