// The processor's interface of a GICv3: general registers only.
#include "arch/aarch64/gic_v3.hpp"

namespace arch {

std::uint32_t GicV3::acknowledge() noexcept {
    std::uint64_t intid;
    asm volatile("mrs %0, s3_0_c12_c12_0; dsb sy" : "=r"(intid) : : "memory"); // ICC_IAR1_EL1
    return static_cast<std::uint32_t>(intid);
}

void GicV3::end(std::uint32_t intid) noexcept {
    asm volatile("msr s3_0_c12_c12_1, %0; isb" : : "r"(std::uint64_t{intid}) : "memory"); // ICC_EOIR1_EL1
}

} // namespace arch
