// The machine's real-time clock: the CMOS one of PCs (BCD or binary, 12 or 24 hours, with or without a century register), ARM's PL031,
// Goldfish's. Task context; rtc_to_unix() is pure arithmetic.
//
//     auto seconds = kernel::read_rtc(kernel::hardware().rtc);       // nothing if there is no clock or no date in it
#pragma once

#include <cstdint>
#include <optional>

#include "arch/hardware.hpp"

namespace kernel {

/// Registers as read.
struct RtcFields {
    std::uint8_t second = 0, minute = 0, hour = 0, day = 0, month = 0, year = 0;
    std::uint8_t century = 0;  ///< 0: there is no such register
    std::uint8_t status_b = 0; ///< bit 1: 24 hours, bit 2: binary

    friend bool operator==(const RtcFields&, const RtcFields&) = default;
};

/// Seconds since 1970-01-01 00:00 UTC.
[[nodiscard]] std::optional<std::int64_t> rtc_to_unix(const RtcFields& fields) noexcept;

/// The same, asked of the hardware, whose registers get mapped.
[[nodiscard]] std::optional<std::int64_t> read_rtc(const arch::RealTimeClock& clock);

} // namespace kernel
