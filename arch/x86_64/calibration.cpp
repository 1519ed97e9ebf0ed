#include "arch/x86_64/calibration.hpp"

#include <array>
#include <atomic>
#include <cstring>
#include <string_view>

#include <ringside/arch/io.hpp>

#include <machine/cpu.hpp>

#include "arch/interrupts.hpp"
#include "arch/rate.hpp"
#include "arch/x86_64/local_apic.hpp"

namespace arch {
namespace {

// --- what others know -------------------------------------------------------------------------------------------------

constexpr std::uint32_t kHypervisorLeaf = 0x40000000, kKvmFeatures = 0x40000001, kFrequencyLeaf = 0x40000010;
constexpr std::uint32_t kKvmClock = 1 << 3, kKvmClockMsr = 0x4b564d01;

// KVM writes here once when asked; only multiplier and shift are read.
struct alignas(32) KvmTime {
    std::uint32_t version;
    std::uint32_t padding;
    std::uint64_t tsc;
    std::uint64_t nanoseconds;
    std::uint32_t multiplier;
    std::int8_t shift;
    std::uint8_t flags;
    std::uint8_t reserved[2];
};
static_assert(sizeof(KvmTime) == 32);
volatile KvmTime kvm_time;

std::uint64_t kvm_counter_hz() noexcept {
    write_msr(kKvmClockMsr, reinterpret_cast<std::uint64_t>(&kvm_time) | 1);
    const std::uint32_t multiplier = kvm_time.multiplier;
    const std::int8_t shift = kvm_time.shift;
    write_msr(kKvmClockMsr, 0);
    return pvclock_frequency(multiplier, shift);
}

/// The hypervisor's twelve letters; nothing on bare metal.
struct Hypervisor {
    std::uint32_t highest_leaf = 0;
    std::array<char, 12> name{};
    [[nodiscard]] bool is(std::string_view other) const noexcept { return std::string_view(name.data(), name.size()) == other; }
};
constexpr std::string_view kKvm("KVMKVMKVM\0\0\0", 12), kTcg("TCGTCGTCGTCG", 12);

Hypervisor hypervisor() noexcept {
    Hypervisor found;
    if ((cpuid(1).ecx & kCpuidHypervisor) == 0) return found;
    const Cpuid leaf = cpuid(kHypervisorLeaf);
    found.highest_leaf = leaf.eax;
    std::memcpy(found.name.data(), &leaf.ebx, 4);
    std::memcpy(found.name.data() + 4, &leaf.ecx, 4);
    std::memcpy(found.name.data() + 8, &leaf.edx, 4);
    return found;
}

// The local APIC timer of QEMU and of KVM counts nanoseconds (APIC_BUS_CYCLE_NS in both).
constexpr std::uint64_t kEmulatedTimerHz = 1'000'000'000;
bool is_emulated_timer_known() noexcept {
    const Hypervisor host = hypervisor();
    return host.is(kTcg) || host.is(kKvm);
}

TimerRates hypervisor_rates() noexcept {
    const Hypervisor host = hypervisor();
    // This leaf gives both rates in kHz: the counter's and the local APIC timer's.
    if (host.highest_leaf >= kFrequencyLeaf && host.highest_leaf < kFrequencyLeaf + 0x1000) {
        const Cpuid rates = cpuid(kFrequencyLeaf);
        if (rates.eax != 0) return {"hypervisor", std::uint64_t{rates.eax} * 1000, std::uint64_t{rates.ebx} * 1000, 0};
    }
    if (host.is(kKvm) && (cpuid(kKvmFeatures).eax & kKvmClock) != 0)
        if (const std::uint64_t hz = kvm_counter_hz(); hz != 0) return {"kvmclock", hz, kEmulatedTimerHz, 0};
    return {};
}

// --- measuring --------------------------------------------------------------------------------------------------------

// Channel 0 of the interval timer, counting down once ("mode 0"): it raises interrupt 0 at zero and goes on counting, so that the
// time until somebody looks is measured as well.
constexpr std::uint64_t kPitHz = 1193182;
constexpr std::uint16_t kPitChannel0 = 0x40, kPitCommand = 0x43;
constexpr std::uint8_t kPitOneShot = 0x30, kPitLatch = 0x00;
constexpr std::uint16_t kPitCount = 5966;    // 5 ms
constexpr std::uint16_t kPitShortest = 1193; // 1 ms: shorter intervals are not exact enough
constexpr int kMostIntervals = 10;
// Where a PC wires interrupt 0. QEMU's microvm does so as well but has no override in its MADT; nothing else is on that input.
constexpr std::uint32_t kPitUsualInput = 2;
// The local APIC timer ends the sleep if the interval timer's interrupt never comes: 0.1 s at the usual 1 GHz.
constexpr std::uint32_t kBackstopTicks = 100'000'000;
constexpr std::uint32_t kUncalibratedSleepTicks = 10'000'000;
constexpr std::uint64_t kPmTimerHz = 3'579'545;

std::uint64_t halted = 0;

std::uint16_t pit_now() noexcept {
    port_write8(kPitCommand, kPitLatch);
    const std::uint8_t low = port_read8(kPitChannel0), high = port_read8(kPitChannel0);
    return static_cast<std::uint16_t>(low | high << 8);
}

void pit_start(std::uint16_t count) noexcept {
    port_write8(kPitCommand, kPitOneShot);
    port_write8(kPitChannel0, static_cast<std::uint8_t>(count));
    port_write8(kPitChannel0, static_cast<std::uint8_t>(count >> 8));
}

/// Halts until the word is set or the local APIC timer has run down. True if the word was set.
bool sleep_until_set(const std::atomic<std::uint32_t>& word) noexcept {
    for (;;) {
        disable_interrupts();
        const bool set = word.load(std::memory_order_acquire) != 0;
        if (set || local_apic().timer_count() == 0) {
            enable_interrupts();
            return set;
        }
        const std::uint64_t before = read_counter();
        enable_and_halt();
        halted += read_counter() - before;
    }
}

/// All three counters at one moment. Of a few readings the one that took least is kept: a host that stops us in between would
/// make the counters disagree.
struct Sample {
    std::uint64_t counter = 0;
    std::uint32_t timer = 0;
    std::uint16_t pit = 0;
};

Sample take_sample() noexcept {
    Sample best;
    std::uint64_t best_width = ~std::uint64_t{0};
    for (int attempt = 0; attempt < 3; ++attempt) {
        const std::uint64_t before = read_counter();
        const std::uint32_t timer = local_apic().timer_count();
        const std::uint16_t pit = pit_now();
        const std::uint64_t width = read_counter() - before;
        if (width < best_width) best = {before + width / 2, timer, pit};
        best_width = width < best_width ? width : best_width;
    }
    return best;
}

struct Interval {
    std::uint64_t counter = 0;
    std::uint64_t timer = 0;
    std::uint64_t pit = 0;
    bool woken = false; ///< by the interval timer's interrupt
    /// Long enough to be exact, and of a chip that counts (one that is not there reads the same number for ever).
    [[nodiscard]] bool is_useful() const noexcept { return woken && pit >= kPitShortest && timer != 0; }
};

Interval sleep_with_pit(std::atomic<std::uint32_t>& fired) noexcept {
    fired.store(0, std::memory_order_relaxed);
    pit_start(kPitCount);
    local_apic().set_timer_count(kBackstopTicks);
    const Sample before = take_sample();
    const bool woken = sleep_until_set(fired);
    const Sample after = take_sample();
    const auto elapsed = static_cast<std::uint16_t>(before.pit - after.pit);
    return {after.counter - before.counter, before.timer - after.timer, elapsed, woken};
}

/// Within one per cent.
constexpr bool agree(std::uint64_t a, std::uint64_t b) noexcept { return (a > b ? a - b : b - a) < b / 100; }

/// Sleeps until two intervals in a row agree: the interval timer's 16 bits last 55 ms, and a host that holds us up for longer
/// makes an interval look short.
TimerRates measure_with_pit(const Line& line, const Calibration& calibration) noexcept {
    TimerRates rates;
    disable_interrupts();
    const bool routed = route_line(line, calibration.vector) &&
                        (line.gsi == kPitUsualInput || route_line({kPitUsualInput, Trigger::edge, Polarity::high}, calibration.vector));
    enable_interrupts();
    if (routed) {
        const std::uint64_t halted_before = halted;
        Interval last;
        for (int attempt = 0, misses = 0; attempt < kMostIntervals && misses < 2; ++attempt) {
            const Interval next = sleep_with_pit(*calibration.fired);
            misses += next.woken ? 0 : 1;
            if (!next.is_useful()) continue;
            const std::uint64_t hz = frequency(next.counter, next.pit, kPitHz);
            if (last.pit != 0 && agree(frequency(last.counter, last.pit, kPitHz), hz)) {
                const std::uint64_t pit = last.pit + next.pit;
                rates = {"pit", frequency(last.counter + next.counter, pit, kPitHz), frequency(last.timer + next.timer, pit, kPitHz),
                         halted - halted_before};
                break;
            }
            last = next;
        }
        disable_interrupts();
        mask_line(line.gsi);
        mask_line(kPitUsualInput);
        enable_interrupts();
    }
    return rates;
}

/// Without an interval timer: the local APIC timer ends the sleep, the ACPI timer says how long it was.
TimerRates measure_with_pm_timer(std::uint16_t port) noexcept {
    if (port == 0) return {};
    const auto read = [port] { return port_read32(port) & 0xffffff; };
    const std::atomic<std::uint32_t> never{0};
    const std::uint64_t halted_before = halted;
    const std::uint32_t reference_before = read();
    const std::uint64_t counter_before = read_counter();
    local_apic().set_timer_count(kUncalibratedSleepTicks);
    (void)sleep_until_set(never);
    const std::uint32_t elapsed = (read() - reference_before) & 0xffffff;
    const std::uint64_t counter_after = read_counter();
    // The sleep ended a little after the local APIC timer did: its rate is a lower bound, which only makes deadlines come early.
    const std::uint64_t timer_hz = is_emulated_timer_known() ? kEmulatedTimerHz : frequency(kUncalibratedSleepTicks, elapsed, kPmTimerHz);
    return {"acpi timer", frequency(counter_after - counter_before, elapsed, kPmTimerHz), timer_hz, halted - halted_before};
}

/// Without any of them, but under a hypervisor whose local APIC timer's rate is known: that timer alone.
TimerRates measure_with_emulated_timer() noexcept {
    if (!is_emulated_timer_known()) return {};
    const std::atomic<std::uint32_t> never{0};
    const std::uint64_t halted_before = halted;
    const std::uint64_t counter_before = read_counter();
    local_apic().set_timer_count(kUncalibratedSleepTicks);
    (void)sleep_until_set(never);
    const std::uint64_t ticks = read_counter() - counter_before;
    return {"local apic timer", frequency(ticks, kUncalibratedSleepTicks, kEmulatedTimerHz), kEmulatedTimerHz, halted - halted_before};
}

} // namespace

TimerRates known_rates() noexcept {
    if (TimerRates rates = hypervisor_rates(); rates.counter_hz != 0) return rates;
    if (cpuid(0).eax >= 0x15) {
        const Cpuid ratio = cpuid(0x15);
        if (ratio.eax != 0 && ratio.ebx != 0 && ratio.ecx != 0)
            return {"cpuid", std::uint64_t{ratio.ecx} * ratio.ebx / ratio.eax, std::uint64_t{ratio.ecx}, 0};
    }
    return {};
}

TimerRates measure_rates(const Hardware& hardware, const Calibration& calibration) noexcept {
    if (TimerRates rates = measure_with_pit(hardware.timer.pit_line, calibration); rates.counter_hz != 0 && rates.timer_hz != 0)
        return rates;
    if (TimerRates rates = measure_with_pm_timer(hardware.timer.pm_timer_port); rates.counter_hz != 0) return rates;
    if (TimerRates rates = measure_with_emulated_timer(); rates.counter_hz != 0) return rates;
    // The processor's nominal rate is better than nothing, and so is a guess: time passes, if at the wrong speed.
    if (cpuid(0).eax >= 0x16)
        if (const std::uint32_t mhz = cpuid(0x16).eax & 0xffff; mhz != 0)
            return {"cpuid (nominal)", std::uint64_t{mhz} * 1'000'000, 1'000'000'000, 0};
    return {"guess", 1'000'000'000, 1'000'000'000, 0};
}

} // namespace arch
