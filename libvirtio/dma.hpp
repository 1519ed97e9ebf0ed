// Where memory for one device comes from, and how the device sees it. A DmaDomain is owned by the platform and outlives every
// device that uses it. Task context; map/unmap of a direct domain also in completions. Rings never map: their memory is
// allocated here and coherent. Front ends map a caller's memory at submit and unmap before the completion.
//
//     auto ring = domain.allocate(bytes, 4096);            // contiguous, zeroed, coherent
//     auto mapping = domain.map(buffer, DmaDirection::to_device);
//     ... segment {mapping->address, mapping->length} ...  // length may be shorter: map the rest again (non-contiguous memory)
//     domain.unmap(*mapping, DmaDirection::to_device);
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "libvirtio/base.hpp"
#include "libvirtio/memory.hpp"

namespace virtio {

/// What the device writes never shares a line of this size with what the driver writes (two adjacent 64-byte lines).
inline constexpr std::size_t kDmaLine = 128;

enum class DmaDirection : std::uint8_t { to_device, from_device, both };

/// Memory that driver and device both see without copying: rings, headers, receive buffers.
struct DmaMemory {
    std::byte* data = nullptr;
    std::size_t size = 0;
    DmaAddress address;

    [[nodiscard]] explicit operator bool() const noexcept { return data != nullptr; }
    [[nodiscard]] Segment segment(std::size_t offset, std::uint32_t length) const noexcept { return {address + offset, length}; }
};

/// A caller's memory, lent to the device for one request. `length` bytes from `data` on are contiguous for the device.
struct DmaMapping {
    std::byte* data = nullptr;
    DmaAddress address;
    std::uint32_t length = 0;
    std::uint32_t cookie = 0; // the domain's own (a bounce slot)
};

/// One stretch of memory that a device may reach, as a vhost-user memory table wants it.
struct DmaRegion {
    DmaAddress bus;
    std::size_t size = 0;
    std::byte* host = nullptr;
    int file = -1;
    std::uint64_t file_offset = 0;
};

class DmaDomain {
public:
    DmaDomain(const DmaDomain&) = delete;
    DmaDomain& operator=(const DmaDomain&) = delete;

    /// Contiguous, zeroed, coherent memory. `alignment` is a power of two. Errors: out_of_memory.
    [[nodiscard]] virtual Result<DmaMemory> allocate(std::size_t bytes, std::size_t alignment) noexcept = 0;
    /// The same for buffers that are written before anybody reads them: what is in it does not matter.
    [[nodiscard]] virtual Result<DmaMemory> allocate_unfilled(std::size_t bytes, std::size_t alignment) noexcept {
        return allocate(bytes, alignment);
    }
    virtual void free(const DmaMemory& memory) noexcept = 0;

    /// Lends up to `bytes` of the caller's memory; the result's length says how much of it is contiguous for the device.
    /// Direct domains add an offset, inline. Errors: dma_map_failed.
    [[nodiscard]] Result<DmaMapping> map(const std::byte* data, std::size_t bytes, DmaDirection direction) noexcept {
        if (direct_) [[likely]] {
            const auto length = static_cast<std::uint32_t>(bytes < kLongest || mutant(144) ? bytes : kLongest);
            return DmaMapping{const_cast<std::byte*>(data), DmaAddress{reinterpret_cast<std::uintptr_t>(data) + offset_}, length, 0};
        }
        return map_indirect(data, bytes, direction);
    }
    /// Ends a loan; memory written by the device is visible to the caller afterwards.
    void unmap(const DmaMapping& mapping, DmaDirection direction) noexcept {
        if (!direct_) unmap_indirect(mapping, direction);
    }

    /// Whether map and unmap are free of charge and of bookkeeping: a front end need not remember its mappings.
    [[nodiscard]] bool direct() const noexcept { return direct_; }

    /// Where the device sees the caller's memory, all of which is one stretch. Only in a direct domain.
    [[nodiscard]] DmaAddress direct_address(const std::byte* data) const noexcept {
        return {reinterpret_cast<std::uintptr_t>(data) + offset_};
    }

    /// The stretches of memory that a device of this domain may reach; returns how many were written to `out`.
    [[nodiscard]] virtual std::size_t regions(std::span<DmaRegion> out) noexcept {
        static_cast<void>(out);
        return 0;
    }

protected:
    /// A translating or bouncing domain.
    constexpr DmaDomain() noexcept = default;
    /// A direct domain: device address = pointer + offset, for all memory.
    constexpr explicit DmaDomain(std::uint64_t offset) noexcept : direct_(true), offset_(offset) {}
    ~DmaDomain() = default;

    [[nodiscard]] virtual Result<DmaMapping> map_indirect(const std::byte*, std::size_t, DmaDirection) noexcept {
        return fail(Error::dma_map_failed);
    }
    virtual void unmap_indirect(const DmaMapping&, DmaDirection) noexcept {}

    static constexpr std::size_t kLongest = 0x8000'0000u; // one descriptor's length is 32 bits

private:
    bool direct_ = false;
    std::uint64_t offset_ = 0;
};

} // namespace virtio
