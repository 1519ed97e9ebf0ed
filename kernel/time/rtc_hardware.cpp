#include <ringside/arch/io.hpp>

#include "kernel/memory/address_space.hpp"
#include "kernel/time/rtc.hpp"

namespace kernel {
namespace {

constexpr std::uint16_t kCmosIndex = 0x70, kCmosData = 0x71;
constexpr std::uint8_t kStatusA = 10, kStatusB = 11;
// PL031 (ARM DDI 0224): seconds since 1970. Goldfish: nanoseconds since then, the low half first, which latches the high one.
constexpr std::uintptr_t kPl031Data = 0, kGoldfishLow = 0, kGoldfishHigh = 4;
constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;

std::uint8_t cmos_register(std::uint8_t index) noexcept {
    arch::port_write8(kCmosIndex, static_cast<std::uint8_t>(index | 0x80)); // bit 7 keeps NMIs off meanwhile
    const std::uint8_t value = arch::port_read8(kCmosData);
    arch::port_write8(kCmosIndex, 0x0d);
    return value;
}

RtcFields read_cmos_once(std::uint8_t century_register) noexcept {
    // An update takes at most 2 ms.
    constexpr int kAttempts = 20'000;
    constexpr std::uint8_t kUpdateInProgress = 0x80;
    for (int attempt = 0; attempt < kAttempts && (cmos_register(kStatusA) & kUpdateInProgress) != 0; ++attempt) arch::relax();
    return {.second = cmos_register(0),
            .minute = cmos_register(2),
            .hour = cmos_register(4),
            .day = cmos_register(7),
            .month = cmos_register(8),
            .year = cmos_register(9),
            .century = century_register != 0 ? cmos_register(century_register) : std::uint8_t{0},
            .status_b = cmos_register(kStatusB)};
}

/// Twice the same, so that no update fell between two registers.
std::optional<std::int64_t> read_cmos(std::uint8_t century_register) noexcept {
    // Where there is no clock all bits are set: it would be updating for ever. (Of a clock's status B the lowest bits are never all set
    // with the highest, which stops it.)
    if (cmos_register(kStatusA) == 0xff && cmos_register(kStatusB) == 0xff) return std::nullopt;
    RtcFields last = read_cmos_once(century_register);
    for (int attempt = 0; attempt < 5; ++attempt) {
        const RtcFields again = read_cmos_once(century_register);
        if (again == last) return rtc_to_unix(again);
        last = again;
    }
    return std::nullopt;
}

} // namespace

std::optional<std::int64_t> read_rtc(const arch::RealTimeClock& clock) {
    using Kind = arch::RealTimeClock::Kind;
    if (clock.kind == Kind::none) return std::nullopt;
    if (clock.kind == Kind::cmos) return read_cmos(clock.century_register);
    const auto mapped = map_device(clock.registers.base, clock.registers.size);
    if (!mapped) return std::nullopt;
    const auto base = reinterpret_cast<std::uintptr_t>(*mapped);
    if (clock.kind == Kind::pl031) return arch::mmio_read32(base + kPl031Data);
    const std::uint64_t low = arch::mmio_read32(base + kGoldfishLow);
    return static_cast<std::int64_t>((std::uint64_t{arch::mmio_read32(base + kGoldfishHigh)} << 32 | low) / kNanosecondsPerSecond);
}

} // namespace kernel
