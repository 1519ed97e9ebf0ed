// The processor's side of a GICv2: general registers only.
#include "arch/arm/gic_v2.hpp"

namespace arch {

std::uint32_t GicV2::acknowledge() noexcept { return mmio_read32(interface_ + kAcknowledge); }

void GicV2::end(std::uint32_t intid) noexcept { mmio_write32(interface_ + kEnd, intid); }

} // namespace arch
