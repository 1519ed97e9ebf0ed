// A platform that gives other lengths than it was asked for: what it says of its memory must be checked before a device hears of it.
//
//     fake::CrookedPlatform platform{host};
//     platform.domain.lengths = [](unsigned map, std::size_t bytes) { return map == 2 ? std::size_t{0} : bytes; };
#pragma once

#include "tests/unit/support/fake_device.hpp"

namespace fake {

/// A domain that gives other lengths than it was asked for.
struct CrookedDomain final : virtio::DmaDomain {
    explicit CrookedDomain(HostPlatform& host) noexcept : host_(host) {}
    virtio::Result<virtio::DmaMemory> allocate(std::size_t bytes, std::size_t alignment) noexcept override {
        auto* memory = static_cast<std::byte*>(host_.dma_allocate(bytes, alignment));
        if (memory == nullptr) return virtio::fail(virtio::Error::out_of_memory);
        return virtio::DmaMemory{memory, bytes, host_.dma_address(memory)};
    }
    void free(const virtio::DmaMemory& memory) noexcept override { host_.dma_free(memory.data, memory.size); }
    virtio::Result<virtio::DmaMapping> map_indirect(const std::byte* data, std::size_t bytes, virtio::DmaDirection) noexcept override {
        ++maps;
        const std::size_t length = lengths != nullptr ? lengths(maps, bytes) : bytes;
        return virtio::DmaMapping{const_cast<std::byte*>(data), host_.dma_address(data), static_cast<std::uint32_t>(length), 0};
    }
    void unmap_indirect(const virtio::DmaMapping&, virtio::DmaDirection) noexcept override { ++unmaps; }

    HostPlatform& host_;
    std::size_t (*lengths)(unsigned map, std::size_t bytes) = nullptr;
    unsigned maps = 0, unmaps = 0;
};
struct CrookedPlatform final : virtio::Platform {
    explicit CrookedPlatform(HostPlatform& host) : host_(host), domain(host) {}
    void* dma_allocate(std::size_t bytes, std::size_t alignment) noexcept override { return host_.dma_allocate(bytes, alignment); }
    void dma_free(void* memory, std::size_t bytes) noexcept override { host_.dma_free(memory, bytes); }
    virtio::DmaAddress dma_address(const void* memory) noexcept override { return host_.dma_address(memory); }
    std::uint64_t now_ns() noexcept override { return host_.now_ns(); }
    virtio::Result<virtio::DmaDomain*> dma_domain(const virtio::DeviceIdentity&, bool) noexcept override {
        host_.firewall.open();
        return &domain;
    }
    HostPlatform& host_;
    CrookedDomain domain;
};

} // namespace fake
