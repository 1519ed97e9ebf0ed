// The distributor's registers that version 2 and 3 have in common (ARM IHI 0048B, 4.3; IHI 0069, 12.9): enable, priority, trigger, for an
// INTID each. The first frame of a GICv3 redistributor's second half has the same layout for INTIDs below 32. Any context.
//
//     arch::GicRegisters distributor(base);
//     distributor.set_up(33, arch::Trigger::level);
//     distributor.enable(33);
#pragma once

#include <cstdint>

#include <ringside/arch/io.hpp>

#include "arch/hardware.hpp"

namespace arch {

class GicRegisters {
public:
    static constexpr std::uint32_t kControl = 0x000, kType = 0x004, kGroup = 0x080, kSetEnable = 0x100, kClearEnable = 0x180,
                                   kClearPending = 0x280, kPriority = 0x400, kTarget = 0x800, kTrigger = 0xc00, kSend = 0xf00;
    /// The priority of every interrupt: in the middle, so that it passes a mask of 0xff whatever the number of implemented bits.
    static constexpr std::uint8_t kMiddle = 0x80;

    constexpr GicRegisters() noexcept = default;
    constexpr explicit GicRegisters(std::uintptr_t base) noexcept : base_(base) {}

    [[nodiscard]] std::uintptr_t base() const noexcept { return base_; }
    [[nodiscard]] std::uint32_t read(std::uint32_t offset) const noexcept { return mmio_read32(base_ + offset); }
    void write(std::uint32_t offset, std::uint32_t value) const noexcept { mmio_write32(base_ + offset, value); }

    /// How many INTIDs a distributor has, its special ones not counted.
    [[nodiscard]] std::uint32_t inputs() const noexcept {
        const std::uint32_t count = ((read(kType) & 0x1f) + 1) * 32;
        return count < 1020 ? count : 1020;
    }

    /// Masks first..last-1, both multiples of 32, and forgets what is pending there.
    void silence(std::uint32_t first, std::uint32_t last) const noexcept {
        for (std::uint32_t i = first; i < last; i += 32) {
            write(kClearEnable + i / 8, ~std::uint32_t{0});
            write(kClearPending + i / 8, ~std::uint32_t{0});
        }
    }
    /// Priority and trigger of an input that is masked. (A processor's own inputs may have a fixed trigger.)
    void set_up(std::uint32_t intid, Trigger trigger) const noexcept {
        mmio_write8(base_ + kPriority + intid, kMiddle);
        const std::uint32_t offset = kTrigger + intid / 16 * 4, edge = std::uint32_t{2} << (intid % 16 * 2), now = read(offset);
        write(offset, trigger == Trigger::edge ? now | edge : now & ~edge);
    }
    void enable(std::uint32_t intid) const noexcept { write(kSetEnable + intid / 32 * 4, std::uint32_t{1} << intid % 32); }
    void disable(std::uint32_t intid) const noexcept { write(kClearEnable + intid / 32 * 4, std::uint32_t{1} << intid % 32); }
    void forget(std::uint32_t intid) const noexcept { write(kClearPending + intid / 32 * 4, std::uint32_t{1} << intid % 32); }

private:
    std::uintptr_t base_ = 0;
};

} // namespace arch
