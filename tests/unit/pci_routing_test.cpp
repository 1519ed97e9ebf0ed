#include <doctest/doctest.h>

#include "drivers/bus/pci_routing.hpp"
#include "tests/unit/support/fake_pci_tree.hpp"

using namespace virtio;
using fake::PciNode;
using fake::PciTree;

TEST_CASE("interrupt pins through bridges") {
    CHECK(swizzled(1, 0) == 1);
    CHECK(swizzled(4, 1) == 1);
    CHECK(swizzled(3, 31) == 2);
    PciTree tree;
    PciNode& card = tree.add(nullptr, 3, 1);
    tree.add(nullptr, 3).space[0x0e] = 0x80;
    card.space[0x3d] = 2;
    PciNode& left = tree.add_bridge(nullptr, 4);
    left.put(0x18, 0x0001'0100);
    PciNode& right = tree.add_bridge(nullptr, 6);
    right.put(0x18, 0x0005'0200);
    PciNode& inner = tree.add_bridge(&right, 7);
    inner.put(0x18, 0x0004'0302);
    PciNode& below = tree.add(&inner, 2);
    below.space[0x3d] = 4;
    const PciBus::Range range{};
    CHECK(*root_pin(tree, range, {0, 0, 3, 1}) == PciPin{3, 2});
    CHECK(*root_pin(tree, range, {0, 3, 2, 0}) == PciPin{6, static_cast<std::uint8_t>((4 - 1 + 2 + 7) % 4 + 1)});
    below.space[0x3d] = 0;
    CHECK(root_pin(tree, range, {0, 3, 2, 0}).error() == Error::interrupt_unavailable);
    below.space[0x3d] = 5;
    CHECK(root_pin(tree, range, {0, 3, 2, 0}).error() == Error::interrupt_unavailable);
    below.space[0x3d] = 1;
    inner.put(0x18, 0); // nobody leads there now
    CHECK(root_pin(tree, range, {0, 3, 2, 0}).error() == Error::interrupt_unavailable);
    tree.on_read = [](PciNode& node, std::uint16_t) { // a function that answers on every bus, and a bridge that leads back
        if (node.is_bridge()) node.put(0x18, 0x00ff'0000);
    };
    PciNode& anywhere = tree.add(nullptr, 9);
    anywhere.space[0x3d] = 1;
    struct Everywhere final : PciPlatform {
        explicit Everywhere(PciTree& under) : tree(under) {}
        std::uint32_t pci_read(const PciAddress& address, std::uint16_t offset, unsigned width) noexcept override {
            ++reads;
            if (reads > 10'000) return 0xff;
            return tree.pci_read(address.bus == 7 ? PciAddress{0, 0, 9, 0} : address, offset, width);
        }
        void pci_write(const PciAddress&, std::uint16_t, unsigned, std::uint32_t) noexcept override {}
        void* dma_allocate(std::size_t, std::size_t) noexcept override { return nullptr; }
        void dma_free(void*, std::size_t) noexcept override {}
        DmaAddress dma_address(const void*) noexcept override { return {}; }
        std::uint64_t now_ns() noexcept override { return 0; }
        std::uintptr_t map_device(std::uint64_t, std::uint64_t) noexcept override { return 0; }
        PciTree& tree;
        unsigned reads = 0;
    } everywhere(tree);
    CHECK(root_pin(everywhere, range, {0, 7, 0, 0}).error() == Error::no_device);
    CHECK(everywhere.reads < 1'000);
}

TEST_CASE("requester ids") {
    CHECK(requester_id({0, 0, 0, 0}) == 0);
    CHECK(requester_id({3, 0x12, 31, 7}) == 0x12ff);
    CHECK(requester_id({0, 255, 1, 2}) == 0xff0a);
}
