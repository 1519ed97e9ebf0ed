// Guest memory as the referee sees it: one stretch of bytes with a guest address. The driver under test works on the host pointer,
// the device on guest addresses, and every access of the device is checked against the bounds. Words that both sides share are
// reached by atomic accesses of the right ordering, so that a thread sanitizer has nothing to say.
//
//     referee::Memory memory{{.size = 1 << 20}};
//     std::uint64_t ring = memory.allocate(4096, 4096);       // a guest address; 0: none left
//     std::byte* host = memory.at(ring, 4096);                // null: not all of it is guest memory
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>

namespace referee {

class Memory {
public:
    /// Guest address = host pointer, for drivers that do not translate.
    static constexpr std::uint64_t kHostAddress = ~std::uint64_t{0};
    /// What fresh memory is filled with: a driver must zero what has to be zero (NOTIF-006).
    static constexpr std::byte kJunk{0xa5};

    struct Options {
        std::size_t size = 1 << 20;          // bytes
        std::uint64_t address = 0x4000'0000; // guest address of the first byte, or kHostAddress
        bool junk = true;                    // allocate() fills with kJunk; else with 0
        std::span<std::byte> existing = {};  // memory that somebody else owns, instead of `size` bytes of its own
    };
    explicit Memory(const Options& options);
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    ~Memory();

    [[nodiscard]] std::uint64_t address() const noexcept { return address_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::byte* data() const noexcept { return data_; }

    /// Where `bytes` bytes at a guest address stand on the host; null if any of them is not guest memory.
    [[nodiscard]] std::byte* at(std::uint64_t guest, std::uint64_t bytes) const noexcept {
        const std::uint64_t offset = guest - address_;
        return guest >= address_ && offset <= size_ && bytes <= size_ - offset ? data_ + offset : nullptr;
    }
    /// The guest address of a host pointer into this memory; 0 if it is not one.
    [[nodiscard]] std::uint64_t guest(const void* host) const noexcept {
        const auto* byte = static_cast<const std::byte*>(host);
        return byte >= data_ && byte < data_ + size_ ? address_ + static_cast<std::uint64_t>(byte - data_) : 0;
    }

    /// First-fit memory for rings and buffers; `alignment` is a power of two. Returns a guest address, 0 when there is no room.
    [[nodiscard]] std::uint64_t allocate(std::size_t bytes, std::size_t alignment = 16);
    /// Gives an allocation back. False: no such allocation.
    bool release(std::uint64_t guest);
    /// Called before each release(): what is freed. Queues look there for buffers that a device still owns (RESET-006).
    std::function<void(std::uint64_t guest, std::size_t bytes)> on_release;
    /// Allocations not yet released.
    [[nodiscard]] std::size_t live() const noexcept { return live_.size(); }

private:
    static constexpr std::size_t kPage = 4096;

    std::unique_ptr<std::byte[]> own_;
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
    std::uint64_t address_ = 0;
    bool junk_ = true;
    std::map<std::uint64_t, std::size_t> live_; // by guest address
};

/// A shared 16-bit word. The pointer is aligned: rings at odd addresses are refused before a word of them is read.
[[nodiscard]] inline std::uint16_t load16(const std::byte* word, std::memory_order order = std::memory_order_acquire) noexcept {
    return std::atomic_ref(*reinterpret_cast<std::uint16_t*>(const_cast<std::byte*>(word))).load(order);
}
inline void store16(std::byte* word, std::uint16_t value, std::memory_order order = std::memory_order_release) noexcept {
    std::atomic_ref(*reinterpret_cast<std::uint16_t*>(word)).store(value, order);
}
[[nodiscard]] inline std::uint32_t load32(const std::byte* word, std::memory_order order = std::memory_order_relaxed) noexcept {
    return std::atomic_ref(*reinterpret_cast<std::uint32_t*>(const_cast<std::byte*>(word))).load(order);
}
inline void store32(std::byte* word, std::uint32_t value, std::memory_order order = std::memory_order_relaxed) noexcept {
    std::atomic_ref(*reinterpret_cast<std::uint32_t*>(word)).store(value, order);
}

} // namespace referee
