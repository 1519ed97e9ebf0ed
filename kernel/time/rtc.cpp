#include "kernel/time/rtc.hpp"

namespace kernel {
namespace {

constexpr std::uint8_t k24Hours = 2, kBinary = 4, kAfternoon = 0x80;

/// 255 for a digit above 9.
constexpr unsigned from_bcd(std::uint8_t value) noexcept {
    const unsigned high = value >> 4, low = value & 15;
    return high > 9 || low > 9 ? 255 : high * 10 + low;
}

constexpr bool is_leap(unsigned year) noexcept { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

constexpr unsigned days_in(unsigned month, unsigned year) noexcept {
    constexpr std::uint8_t kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : kDays[month - 1];
}

/// Days from 1970-01-01 to a date of the Gregorian calendar (years counted from March, eras of 400 years).
constexpr std::int64_t days_from_epoch(unsigned year, unsigned month, unsigned day) noexcept {
    const std::int64_t y = static_cast<std::int64_t>(year) - (month <= 2 ? 1 : 0);
    const std::int64_t era = y / 400;
    const std::int64_t year_of_era = y - era * 400;
    const std::int64_t day_of_year = (153 * (static_cast<std::int64_t>(month) + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}
static_assert(days_from_epoch(1970, 1, 1) == 0);

} // namespace

std::optional<std::int64_t> rtc_to_unix(const RtcFields& fields) noexcept {
    const bool binary = (fields.status_b & kBinary) != 0, full_day = (fields.status_b & k24Hours) != 0;
    const auto number = [binary](std::uint8_t value) { return binary ? unsigned{value} : from_bcd(value); };

    const bool afternoon = !full_day && (fields.hour & kAfternoon) != 0;
    unsigned hour = number(full_day ? fields.hour : static_cast<std::uint8_t>(fields.hour & ~kAfternoon));
    if (!full_day) {
        if (hour < 1 || hour > 12) return std::nullopt;
        hour = hour % 12 + (afternoon ? 12 : 0);
    }
    const unsigned second = number(fields.second), minute = number(fields.minute), day = number(fields.day), month = number(fields.month);
    const unsigned year_of_century = number(fields.year);
    // Without a century register: the clock was set in this century.
    const unsigned century = fields.century == 0 ? 20 : number(fields.century);
    if (second > 59 || minute > 59 || hour > 23 || month < 1 || month > 12 || year_of_century > 99 || century < 19 || century > 99)
        return std::nullopt;
    const unsigned year = century * 100 + year_of_century;
    if (year < 1970 || day < 1 || day > days_in(month, year)) return std::nullopt;
    return ((days_from_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
}

} // namespace kernel
