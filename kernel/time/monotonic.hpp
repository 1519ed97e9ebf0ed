// Inside kernel/time only: what now_ns() and arm_timer() need. clock.cpp sets it once; now_interrupt.cpp reads it in any context.
#pragma once

#include <cstdint>

#include "arch/rate.hpp"

namespace kernel::timer {

/// Where the counter stands at `deadline_ns`, if it stands at `count` now. Only what is left is converted: of the whole time since the start
/// the two rates' rounding makes milliseconds within days. One tick later than the rounded-down conversion, so that the deadline has passed
/// when the interrupt comes.
[[nodiscard]] constexpr std::uint64_t count_at(std::uint64_t deadline_ns, std::uint64_t now_ns, std::uint64_t count,
                                               const arch::Rate& to_ticks) noexcept {
    return count + to_ticks.convert(deadline_ns > now_ns ? deadline_ns - now_ns : 0) + 1;
}

extern std::uint64_t start_ticks;
extern arch::Rate to_nanoseconds; ///< converts everything to 0 until the clock runs

} // namespace kernel::timer
