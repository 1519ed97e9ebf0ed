// A tree of PCI functions that routes configuration accesses as bridges do: a function is reached only through the bus numbers that its
// bridges have at that moment. Every bit of configuration space that a driver may change is named by a mask.
#pragma once

#include <array>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "libvirtio/pci.hpp"

namespace fake {

struct PciNode {
    PciNode* parent = nullptr; // the bridge that it stands behind; null: on the first bus
    std::uint8_t device = 0;
    std::uint8_t function = 0;
    std::array<std::uint8_t, 256> space{};
    std::array<std::uint8_t, 256> writable{};

    std::uint32_t get(std::size_t at, unsigned width = 4) const {
        std::uint32_t value = 0;
        std::memcpy(&value, &space[at], width);
        return value;
    }
    void put(std::size_t at, std::uint32_t value, unsigned width = 4) { std::memcpy(&space[at], &value, width); }
    void allow(std::size_t at, std::uint32_t mask, unsigned width = 4) { std::memcpy(&writable[at], &mask, width); }

    bool is_bridge() const { return (space[0x0e] & 0x7f) == 1; }
    /// A memory register; type bits: 4 wide, 8 prefetchable.
    void memory(unsigned index, std::uint64_t size, std::uint32_t type = 0) {
        put(0x10 + 4 * index, type);
        allow(0x10 + 4 * index, static_cast<std::uint32_t>(~(size - 1)) & ~15u);
        if ((type & 4) != 0) allow(0x14 + 4 * index, static_cast<std::uint32_t>(~(size - 1) >> 32));
    }
    void ports(unsigned index, std::uint32_t size) {
        put(0x10 + 4 * index, 1);
        allow(0x10 + 4 * index, ~(size - 1) & ~3u);
    }
    std::uint64_t base(unsigned index) const {
        const std::uint32_t low = get(0x10 + 4 * index);
        if ((low & 1) != 0) return low & ~3u;
        return (low & ~15u) | ((low & 6) == 4 ? std::uint64_t{get(0x14 + 4 * index)} << 32 : 0);
    }
    /// Becomes a bridge with all three windows.
    void bridge(bool wide = true) {
        space[0x0e] = 1;
        allow(0x10, 0);
        allow(0x18, 0xffff'ffff);
        put(0x1c, 0x0101, 2);
        allow(0x1c, 0xf0f0, 2);
        allow(0x20, 0xfff0'fff0);
        allow(0x24, 0xfff0'fff0);
        allow(0x30, 0xffff'ffff);
        if (!wide) return;
        put(0x24, 0x0001'0001);
        allow(0x28, 0xffff'ffff);
        allow(0x2c, 0xffff'ffff);
    }
    /// A PCI Express capability at 0x40: a slot for hot-plug.
    void slot(std::uint32_t capabilities = 0x7b) {
        put(6, 0x10, 2);
        space[0x34] = 0x40;
        put(0x40, 0x0142'0010);
        put(0x54, capabilities);
    }
};

class PciTree final : public virtio::PciPlatform {
public:
    /// Present, without registers.
    PciNode& add(PciNode* parent, std::uint8_t device, std::uint8_t function = 0) {
        nodes.push_back(std::make_unique<PciNode>());
        PciNode& node = *nodes.back();
        node.parent = parent;
        node.device = device;
        node.function = function;
        node.put(0, 0x1042'1af4);
        node.allow(4, 0xffff, 2);
        return node;
    }
    PciNode& add_bridge(PciNode* parent, std::uint8_t device, bool wide = true) {
        PciNode& node = add(parent, device);
        node.bridge(wide);
        return node;
    }
    void take_out(const PciNode& node) {
        std::erase_if(nodes, [&](const auto& each) { return each.get() == &node; });
    }
    /// The bus on which a node answers now; none if a bridge does not lead there.
    std::optional<std::uint8_t> bus_of(const PciNode& node) const {
        if (node.parent == nullptr) return first_bus;
        const auto above = bus_of(*node.parent);
        const std::uint8_t secondary = node.parent->space[0x19], subordinate = node.parent->space[0x1a];
        if (!above || secondary == 0 || secondary > subordinate || secondary <= first_bus) return std::nullopt;
        for (const PciNode* bridge = node.parent->parent; bridge != nullptr; bridge = bridge->parent)
            if (secondary < bridge->space[0x19] || secondary > bridge->space[0x1a]) return std::nullopt;
        return secondary;
    }
    virtio::PciAddress address(const PciNode& node) const { return {0, bus_of(node).value_or(0xff), node.device, node.function}; }
    PciNode* at(const virtio::PciAddress& address) const {
        for (const auto& node : nodes)
            if (node->device == address.device && node->function == address.function && bus_of(*node) == address.bus) return node.get();
        return nullptr;
    }

    std::uint32_t pci_read(const virtio::PciAddress& address, std::uint16_t offset, unsigned width) noexcept override {
        PciNode* node = at(address);
        if (node == nullptr || offset + width > 256) return 0xffff'ffffu >> (32 - 8 * width);
        if (on_read) on_read(*node, offset);
        return node->get(offset, width);
    }
    void pci_write(const virtio::PciAddress& address, std::uint16_t offset, unsigned width, std::uint32_t value) noexcept override {
        PciNode* node = at(address);
        if (node == nullptr || offset + width > 256) return;
        ++writes;
        std::uint32_t mask = 0;
        std::memcpy(&mask, &node->writable[offset], width);
        node->put(offset, (node->get(offset, width) & ~mask) | (value & mask), width);
        if (on_write) on_write(*node, offset);
    }
    void* dma_allocate(std::size_t, std::size_t) noexcept override { return nullptr; }
    void dma_free(void*, std::size_t) noexcept override {}
    virtio::DmaAddress dma_address(const void* at) noexcept override { return {reinterpret_cast<std::uintptr_t>(at)}; }
    std::uint64_t now_ns() noexcept override { return clock += 1000; }
    std::uintptr_t map_device(std::uint64_t, std::uint64_t) noexcept override { return 0; }

    std::vector<std::unique_ptr<PciNode>> nodes;
    std::uint8_t first_bus = 0;
    std::uint64_t clock = 0;
    unsigned writes = 0;
    std::function<void(PciNode& node, std::uint16_t offset)> on_read;  // before the answer
    std::function<void(PciNode& node, std::uint16_t offset)> on_write; // afterwards
};

} // namespace fake
