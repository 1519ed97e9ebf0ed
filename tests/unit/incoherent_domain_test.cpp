// The tests' own domains: what a driver forgets must show.
#include <doctest/doctest.h>

#include <array>
#include <cstring>

#include "tests/unit/support/fake_device.hpp"

using namespace virtio;
using fake::Firewall;

TEST_CASE("firewall: inside one live loan, in its direction, and nowhere else") {
    Firewall firewall;
    std::array<std::byte, 100> memory{};
    const auto at = reinterpret_cast<std::uintptr_t>(memory.data());
    CHECK_FALSE(firewall.admits(memory.data(), 1, Firewall::Access::read));
    firewall.lend(at + 10, 20, DmaDirection::to_device);
    firewall.lend(at + 30, 20, DmaDirection::to_device);
    firewall.lend(at + 60, 10, DmaDirection::from_device);
    firewall.lend(at + 80, 10, DmaDirection::both);
    const auto read = [&](std::size_t from, std::size_t bytes) {
        return firewall.admits(memory.data() + from, bytes, Firewall::Access::read);
    };
    const auto write = [&](std::size_t from, std::size_t bytes) {
        return firewall.admits(memory.data() + from, bytes, Firewall::Access::write);
    };
    CHECK(read(10, 20));
    CHECK(read(29, 1));
    CHECK_FALSE(read(9, 1));
    CHECK_FALSE(read(29, 2)); // two loans are not one
    CHECK_FALSE(read(50, 1));
    CHECK_FALSE(write(10, 1));
    CHECK(write(60, 10));
    CHECK_FALSE(read(60, 1));
    CHECK((read(80, 10) && write(80, 10)));
    CHECK_FALSE(firewall.end(at + 10, 20, DmaDirection::from_device));
    CHECK_FALSE(firewall.end(at + 10, 10, DmaDirection::to_device));
    CHECK(firewall.end(at + 10, 20, DmaDirection::to_device));
    CHECK_FALSE(firewall.end(at + 10, 20, DmaDirection::to_device));
    CHECK_FALSE(read(10, 1));
    firewall.allow(memory.data(), 10);
    CHECK((read(0, 10) && write(9, 1)));
    CHECK_FALSE(read(9, 2));
    firewall.forget(memory.data());
    CHECK_FALSE(read(0, 1));
    firewall.open();
    CHECK(read(0, 100));
}

TEST_CASE("incoherent domain: bytes move on map and on unmap only") {
    fake::HostPlatform platform;
    DmaDomain& plain = **static_cast<Platform&>(platform).Platform::dma_domain({}, false);
    fake::IncoherentDomain domain{plain};
    std::array<std::byte, 64> memory{};
    const auto out = domain.map(memory.data(), memory.size(), DmaDirection::to_device);
    REQUIRE(out);
    auto* seen = reinterpret_cast<std::byte*>(out->address.value);
    CHECK(seen != memory.data());
    CHECK(std::memcmp(seen, memory.data(), memory.size()) == 0);
    memory[0] = std::byte{1}; // too late
    CHECK(seen[0] == std::byte{0});
    seen[1] = std::byte{2}; // not the device's to write
    domain.unmap(*out, DmaDirection::to_device);
    CHECK(memory[1] == std::byte{0});

    const auto in = domain.map(memory.data(), memory.size(), DmaDirection::from_device);
    REQUIRE(in);
    seen = reinterpret_cast<std::byte*>(in->address.value);
    CHECK(seen[0] != memory[0]); // poison
    seen[5] = std::byte{5};
    CHECK(memory[5] == std::byte{0}); // not yet
    domain.unmap(*in, DmaDirection::from_device);
    CHECK(memory[5] == std::byte{5});
    CHECK(memory[6] != std::byte{0}); // the device did not write it, and nobody else did
    platform.contiguous_limit = 16;
    CHECK(domain.map(memory.data() + 1, 40, DmaDirection::both)->length <= 16);
}

TEST_CASE("watched domain: a device that is pointed elsewhere is a violation") {
    fake::HostPlatform platform;
    fake::FakeDevice device{{.type = 4, .features = FeatureSet::of(32), .config = {}, .queue_sizes = {8}}};
    device.firewall = &platform.firewall;
    DmaDomain* domain = *platform.dma_domain({}, false);
    const auto ring = domain->allocate(4096, 4096);
    REQUIRE(ring);
    CHECK(device.set_status(1));
    CHECK(device.set_status(3));
    CHECK(device.set_status(11));
    const QueueSetup good{.size = 8, .descriptor = ring->address, .driver = ring->address + 128, .device = ring->address + 256};
    CHECK(device.queue_enable(0, good));
    CHECK(device.set_status(15));
    CHECK(device.violations.empty());
    std::array<std::byte, 16> memory{};
    const auto mapping = domain->map(memory.data(), memory.size(), DmaDirection::from_device);
    REQUIRE(mapping);
    auto offer = [&, index = std::uint16_t{0}](std::uint64_t address, std::uint32_t length, std::uint16_t flags) mutable {
        std::memcpy(ring->data, &address, 8);
        std::memcpy(ring->data + 8, &length, 4);
        std::memcpy(ring->data + 12, &flags, 2);
        ++index;
        std::memcpy(ring->data + 128 + 2, &index, 2);
        device.violations.clear();
        static_cast<void>(device.take(0));
        return device.violations.empty();
    };
    CHECK(offer(mapping->address.value, 16, 2));
    CHECK_FALSE(offer(mapping->address.value, 17, 2));
    CHECK_FALSE(offer(mapping->address.value, 16, 0)); // lent for writing
    domain->unmap(*mapping, DmaDirection::from_device);
    CHECK_FALSE(offer(mapping->address.value, 16, 2)); // no longer
    domain->free(*ring);
    CHECK(platform.live.empty());
}
