// Decoding what the CMOS real-time clock says: BCD or binary, 12 or 24 hours, with or without a century register.
// Pure arithmetic; any context.
//
//     auto seconds = kernel::rtc_to_unix(fields);        // nothing if the registers hold no date (no clock: all ones)
#pragma once

#include <cstdint>
#include <optional>

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

} // namespace kernel
