// PCI functions made of arrays: configuration space with base address registers and capabilities, and device memory behind them.
// What a platform would reach by hardware, a PciTransport or a bus scan reaches here; it lies where the test says.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <map>
#include <vector>

#include "libvirtio/transport/pci_modern.hpp"

namespace fake {

using virtio::DmaAddress;
using virtio::Error;
using virtio::fail;
using virtio::InterruptMessage;
using virtio::InterruptTarget;
using virtio::PciAddress;
using virtio::Result;

/// A PCI function in memory: configuration space with writable BARs, and memory behind them.
struct Function {
    std::array<std::uint8_t, 256> space{};
    std::array<std::uint32_t, 6> bar_mask{}; // which bits of a BAR stick
    template<class T> void put(std::size_t at, T value) { std::memcpy(&space[at], &value, sizeof value); }
    std::uint32_t get(std::size_t at, unsigned width) const {
        std::uint32_t value = 0;
        std::memcpy(&value, &space[at], width);
        return value;
    }
    std::uint8_t end_of_list = 0x34; // where the next capability's offset is to be written
    std::uint8_t next_free = 0x40;
    std::uint8_t capability(std::uint8_t id, std::uint8_t bytes) {
        const std::uint8_t at = next_free;
        put<std::uint16_t>(6, 0x10);
        space[end_of_list] = at;
        space[at] = id;
        end_of_list = static_cast<std::uint8_t>(at + 1);
        next_free = static_cast<std::uint8_t>((at + bytes + 3) & ~3);
        return at;
    }
    std::uint8_t structure(std::uint8_t type, std::uint8_t bar, std::uint32_t offset, std::uint32_t length, std::uint8_t size = 16) {
        const std::uint8_t at = capability(9, size < 16 ? std::uint8_t{16} : size);
        space[at + 2u] = size;
        space[at + 3u] = type;
        space[at + 4u] = bar;
        put(at + 8u, offset);
        put(at + 12u, length);
        return at;
    }
    void identity(std::uint16_t device, std::uint16_t subsystem = 0) {
        put<std::uint16_t>(0, 0x1af4);
        put<std::uint16_t>(2, device);
        put<std::uint16_t>(0x2e, subsystem);
    }
    void port_bar(unsigned index, std::uint32_t base, std::uint32_t size) {
        put(0x10 + 4 * index, base | 1);
        bar_mask[index] = ~(size - 1) & ~3u;
    }
    void memory_bar(unsigned index, std::uint64_t base, std::uint64_t size, bool wide = false) {
        put(0x10 + 4 * index, static_cast<std::uint32_t>(base | (wide ? 4 : 0)));
        bar_mask[index] = static_cast<std::uint32_t>(~(size - 1)) & ~15u;
        if (!wide) return;
        put(0x14 + 4 * index, static_cast<std::uint32_t>(base >> 32));
        bar_mask[index + 1] = static_cast<std::uint32_t>(~(size - 1) >> 32);
    }
};

class FakePci final : public virtio::PciPlatform {
public:
    void* dma_allocate(std::size_t, std::size_t) noexcept override { return nullptr; }
    void dma_free(void*, std::size_t) noexcept override {}
    DmaAddress dma_address(const void* at) noexcept override { return {reinterpret_cast<std::uintptr_t>(at)}; }
    std::uint64_t now_ns() noexcept override { return clock += 1000; }
    std::uint32_t pci_read(const PciAddress& address, std::uint16_t offset, unsigned width) noexcept override {
        ++reads;
        const std::uint32_t absent = 0xffff'ffffu >> (32 - 8 * width);
        const auto found = functions.find(address);
        if (found == functions.end() || gone) return absent;
        if (offset + width > 256) {
            ++beyond;
            return absent;
        }
        if (on_read) on_read(found->second, offset);
        return found->second.get(offset, width);
    }
    void pci_write(const PciAddress& address, std::uint16_t offset, unsigned width, std::uint32_t value) noexcept override {
        const auto found = functions.find(address);
        if (found == functions.end()) return;
        Function& function = found->second;
        if (offset >= 0x10 && offset < 0x28 && width == 4) {
            const std::uint32_t mask = function.bar_mask[(offset - 0x10u) / 4];
            const std::uint32_t low = function.get(offset, 4) & 15u; // type bits are read-only
            const bool upper = offset >= 0x14 && (function.get(offset - 4u, 4) & 7u) == 4;
            function.put(offset, upper ? value & mask : (value & mask) | (mask == 0 && (low & 4) == 0 ? 0 : low));
            return;
        }
        if (offset == 4 && keeps_mastering) value |= 4;
        std::memcpy(&function.space[offset], &value, width);
        if (on_write) on_write(function, offset, width, value);
    }
    std::uintptr_t map_device(std::uint64_t base, std::uint64_t size) noexcept override {
        if (base < 0x4000 || base + size > 0x4000 + memory.size()) return 0;
        return reinterpret_cast<std::uintptr_t>(memory.data() + (base - 0x4000));
    }
    /// Ports are memory here: port 0x4000 is the first byte of `memory`.
    std::uintptr_t map_ports(std::uint64_t base, std::uint64_t size) noexcept override { return ports_mapped ? map_device(base, size) : 0; }
    Result<std::uint16_t> allocate_messages(const PciAddress&, std::span<InterruptMessage> messages,
                                            const InterruptTarget&) noexcept override {
        if (vectors == 0) return fail(Error::interrupt_unavailable);
        if (grants_none) return std::uint16_t{0};
        const auto count = static_cast<std::uint16_t>(std::min<std::size_t>(messages.size(), vectors));
        for (std::uint16_t i = 0; i < count; ++i) messages[i] = {0xfee0'0000, 0x30u + i};
        return count;
    }
    Result<> connect_line(const PciAddress&, const InterruptTarget&) noexcept override { return {}; }
    void disconnect(const PciAddress&, const InterruptTarget&) noexcept override { ++disconnects; }

    std::map<PciAddress, Function> functions;
    std::vector<std::byte> memory = std::vector<std::byte>(0x4000); // device memory from 0x4000 on
    std::uint64_t clock = 0;
    std::uint16_t vectors = 8;
    bool ports_mapped = true;
    bool grants_none = false;                                              // says yes to messages, and gives none
    bool gone = false;                                                     // every read is all ones
    bool keeps_mastering = false;                                          // Bus Master Enable does not go off
    std::function<void(Function& function, std::uint16_t offset)> on_read; // before the answer
    std::function<void(Function& function, std::uint16_t offset, unsigned width, std::uint32_t value)> on_write; // after it
    unsigned reads = 0, disconnects = 0;
    unsigned beyond = 0; // reads behind the 256 bytes that every function has
};

inline Function good_function() {
    Function function;
    function.identity(0x1042);
    function.memory_bar(4, 0x4000, 0x4000, true);
    function.structure(1, 4, 0x0000, 0x1000);
    function.structure(3, 4, 0x1000, 0x1000);
    function.structure(4, 4, 0x2000, 0x100);
    const std::uint8_t notify = function.structure(2, 4, 0x3000, 0x400, 20);
    function.put<std::uint32_t>(notify + 16u, 4);
    return function;
}

} // namespace fake
