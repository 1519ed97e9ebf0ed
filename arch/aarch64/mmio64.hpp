// Device registers of 64 bits, which only this processor's interrupt controllers have. Any context.
//
//     const std::uint64_t type = arch::mmio_read64(its + 8);
#pragma once

#include <cstdint>

namespace arch {

inline std::uint64_t mmio_read64(std::uintptr_t address) noexcept {
    std::uint64_t value;
    asm volatile("ldr %0, [%1]" : "=r"(value) : "r"(address) : "memory");
    return value;
}
inline void mmio_write64(std::uintptr_t address, std::uint64_t value) noexcept {
    asm volatile("str %0, [%1]" : : "r"(value), "r"(address) : "memory");
}

} // namespace arch
