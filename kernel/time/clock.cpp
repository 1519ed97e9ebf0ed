#include "kernel/time/clock.hpp"

#include <algorithm>

#include <ringside/arch/io.hpp>

#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/kernel_hooks.hpp"
#include "arch/x86_64/local_apic.hpp"
#include "kernel/firmware/acpi.hpp"
#include "kernel/interrupt/interrupts.hpp"
#include "kernel/time/calibration.hpp"
#include "kernel/time/monotonic.hpp"
#include "kernel/time/rate.hpp"
#include "kernel/time/rtc.hpp"
#include "kernel/time/timer_interrupt.hpp"

namespace kernel {

using timer::start_ticks;
using timer::to_nanoseconds;

namespace {

constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr std::uint32_t kTscDeadlineMsr = 0x6e0;

Rate to_counter_ticks;
Rate to_timer_ticks;
ClockInfo info;

// 1 while no deadline is armed (never was, or it has passed).
std::atomic<std::uint32_t> timer_idle{1};
std::uint64_t armed_deadline = kNever;

// Wall clock minus monotonic clock; read from the RTC when first asked for.
std::int64_t wall_offset_ns = 0;
bool wall_known = false;

constexpr std::uint16_t kRtcIndex = 0x70, kRtcData = 0x71;

std::uint8_t rtc_register(std::uint8_t index) noexcept {
    arch::port_write8(kRtcIndex, static_cast<std::uint8_t>(index | 0x80)); // bit 7 keeps NMIs off meanwhile
    const std::uint8_t value = arch::port_read8(kRtcData);
    arch::port_write8(kRtcIndex, 0x0d);
    return value;
}

RtcFields read_rtc_once(std::uint8_t century_register) noexcept {
    // An update takes at most 2 ms; a missing clock reads as updating for ever.
    constexpr int kAttempts = 20'000;
    constexpr std::uint8_t kStatusA = 10, kUpdateInProgress = 0x80;
    for (int attempt = 0; attempt < kAttempts && (rtc_register(kStatusA) & kUpdateInProgress) != 0; ++attempt) arch::relax();
    return {.second = rtc_register(0),
            .minute = rtc_register(2),
            .hour = rtc_register(4),
            .day = rtc_register(7),
            .month = rtc_register(8),
            .year = rtc_register(9),
            .century = century_register != 0 ? rtc_register(century_register) : std::uint8_t{0},
            .status_b = rtc_register(11)};
}

/// Twice the same, so that no update fell between two registers.
std::optional<std::int64_t> read_rtc() noexcept {
    std::uint8_t century_register = 0;
    if (const auto table = acpi::find_table("FACP")) century_register = acpi::parse_fadt(*table).century_register;
    RtcFields last = read_rtc_once(century_register);
    for (int attempt = 0; attempt < 5; ++attempt) {
        const RtcFields again = read_rtc_once(century_register);
        if (again == last) return rtc_to_unix(again);
        last = again;
    }
    return std::nullopt;
}

} // namespace

virtio::Result<> start_clock() {
    start_ticks = ringside_entry_ticks;
    const auto vector = allocate_vector(timer::on_expiry, &timer_idle, "timer");
    if (!vector) return virtio::fail(vector.error());

    info.tsc_deadline = (arch::cpuid(1).ecx & arch::kCpuidTscDeadline) != 0;
    const arch::LocalApic& apic = arch::local_apic();
    timer::Rates rates = timer::known_rates();
    if (rates.counter_hz == 0 || (rates.timer_hz == 0 && !info.tsc_deadline)) {
        apic.start_timer(vector->number, arch::LocalApic::TimerMode::one_shot);
        const timer::Rates measured = timer::measure_rates();
        if (rates.counter_hz == 0) rates = measured;
        rates.timer_hz = measured.timer_hz;
        rates.asleep_ticks = measured.asleep_ticks;
    }
    apic.set_timer_count(0);
    apic.start_timer(vector->number, info.tsc_deadline ? arch::LocalApic::TimerMode::tsc_deadline : arch::LocalApic::TimerMode::one_shot);

    to_nanoseconds = Rate::from_frequencies(rates.counter_hz, kNanosecondsPerSecond);
    to_counter_ticks = Rate::from_frequencies(kNanosecondsPerSecond, rates.counter_hz);
    to_timer_ticks = Rate::from_frequencies(kNanosecondsPerSecond, rates.timer_hz);
    info.source = rates.source;
    info.counter_hz = rates.counter_hz;
    info.timer_hz = info.tsc_deadline ? 0 : rates.timer_hz;
    info.calibration_ns = to_nanoseconds.convert(rates.asleep_ticks);
    timer_idle.store(1, std::memory_order_relaxed);
    return {};
}

std::uint64_t busy_ns() noexcept { return to_nanoseconds.convert(arch::read_tsc() - start_ticks - halted_ticks()); }

std::int64_t wall_clock_ns() noexcept {
    if (!wall_known) {
        wall_known = true;
        if (const auto seconds = read_rtc())
            wall_offset_ns = *seconds * static_cast<std::int64_t>(kNanosecondsPerSecond) - static_cast<std::int64_t>(now_ns());
    }
    return wall_offset_ns + static_cast<std::int64_t>(now_ns());
}

void arm_timer(std::uint64_t deadline_ns) noexcept {
    // A hundred years and more: the conversions below would run over their end.
    if (deadline_ns > kNever / 4) deadline_ns = kNever;
    // One that is still to come and comes first will do: whoever it wakes looks at the clock and arms again. Waits that move their
    // deadlines ahead all the time (a watchdog's) then cost no access to the timer, which under a hypervisor is an exit.
    if (armed_deadline <= deadline_ns && deadline_ns != kNever && timer_idle.load(std::memory_order_acquire) == 0) return;
    armed_deadline = deadline_ns;
    timer_idle.store(deadline_ns == kNever ? 1 : 0, std::memory_order_relaxed);
    if (info.tsc_deadline) {
        // One tick later than the rounded-down conversion, so that the deadline has passed when the interrupt comes.
        arch::write_msr(kTscDeadlineMsr, deadline_ns == kNever ? 0 : start_ticks + to_counter_ticks.convert(deadline_ns) + 1);
        return;
    }
    if (deadline_ns == kNever) {
        arch::local_apic().set_timer_count(0);
        return;
    }
    const std::uint64_t now = now_ns();
    const std::uint64_t ticks = deadline_ns > now ? to_timer_ticks.convert(deadline_ns - now) + 1 : 1;
    arch::local_apic().set_timer_count(static_cast<std::uint32_t>(std::min<std::uint64_t>(ticks, 0xffffffff)));
}

ClockInfo clock_info() noexcept { return info; }

} // namespace kernel
