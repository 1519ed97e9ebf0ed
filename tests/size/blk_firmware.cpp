// The least that reads a disk: a boot loader's block driver on one MMIO slot, without interrupts, without a heap. `ringside size` links it
// with unused sections dropped and counts what is left.
#include <array>
#include <cstddef>
#include <cstdint>

#include "drivers/blk/blk.hpp"
#include "libvirtio/transport/mmio.hpp"

namespace {

struct Board final : virtio::Platform {
    void* dma_allocate(std::size_t bytes, std::size_t alignment) noexcept override {
        const std::size_t start = (used + alignment - 1) & ~(alignment - 1);
        if (start > pool.size() || bytes > pool.size() - start) return nullptr;
        used = start + bytes;
        return pool.data() + start;
    }
    void dma_free(void*, std::size_t) noexcept override {}
    virtio::DmaAddress dma_address(const void* memory) noexcept override { return {reinterpret_cast<std::uintptr_t>(memory)}; }
    std::uint64_t now_ns() noexcept override { return clock += 1000; }

    std::size_t used = 0;
    std::uint64_t clock = 0;
    alignas(4096) std::array<std::byte, 64 * 1024> pool{};
};

constinit Board board;
constinit virtio::MmioTransport slot;
constinit virtio::BlockDevice disk;
constinit virtio::BlockRequest request;
std::array<std::byte, 512> sector;

} // namespace

extern "C" {

// Their own, so that no C library has a part in the figure.
void* memcpy(void* to, const void* from, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) static_cast<volatile char*>(to)[i] = static_cast<const char*>(from)[i];
    return to;
}
void* memset(void* to, int value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) static_cast<volatile char*>(to)[i] = static_cast<char>(value);
    return to;
}
void* memmove(void* to, const void* from, std::size_t size) {
    if (reinterpret_cast<std::uintptr_t>(to) - reinterpret_cast<std::uintptr_t>(from) >= size) return memcpy(to, from, size);
    for (std::size_t i = size; i != 0; --i) static_cast<volatile char*>(to)[i - 1] = static_cast<const char*>(from)[i - 1];
    return to;
}
int memcmp(const void* left, const void* right, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
        const int difference = static_cast<const unsigned char*>(left)[i] - static_cast<const unsigned char*>(right)[i];
        if (difference != 0) return difference;
    }
    return 0;
}
[[noreturn]] void __cxa_pure_virtual() { __builtin_trap(); }

/// Reads the first sector; 0 if that went well.
int firmware_main(std::uintptr_t base) {
    if (!slot.open(board, base, 0x200)) return 1;
    if (!disk.start(board, slot, {.queue_size = 8})) return 2;
    if (!disk.read(request, 0, sector)) return 3;
    disk.kick();
    return disk.wait(request, 1'000'000'000) ? 0 : 4;
}

} // extern "C"
