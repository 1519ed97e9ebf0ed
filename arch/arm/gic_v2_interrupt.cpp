// The processor's side of a GICv2: general registers only.
#include "arch/arm/gic_v2.hpp"

namespace arch {

std::uint32_t GicV2::acknowledge() noexcept { return mmio_read32(interface_ + kAcknowledge); }

void GicV2::end(std::uint32_t acknowledged) noexcept { mmio_write32(interface_ + kEnd, acknowledged); }

void GicV2::wake(std::uint64_t id) noexcept {
    for (std::size_t i = 0; i < target_count_; ++i) {
        if (targets_[i].id != id) continue;
        // What the sleeper is to find must be there before it looks.
        asm volatile("dsb ishst" : : : "memory");
        distributor_.write(GicRegisters::kSend, std::uint32_t{targets_[i].bit} << 16 | kWake);
    }
}

} // namespace arch
