// How fast the time stamp counter and the local APIC timer run. Asks who knows (hypervisor, processor); else measures both against the
// interval timer while the processor sleeps. Task context, interrupts on.
#pragma once

#include "arch/hardware.hpp"
#include "arch/timer.hpp"

namespace arch {

/// What hypervisor and processor say; counter_hz 0 if they say nothing, timer_hz 0 if they do not know it.
[[nodiscard]] TimerRates known_rates() noexcept;

/// Sleeps about 10 ms. The local APIC timer is set up one-shot.
[[nodiscard]] TimerRates measure_rates(const Hardware& hardware, const Calibration& calibration) noexcept;

/// The counter's, as start_timer() found it.
[[nodiscard]] std::uint64_t counter_rate() noexcept;

} // namespace arch
