// Clocks and timers. Deadlines are generous: a busy host may stop us for a while, but never makes time run backwards.
#include <algorithm>
#include <array>
#include <cstdint>
#include <ctime>
#include <unistd.h>

#include "boot/images/selftest/check.hpp"
#include "kernel/task/task.hpp"
#include "kernel/time/clock.hpp"

namespace selftest {

namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;

void monotonic(Check& check) {
    std::uint64_t last = kernel::now_ns();
    for (int i = 0; i < 100'000; ++i) {
        const std::uint64_t now = kernel::now_ns();
        if (!check.need(now >= last, "went back by %llu ns", static_cast<unsigned long long>(last - now))) return;
        last = now;
    }
}

void sleeps(Check& check) {
    std::uint64_t shortest = ~std::uint64_t{0};
    for (int i = 0; i < 5; ++i) {
        const std::uint64_t start = kernel::now_ns();
        kernel::sleep_until(start + 20 * kMillisecond);
        const std::uint64_t slept = kernel::now_ns() - start;
        if (!check.need(slept >= 20 * kMillisecond, "20 ms took %llu ns", static_cast<unsigned long long>(slept))) return;
        shortest = std::min(shortest, slept);
    }
    (void)check.need(shortest < 5000 * kMillisecond, "the shortest of five sleeps of 20 ms took %llu ms",
                     static_cast<unsigned long long>(shortest / kMillisecond));
}

void wall(Check& check) {
    const std::time_t now = std::time(nullptr);
    // Between the year in which this was written and the end of the two-digit century of a real-time clock.
    if (!check.need(now > 1'735'689'600 && now < 4'102'444'800, "%lld seconds since 1970", static_cast<long long>(now))) return;
    const std::int64_t wall_start = kernel::wall_clock_ns();
    const std::uint64_t start = kernel::now_ns();
    kernel::sleep_until(start + 50 * kMillisecond);
    const auto wall_passed = kernel::wall_clock_ns() - wall_start;
    const auto passed = static_cast<std::int64_t>(kernel::now_ns() - start);
    const auto apart = wall_passed > passed ? wall_passed - passed : passed - wall_passed;
    (void)check.need(apart < 2'000'000'000, "both clocks ran for a while and are %lld ns apart", static_cast<long long>(apart));
}

void posix(Check& check) {
    timespec before{}, after{};
    if (!check.need(clock_gettime(CLOCK_MONOTONIC, &before) == 0, "clock_gettime failed")) return;
    if (!check.need(usleep(2000) == 0, "usleep failed")) return;
    if (!check.need(clock_gettime(CLOCK_MONOTONIC, &after) == 0, "clock_gettime failed")) return;
    const long long passed = (after.tv_sec - before.tv_sec) * 1'000'000'000LL + (after.tv_nsec - before.tv_nsec);
    (void)check.need(passed >= 2'000'000, "usleep(2000) took %lld ns", passed);
}

void known(Check& check) {
    const auto info = kernel::clock_info();
    (void)check.need(info.counter_hz >= 1'000'000 && info.counter_hz < 20'000'000'000, "the counter runs at %llu Hz by %s",
                     static_cast<unsigned long long>(info.counter_hz), info.source);
}

} // namespace

void check_clock() {
    run("clock.rate_known", known);
    run("clock.monotonic", monotonic);
    run("clock.sleeps", sleeps);
    run("clock.wall", wall);
    run("clock.posix", posix);
}

} // namespace selftest
