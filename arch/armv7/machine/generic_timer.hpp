// The generic timer's registers (ARM DDI 0406C, B8): how fast its counter runs, and the virtual timer that compares with it. Any context.
#pragma once

#include <cstdint>

namespace arch {

inline std::uint64_t timer_frequency() noexcept {
    std::uint32_t value;
    asm volatile("mrc p15, 0, %0, c14, c0, 0" : "=r"(value));
    return value;
}
inline void write_timer_deadline(std::uint64_t ticks) noexcept {
    asm volatile("mcrr p15, 3, %0, %1, c14"
                 :
                 : "r"(static_cast<std::uint32_t>(ticks)), "r"(static_cast<std::uint32_t>(ticks >> 32))
                 : "memory");
}
inline void write_timer_control(std::uint32_t value) noexcept { asm volatile("mcr p15, 0, %0, c14, c3, 1; isb" : : "r"(value) : "memory"); }

} // namespace arch
