// Inside kernel/time only: how fast the time stamp counter and the local APIC timer run.
// Asks who knows (hypervisor, processor); else measures both against the interval timer while the processor sleeps.
#pragma once

#include <cstdint>

namespace kernel::timer {

struct Rates {
    const char* source = "none";
    std::uint64_t counter_hz = 0;
    std::uint64_t timer_hz = 0; ///< 0: unknown, and not needed with TSC deadline
    std::uint64_t asleep_ticks = 0;
};

/// What hypervisor and processor say; counter_hz 0 if they say nothing.
[[nodiscard]] Rates known_rates() noexcept;

/// Sleeps about 10 ms. Interrupts must be on, the local APIC timer set up one-shot on `timer_fired`'s vector.
[[nodiscard]] Rates measure_rates() noexcept;

} // namespace kernel::timer
