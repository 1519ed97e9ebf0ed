// The generic timer's virtual half. Its compare register is in ticks of the counter that read_counter() reads, and its frequency is what the
// firmware has put into CNTFRQ.
#include "arch/timer.hpp"

#include <machine/cpu.hpp>
#include <machine/generic_timer.hpp>

#include "arch/arm/interrupt_vectors.hpp"
#include "arch/interrupts.hpp"

namespace arch {
TimerRates start_timer(const Hardware& hardware, std::uint32_t vector, const Calibration&) noexcept {
    TimerRates rates;
    stop_timer();
    Line line = hardware.timer.line;
    if (line.gsi == 0) return rates;
    line.trigger = Trigger::level; // it stays asserted until the deadline is moved or the timer masked
    interrupt_vectors.timer = line.gsi;
    if (!route_line(line, vector)) return rates;
    rates.counter_hz = hardware.timer.counter_hz != 0 ? hardware.timer.counter_hz : timer_frequency();
    rates.source = hardware.timer.counter_hz != 0 ? "device tree" : "cntfrq";
    return rates;
}

void set_timer(std::uint64_t deadline) noexcept {
    write_timer_deadline(deadline);
    write_timer_control(kTimerEnabled);
}

void stop_timer() noexcept { write_timer_control(kTimerMasked); }

} // namespace arch
