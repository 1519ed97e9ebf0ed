#include "kernel/time/clock.hpp"

#include <machine/cpu.hpp>

#include "arch/kernel_hooks.hpp"
#include "arch/processors.hpp"
#include "arch/timer.hpp"
#include "kernel/firmware/hardware.hpp"
#include "kernel/interrupt/interrupts.hpp"
#include "kernel/processor/processor.hpp"
#include "kernel/time/monotonic.hpp"
#include "kernel/time/rtc.hpp"
#include "kernel/time/timer_interrupt.hpp"

namespace kernel {

using timer::start_ticks;
using timer::to_nanoseconds;

namespace {

constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;

arch::Rate to_counter_ticks;
ClockInfo info;

std::atomic<std::uint32_t> calibrated{0};
std::uint32_t timer_vector = 0;

// Wall clock minus monotonic clock; read from the RTC when first asked for.
std::int64_t wall_offset_ns = 0;
std::atomic<bool> wall_known{false};

} // namespace

virtio::Result<> start_clock() {
    start_ticks = ringside_entry_ticks;
    const auto vector = allocate_vector(timer::on_expiry, nullptr, "timer");
    if (!vector) return virtio::fail(vector.error());
    const auto calibration = allocate_vector(timer::on_calibration, &calibrated, "calibration");
    if (!calibration) return virtio::fail(calibration.error());
    const arch::TimerRates rates = arch::start_timer(hardware(), vector->number, {calibration->number, &calibrated});
    free_vector(*calibration);
    if (rates.counter_hz == 0) return virtio::fail(virtio::Error::no_device);

    to_nanoseconds = arch::Rate::from_frequencies(rates.counter_hz, kNanosecondsPerSecond);
    to_counter_ticks = arch::Rate::from_frequencies(kNanosecondsPerSecond, rates.counter_hz);
    info.source = rates.source;
    info.counter_hz = rates.counter_hz;
    info.timer_hz = rates.timer_hz;
    info.calibration_ns = to_nanoseconds.convert(rates.asleep_ticks);
    timer_vector = vector->number;
    return {};
}

void start_clock_here() { arch::start_timer_here(timer_vector); }

std::uint64_t busy_ns() noexcept { return to_nanoseconds.convert(arch::read_counter() - start_ticks - halted_ticks()); }

std::int64_t wall_clock_ns() noexcept {
    if (!wall_known.load(std::memory_order_acquire)) {
        if (&this_processor() != &processors::boot) { // one looks at the clock's registers
            std::int64_t now = 0;
            call_on(processors::boot, [&now] { now = wall_clock_ns(); });
            return now;
        }
        if (const auto seconds = read_rtc(hardware().rtc))
            wall_offset_ns = *seconds * static_cast<std::int64_t>(kNanosecondsPerSecond) - static_cast<std::int64_t>(now_ns());
        wall_known.store(true, std::memory_order_release);
    }
    return wall_offset_ns + static_cast<std::int64_t>(now_ns());
}

void arm_timer(std::uint64_t deadline_ns) noexcept {
    // A hundred years and more: the conversions below would run over their end.
    if (deadline_ns > kNever / 4) deadline_ns = kNever;
    // One that is still to come and comes first will do: whoever it wakes looks at the clock and arms again. Waits that move their
    // deadlines ahead all the time (a watchdog's) then cost no access to the timer, which under a hypervisor is an exit.
    timer::State& timer = this_processor().timer;
    if (timer.armed_deadline <= deadline_ns && deadline_ns != kNever && timer.idle.load(std::memory_order_acquire) == 0) return;
    timer.armed_deadline = deadline_ns;
    timer.idle.store(deadline_ns == kNever ? 1 : 0, std::memory_order_relaxed);
    if (deadline_ns == kNever) return arch::stop_timer();
    const std::uint64_t count = arch::read_counter();
    arch::set_timer(timer::count_at(deadline_ns, to_nanoseconds.convert(count - start_ticks), count, to_counter_ticks));
}

ClockInfo clock_info() noexcept { return info; }

} // namespace kernel
