// The local APIC's timer, in TSC-deadline mode where there is one.
#include "arch/timer.hpp"

#include <algorithm>

#include <machine/cpu.hpp>

#include "arch/processors.hpp"
#include "arch/rate.hpp"
#include "arch/x86_64/calibration.hpp"
#include "arch/x86_64/local_apic.hpp"

namespace arch {
namespace {

constexpr std::uint32_t kTscDeadlineMsr = 0x6e0;

bool tsc_deadline = false;
Rate to_timer_ticks;
std::uint64_t counter_hz = 0;

} // namespace

TimerRates start_timer(const Hardware& hardware, std::uint32_t vector, const Calibration& calibration) noexcept {
    tsc_deadline = (cpuid(1).ecx & kCpuidTscDeadline) != 0;
    const LocalApic& apic = local_apic();
    TimerRates rates = known_rates();
    if (rates.counter_hz == 0 || (rates.timer_hz == 0 && !tsc_deadline)) {
        apic.start_timer(static_cast<std::uint8_t>(vector), LocalApic::TimerMode::one_shot);
        const TimerRates measured = measure_rates(hardware, calibration);
        if (rates.counter_hz == 0) rates = measured;
        rates.timer_hz = measured.timer_hz;
        rates.asleep_ticks = measured.asleep_ticks;
    }
    apic.set_timer_count(0);
    apic.start_timer(static_cast<std::uint8_t>(vector), tsc_deadline ? LocalApic::TimerMode::tsc_deadline : LocalApic::TimerMode::one_shot);
    to_timer_ticks = Rate::from_frequencies(rates.counter_hz, rates.timer_hz);
    counter_hz = rates.counter_hz;
    if (tsc_deadline) rates.timer_hz = 0;
    return rates;
}

std::uint64_t counter_rate() noexcept { return counter_hz; }

void start_timer_here(std::uint32_t vector) noexcept {
    stop_timer();
    local_apic().start_timer(static_cast<std::uint8_t>(vector),
                             tsc_deadline ? LocalApic::TimerMode::tsc_deadline : LocalApic::TimerMode::one_shot);
}

void set_timer(std::uint64_t deadline) noexcept {
    if (tsc_deadline) return write_msr(kTscDeadlineMsr, deadline);
    const std::uint64_t now = read_counter();
    const std::uint64_t ticks = deadline > now ? to_timer_ticks.convert(deadline - now) + 1 : 1;
    local_apic().set_timer_count(static_cast<std::uint32_t>(std::min<std::uint64_t>(ticks, 0xffffffff)));
}

void stop_timer() noexcept {
    if (tsc_deadline) return write_msr(kTscDeadlineMsr, 0);
    local_apic().set_timer_count(0);
}

} // namespace arch
