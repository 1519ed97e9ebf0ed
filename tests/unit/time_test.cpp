// Clock arithmetic at its edges, and the real-time clock's encodings.
#include <doctest/doctest.h>

#include <ctime>

#include "arch/rate.hpp"
#include "kernel/time/monotonic.hpp"
#include "kernel/time/rtc.hpp"

using arch::Rate;
using kernel::RtcFields;

TEST_CASE("ticks become nanoseconds within a part in a thousand million") {
    for (const std::uint64_t hz : {1'000'000ull, 24'000'000ull, 999'999'999ull, 1'000'000'000ull, 2'600'000'123ull, 5'999'999'999ull}) {
        CAPTURE(hz);
        const Rate to_ns = Rate::from_frequencies(hz, 1'000'000'000);
        for (const std::uint64_t seconds : {0ull, 1ull, 60ull, 86'400ull, 31'536'000ull, 315'360'000ull}) {
            const std::uint64_t ns = to_ns.convert(hz * seconds), exact = seconds * 1'000'000'000;
            CHECK((ns > exact ? ns - exact : exact - ns) <= exact / 500'000'000 + 1);
        }
    }
}

TEST_CASE("conversion never goes backwards and does not wrap") {
    const Rate rate = Rate::from_frequencies(2'600'000'000, 1'000'000'000);
    std::uint64_t last = 0;
    for (std::uint64_t ticks = 0; ticks < 10'000; ++ticks) {
        const std::uint64_t now = rate.convert(ticks);
        CHECK(now >= last);
        last = now;
    }
    // 64 bits of ticks are 225 years at this rate: the product needs more than 64 bits long before.
    CHECK(rate.convert(~std::uint64_t{0}) > 7'000'000'000'000'000'000);
    CHECK(rate.convert(std::uint64_t{1} << 63) == doctest::Approx(9.2233720368547758e18 / 2.6));
    // Too large a result stops at the end instead of starting again.
    CHECK(Rate::from_frequencies(1'000'000, 1'000'000'000).convert(~std::uint64_t{0}) == ~std::uint64_t{0});
    CHECK(Rate().convert(12345) == 0);
}

TEST_CASE("there and back loses at most a tick") {
    const Rate to_ns = Rate::from_frequencies(2'599'999'377, 1'000'000'000),
               to_ticks = Rate::from_frequencies(1'000'000'000, 2'599'999'377);
    for (const std::uint64_t ns : {1ull, 999ull, 1'000'000ull, 123'456'789'012ull, 86'400'000'000'000ull}) {
        const std::uint64_t ticks = to_ticks.convert(ns) + 1;
        CHECK(to_ns.convert(ticks) + 1 >= ns - ns / 500'000'000);
        CHECK(to_ns.convert(ticks) <= ns + 1 + ns / 500'000'000);
    }
}

TEST_CASE("an alarm is where the clock will stand, however long the machine has been running") {
    constexpr std::uint64_t kSecond = 1'000'000'000, kDay = 86'400 * kSecond;
    for (const std::uint64_t hz : {4'000'000ULL, 10'000'000ULL, 24'000'000ULL, 25'000'000ULL, 62'500'000ULL, 100'000'000ULL, 121'875'000ULL,
                                   1'000'000'000ULL, 2'600'000'000ULL, 2'995'000'000ULL}) {
        const Rate to_ns = Rate::from_frequencies(hz, kSecond), to_ticks = Rate::from_frequencies(kSecond, hz);
        for (const std::uint64_t uptime : {std::uint64_t{0}, kDay, 7 * kDay, 365 * kDay}) {
            for (const std::uint64_t left : {0ULL, 1'000ULL, 1'000'000ULL, 1'000'000'000ULL}) {
                const std::uint64_t count = to_ticks.convert(uptime), now = to_ns.convert(count);
                const std::uint64_t then = to_ns.convert(kernel::timer::count_at(now + left, now, count, to_ticks));
                const std::uint64_t tick = (kSecond + hz - 1) / hz;
                CHECK_MESSAGE(then + left / 100'000'000 + 1 >= now + left, hz << " Hz, " << uptime << " and " << left << " ns: early");
                CHECK_MESSAGE(then <= now + left + left / 100'000'000 + tick + 1,
                              hz << " Hz, " << uptime << " and " << left << " ns: late");
            }
        }
    }
}

TEST_CASE("a frequency out of two counts") {
    CHECK(arch::frequency(26'000'000, 11'932, 1'193'182) == 2'599'960'778);
    CHECK(arch::frequency(1, 0, 1'193'182) == 0);
    CHECK(arch::frequency(0, 5, 1'193'182) == 0);
    CHECK(arch::frequency(~std::uint64_t{0}, 1, ~std::uint64_t{0}) == 0);
}

TEST_CASE("products and quotients of 128 bits, in halves as well") {
    constexpr std::uint64_t kMost = ~std::uint64_t{0};
    constexpr std::uint64_t kNumbers[] = {0,
                                          1,
                                          2,
                                          0xffffffff,
                                          0x100000000,
                                          0x100000001,
                                          0xfffffffe00000001,
                                          0x8000000000000000,
                                          0x0123456789abcdef,
                                          0xfedcba9876543210,
                                          kMost - 1,
                                          kMost};
    for (const std::uint64_t a : kNumbers)
        for (const std::uint64_t b : kNumbers) {
            CAPTURE(a);
            CAPTURE(b);
            CHECK(arch::multiply_halves(a, b) == arch::multiply(a, b));
            const arch::Wide product = arch::multiply_halves(a, b);
            if (b == 0) continue;
            CHECK(arch::divide(product, b) == a);
            CHECK(arch::divide(arch::add(product, b - 1), b) == a);
            CHECK(arch::divide(arch::add(product, b), b) == (a == kMost ? kMost : a + 1));
        }
    for (const std::uint64_t number : kNumbers)
        for (std::uint64_t near = number - 2000; near != number + 2000; ++near)
            if (arch::divide_by_1000(near) != near / 1000) FAIL_CHECK(near);
    CHECK(arch::multiply_halves(kMost, kMost) == arch::Wide{kMost - 1, 1});
    CHECK(arch::divide({5, 0}, 5) == kMost); // does not fit
    CHECK(arch::divide({4, kMost}, 5) == kMost);
    CHECK(arch::add({1, kMost}, 1) == arch::Wide{2, 0});
}

TEST_CASE("pvclock's multiplier and shift") {
    CHECK(arch::pvclock_frequency(1u << 31, 1) == 1'000'000'000);
    CHECK(arch::pvclock_frequency(1u << 31, 0) == 2'000'000'000);
    CHECK(arch::pvclock_frequency(0xcccccccd, -1) == doctest::Approx(2.5e9));
    CHECK(arch::pvclock_frequency(1, 0) == 4'294'967'296'000'000'000);
    CHECK(arch::pvclock_frequency(1, -2) == 17'179'869'184'000'000'000u);
    CHECK(arch::pvclock_frequency(1, -3) == 0);
    CHECK(arch::pvclock_frequency(0, 0) == 0);
    CHECK(arch::pvclock_frequency(1, 100) == 0);
    CHECK(arch::pvclock_frequency(1, -100) == 0);
    CHECK(arch::pvclock_frequency(1, -31) == 0);
}

namespace {

constexpr std::uint8_t bcd(int value) { return static_cast<std::uint8_t>(value / 10 << 4 | value % 10); }

} // namespace

TEST_CASE("RTC: BCD and binary, 24 and 12 hours") {
    // 2026-11-22 14:39:36 UTC
    constexpr std::int64_t kExpected = 1795358376;
    CHECK(kernel::rtc_to_unix({0x36, 0x39, 0x14, 0x22, 0x11, 0x26, 0x20, 2}) == kExpected);
    CHECK(kernel::rtc_to_unix({36, 39, 14, 22, 11, 26, 20, 6}) == kExpected);
    CHECK(kernel::rtc_to_unix({0x36, 0x39, 0x82, 0x22, 0x11, 0x26, 0x20, 0}) == kExpected);
    CHECK(kernel::rtc_to_unix({36, 39, 0x82, 22, 11, 26, 20, 4}) == kExpected);
    // Twelve is midnight in the morning and noon in the afternoon.
    CHECK(kernel::rtc_to_unix({0, 0, 0x12, 0x22, 0x11, 0x26, 0x20, 0}) == kExpected - 14 * 3600 - 39 * 60 - 36);
    CHECK(kernel::rtc_to_unix({0, 0, 0x92, 0x22, 0x11, 0x26, 0x20, 0}) == kExpected - 2 * 3600 - 39 * 60 - 36);
    // No century register.
    CHECK(kernel::rtc_to_unix({0x36, 0x39, 0x14, 0x22, 0x11, 0x26, 0, 2}) == kExpected);
}

TEST_CASE("RTC: every day of two centuries agrees with the host's calendar") {
    for (std::int64_t day = 0; day < 36'524 * 2; ++day) {
        const std::time_t seconds = day * 86'400 + day % 86'400;
        std::tm parts{};
        REQUIRE(gmtime_r(&seconds, &parts) != nullptr);
        const int year = parts.tm_year + 1900;
        const RtcFields fields{bcd(parts.tm_sec),     bcd(parts.tm_min), bcd(parts.tm_hour), bcd(parts.tm_mday),
                               bcd(parts.tm_mon + 1), bcd(year % 100),   bcd(year / 100),    2};
        REQUIRE(kernel::rtc_to_unix(fields) == seconds);
    }
}

TEST_CASE("RTC: what is no date is refused") {
    const RtcFields good{0x36, 0x39, 0x14, 0x22, 0x11, 0x26, 0x20, 2};
    CHECK_FALSE(kernel::rtc_to_unix({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})); // no clock
    CHECK_FALSE(kernel::rtc_to_unix({0, 0, 0, 0, 0, 0, 0, 0}));
    const auto with = [&](auto change) {
        RtcFields fields = good;
        change(fields);
        return kernel::rtc_to_unix(fields);
    };
    CHECK_FALSE(with([](RtcFields& f) { f.second = 0x60; }));
    CHECK_FALSE(with([](RtcFields& f) { f.minute = 0x3a; }));
    CHECK_FALSE(with([](RtcFields& f) { f.hour = 0x24; }));
    CHECK_FALSE(with([](RtcFields& f) { f.day = 0x31; })); // November
    CHECK_FALSE(with([](RtcFields& f) { f.month = 0x13; }));
    CHECK_FALSE(with([](RtcFields& f) { f.day = 0x29, f.month = 0x02; }));
    CHECK(with([](RtcFields& f) { f.day = 0x29, f.month = 0x02, f.year = 0x28; }));
    CHECK_FALSE(with([](RtcFields& f) { f.year = 0xa0; }));
    CHECK_FALSE(with([](RtcFields& f) { f.hour = 0x13, f.status_b = 0; }));
}
