// Inside kernel/time only: what now_ns() needs. clock.cpp sets it once; now_interrupt.cpp reads it in any context.
#pragma once

#include <cstdint>

#include "arch/rate.hpp"

namespace kernel::timer {

extern std::uint64_t start_ticks;
extern arch::Rate to_nanoseconds; ///< converts everything to 0 until the clock runs

} // namespace kernel::timer
