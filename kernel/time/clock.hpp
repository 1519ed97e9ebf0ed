// Time: monotonic nanoseconds since boot, wall clock, and one one-shot timer whose expiry ends a halt.
// now_ns() may be called from any context (a multiplication and a shift); the rest from task context.
//
//     kernel::arm_timer(kernel::now_ns() + 1'000'000);      // the idle loop then halts until an interrupt or the timer
//     if (kernel::now_ns() >= deadline) ...
#pragma once

#include <cstdint>

#include "libvirtio/base.hpp"

namespace kernel {

inline constexpr std::uint64_t kNever = ~std::uint64_t{0};

/// Finds the rates of the processor's counter and of the timer (sleeping some milliseconds if nobody tells). After start_interrupts().
[[nodiscard]] virtio::Result<> start_clock();

/// The timer of another processor, on that processor. After start_clock().
void start_clock_here();

/// Monotonic; 0 is the first instruction after the loader (0 all the time until start_clock()).
[[nodiscard]] std::uint64_t now_ns() noexcept;
/// The same without the time that this processor was halted.
[[nodiscard]] std::uint64_t busy_ns() noexcept;
/// UTC, nanoseconds since 1970-01-01.
[[nodiscard]] std::int64_t wall_clock_ns() noexcept;

/// Ends a halt of this processor at `deadline_ns` of now_ns() (or earlier, if the hardware cannot count that far: look at the clock). kNever switches it off.
void arm_timer(std::uint64_t deadline_ns) noexcept;

/// Where the rate came from ("kvmclock", "cpuid", "pit", "cntfrq", "device tree", ...) and how much was found.
struct ClockInfo {
    const char* source = "none";
    std::uint64_t counter_hz = 0;
    std::uint64_t timer_hz = 0;       ///< 0: the timer compares with the counter itself
    std::uint64_t calibration_ns = 0; ///< time asleep while measuring
};
[[nodiscard]] ClockInfo clock_info() noexcept;

} // namespace kernel
