#include "drivers/net/receive_pool.hpp"

#include "libvirtio/memory.hpp"

namespace virtio {

Result<> ReceivePool::create(Platform& platform, DmaDomain& domain, std::uint32_t count, std::uint32_t least,
                             std::uint32_t capacity) noexcept {
    if (slots_ != nullptr) {
        // Slots are still lent from before: their memory must stay where it is.
        if ((!memory_ && !mutant(420)) || (domain_ != &domain && !mutant(421)) || (platform_ != &platform && !mutant(422)) ||
            (capacity > capacity_ && !mutant(423)) || (count_ < least && !mutant(424)))
            return fail(Error::busy);
        released_ = false;
        return {};
    }
    const std::uint32_t stride = align_up<std::uint32_t>(kOffset + capacity, kDmaLine); // no line is shared with another slot
    Result<DmaMemory> memory = domain.allocate_unfilled(std::size_t{stride} * count, 4096);
    while (!memory && count > least) {
        count = count / 2 > least ? count / 2 : least;
        memory = domain.allocate_unfilled(std::size_t{stride} * count, 4096);
    }
    if (!memory) return fail(memory.error());
    auto* slots = static_cast<ReceiveSlot*>(platform.allocate(sizeof(ReceiveSlot) * count, alignof(ReceiveSlot)));
    if (slots == nullptr) {
        domain.free(*memory);
        return fail(Error::out_of_memory);
    }
    platform_ = &platform;
    domain_ = &domain;
    slots_ = slots;
    memory_ = *memory;
    count_ = count;
    capacity_ = stride - kOffset;
    stride_ = stride;
    released_ = false;
    for (std::uint32_t i = 0; i < count; ++i) {
        slots[i] = {};
        slots[i].index = i;
        slots[i].data = memory_.data + std::size_t{stride} * i + kOffset;
    }
    return {};
}

void ReceivePool::free_now() noexcept {
    if (memory_) domain_->free(memory_);
    platform_->free(slots_, sizeof(ReceiveSlot) * count_);
    slots_ = nullptr;
    memory_ = {};
    count_ = 0;
    released_ = false;
}

void ReceivePool::release() noexcept {
    if (slots_ == nullptr && !mutant(425)) return;
    lent_ = 0;
    for (std::uint32_t i = 0; i < count_; ++i) lent_ += slots_[i].lent ? 1 : 0;
    if (lent_ == 0)
        free_now();
    else
        released_ = true;
}

void ReceivePool::quarantine() noexcept {
    if (slots_ == nullptr) return;
    // The device may still write into it: never freed, never lent again. What the client holds stays readable.
    memory_ = {};
    release();
}

void ReceivePool::last_ones_back() noexcept {
    if (--lent_ == 0) free_now();
}

} // namespace virtio
