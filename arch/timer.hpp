// One one-shot timer against the processor's counter (read_counter()). Task context. Implemented by arch/NAME/.
//
//     const arch::TimerRates rates = arch::start_timer(hardware, vector, calibration);
//     arch::set_timer(arch::read_counter() + rates.counter_hz / 1000);
#pragma once

#include <atomic>
#include <cstdint>

#include "arch/hardware.hpp"

namespace arch {

struct TimerRates {
    const char* source = "none";    ///< who said how fast the counter runs
    std::uint64_t counter_hz = 0;   ///< 0: there is no timer
    std::uint64_t timer_hz = 0;     ///< 0: the timer compares with the counter itself
    std::uint64_t asleep_ticks = 0; ///< spent halted while measuring
};

/// For measuring while the processor sleeps: a vector to lend, and the word that its handler sets to 1.
struct Calibration {
    std::uint32_t vector = 0;
    std::atomic<std::uint32_t>* fired = nullptr;
};

/// Interrupts on; `vector` is the timer's from now on.
[[nodiscard]] TimerRates start_timer(const Hardware& hardware, std::uint32_t vector, const Calibration& calibration) noexcept;

/// Interrupts once, when the counter has reached `deadline`, or earlier if the hardware cannot count that far.
void set_timer(std::uint64_t deadline) noexcept;
void stop_timer() noexcept;

} // namespace arch
