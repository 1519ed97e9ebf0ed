// A range of addresses in which device registers appear whose physical addresses are beyond the processor's: 32-bit processors whose buses
// are wider. Pieces of 1 MiB, so that neighbours (the registers of one PCI device, the functions of one bus) share one. Bookkeeping only:
// page tables are the caller's business. Never gives anything back.
//
//     kernel::DeviceWindow window(0xe000'0000, 0xffff'0000, 0xe000'0000);
//     const std::uint64_t address = window.place(0x80'0010'0000, 0x1000);   // 0: there is no room
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace kernel {

class DeviceWindow {
public:
    /// Registers that end at or below `reach` appear at their own address.
    constexpr DeviceWindow(std::uint64_t begin, std::uint64_t end, std::uint64_t reach) noexcept : next_(begin), end_(end), reach_(reach) {}

    /// Where `size` bytes of registers at `physical` appear; the same place for the same registers. `size` is not 0 and does not wrap.
    [[nodiscard]] constexpr std::uint64_t place(std::uint64_t physical, std::uint64_t size) noexcept {
        if (physical < reach_ && size <= reach_ - physical) return physical;
        for (std::size_t i = 0; i < count_; ++i) {
            const Piece& piece = pieces_[i];
            if (physical >= piece.physical && physical - piece.physical < piece.size && size <= piece.size - (physical - piece.physical))
                return piece.address + (physical - piece.physical);
        }
        const std::uint64_t first = physical & ~(kGrain - 1);
        const std::uint64_t bytes = (physical - first + size + kGrain - 1) & ~(kGrain - 1);
        if (count_ == pieces_.size() || bytes < size || next_ > end_ || bytes > end_ - next_) return 0;
        pieces_[count_++] = {first, bytes, next_};
        next_ += bytes;
        return pieces_[count_ - 1].address + (physical - first);
    }

private:
    static constexpr std::uint64_t kGrain = 1 << 20;
    struct Piece {
        std::uint64_t physical = 0;
        std::uint64_t size = 0;
        std::uint64_t address = 0;
    };
    std::array<Piece, 128> pieces_{};
    std::size_t count_ = 0;
    std::uint64_t next_;
    std::uint64_t end_;
    std::uint64_t reach_;
};

} // namespace kernel
