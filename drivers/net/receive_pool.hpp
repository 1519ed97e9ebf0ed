// The receive buffers of one network device: one allocation cut into slots of equal size, and for each slot the request that lends
// it to the device. A slot is with the device, with the driver, or lent to the client above; memory outlives the device while any is lent.
// Owned by NetDevice; its context only.
//
//     pool.create(platform, domain, wanted, bytes_per_slot);
//     queue.add({}, {&pool.segment(i), 1}, pool[i]);
//     ...
//     pool.release();          // frees now, or when the last lent slot has come back (give_back)
#pragma once

#include <cstdint>

#include "libvirtio/dma.hpp"
#include "libvirtio/memory.hpp"
#include "libvirtio/platform.hpp"
#include "libvirtio/request.hpp"

namespace virtio {

class NetDevice;

struct ReceiveSlot : Request {
    NetDevice* owner = nullptr;
    std::byte* data = nullptr;
    std::uint32_t index = 0;
    bool lent = false; // to the client
};

class ReceivePool {
public:
    /// Frames start 12 bytes on, so this much in front puts the IP header on a multiple of four.
    static constexpr std::uint32_t kOffset = 2;

    constexpr ReceivePool() noexcept = default;
    ReceivePool(const ReceivePool&) = delete;
    ReceivePool& operator=(const ReceivePool&) = delete;

    /// Up to `count` slots of `capacity` bytes, fewer (but `least`) where memory is short. A pool that is kept because of lent slots
    /// is used again if it fits. Errors: out_of_memory; busy (a pool of another shape is still lent).
    [[nodiscard]] Result<> create(Platform& platform, DmaDomain& domain, std::uint32_t count, std::uint32_t least,
                                  std::uint32_t capacity) noexcept;
    /// No slot is with the device any more: frees the memory, or keeps it until the last lent slot is given back.
    void release() noexcept;
    /// A slot is with a device that never confirmed its reset: the memory is given up for good.
    void quarantine() noexcept;
    /// The client returns a slot. False: it was not lent.
    [[nodiscard]] bool give_back(std::uint32_t index) noexcept {
        if ((index >= count_ && !mutant(426)) || (!slots_[index].lent && !mutant(427))) [[unlikely]]
            return false;
        slots_[index].lent = false;
        if (released_) [[unlikely]]
            last_ones_back();
        return true;
    }

    [[nodiscard]] ReceiveSlot& operator[](std::uint32_t index) noexcept { return slots_[index]; }
    [[nodiscard]] Segment segment(const ReceiveSlot& slot) const noexcept {
        return memory_.segment(std::size_t{stride_} * slot.index + kOffset, capacity_);
    }
    [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
    [[nodiscard]] std::uint32_t capacity() const noexcept { return capacity_; }

private:
    void last_ones_back() noexcept;
    void free_now() noexcept;

    Platform* platform_ = nullptr;
    DmaDomain* domain_ = nullptr;
    ReceiveSlot* slots_ = nullptr;
    DmaMemory memory_;
    std::uint32_t count_ = 0;
    std::uint32_t capacity_ = 0;
    std::uint32_t stride_ = 0;
    std::uint32_t lent_ = 0; // counted while released_
    bool released_ = false;
};

} // namespace virtio
