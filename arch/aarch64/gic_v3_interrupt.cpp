// The processor's interface of a GICv3: general registers only.
#include "arch/aarch64/gic_v3.hpp"

namespace arch {

std::uint32_t GicV3::acknowledge() noexcept {
    std::uint64_t intid;
    asm volatile("mrs %0, s3_0_c12_c12_0; dsb sy" : "=r"(intid) : : "memory"); // ICC_IAR1_EL1
    return static_cast<std::uint32_t>(intid);
}

void GicV3::end(std::uint32_t acknowledged) noexcept {
    asm volatile("msr s3_0_c12_c12_1, %0; isb" : : "r"(std::uint64_t{acknowledged}) : "memory"); // ICC_EOIR1_EL1
}

void GicV3::wake(std::uint64_t id) noexcept {
    // ICC_SGI1R_EL1: three levels of affinity, and of the lowest a group of 16 with one bit of it.
    const std::uint64_t lowest = id & 0xff;
    const std::uint64_t value = (id >> 32 & 0xff) << 48 | lowest >> 4 << 44 | (id >> 16 & 0xff) << 32 | std::uint64_t{kWake} << 24 |
                                (id >> 8 & 0xff) << 16 | std::uint64_t{1} << (lowest & 15);
    // What the sleeper is to find must be there before it looks.
    asm volatile("dsb ishst; msr s3_0_c12_c11_5, %0; isb" : : "r"(value) : "memory");
}

} // namespace arch
