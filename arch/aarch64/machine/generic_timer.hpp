// The generic timer's registers (ARM ARM, D11): how fast its counter runs, and the virtual timer that compares with it. Any context.
#pragma once

#include <cstdint>

namespace arch {

inline std::uint64_t timer_frequency() noexcept {
    std::uint64_t value;
    asm volatile("mrs %0, cntfrq_el0" : "=r"(value));
    return value & 0xffffffff;
}
inline void write_timer_deadline(std::uint64_t ticks) noexcept { asm volatile("msr cntv_cval_el0, %0" : : "r"(ticks) : "memory"); }
inline void write_timer_control(std::uint32_t value) noexcept {
    asm volatile("msr cntv_ctl_el0, %0; isb" : : "r"(std::uint64_t{value}) : "memory");
}

} // namespace arch
