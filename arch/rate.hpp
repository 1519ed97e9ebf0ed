// Converting counter ticks to nanoseconds and back without a division on the way: value * multiplier >> 32, in 128 bits, so that
// neither a long uptime nor a fast counter overflows. Pure arithmetic; any context.
//
//     constexpr auto rate = arch::Rate::from_frequencies(counter_hz, 1'000'000'000);
//     ns = rate.convert(ticks);
#pragma once

#include <cstdint>

namespace arch {

class Rate {
public:
    constexpr Rate() noexcept = default;

    /// Converts units of `from_hz` to units of `to_hz`. from_hz must not be 0 and to_hz below 2^32 * from_hz.
    [[nodiscard]] static constexpr Rate from_frequencies(std::uint64_t from_hz, std::uint64_t to_hz) noexcept {
        Rate rate;
        // Rounded to nearest: the error is below 2^-33 of a tick's worth for each tick.
        const Wide scaled = (Wide{to_hz} << kShift) + from_hz / 2;
        rate.multiplier_ = static_cast<std::uint64_t>(scaled / from_hz);
        return rate;
    }

    [[nodiscard]] constexpr std::uint64_t convert(std::uint64_t value) const noexcept {
        const Wide product = Wide{value} * multiplier_ >> kShift;
        return product > ~std::uint64_t{0} ? ~std::uint64_t{0} : static_cast<std::uint64_t>(product);
    }

private:
    __extension__ using Wide = unsigned __int128;
    static constexpr unsigned kShift = 32;
    std::uint64_t multiplier_ = 0;
};

/// Ticks per second out of a count over an interval measured with a reference of known frequency; 0 if it cannot be told.
[[nodiscard]] constexpr std::uint64_t frequency(std::uint64_t ticks, std::uint64_t reference_ticks, std::uint64_t reference_hz) noexcept {
    __extension__ using Wide = unsigned __int128;
    if (reference_ticks == 0) return 0;
    const Wide hz = (Wide{ticks} * reference_hz + reference_ticks / 2) / reference_ticks;
    return hz > ~std::uint64_t{0} ? 0 : static_cast<std::uint64_t>(hz);
}

/// pvclock (KVM): nanoseconds = (ticks << shift or >> -shift) * multiplier / 2^32; 0 for nonsense.
[[nodiscard]] constexpr std::uint64_t pvclock_frequency(std::uint32_t multiplier, std::int8_t shift) noexcept {
    __extension__ using Wide = unsigned __int128;
    if (multiplier == 0 || shift > 31 || shift < -31) return 0;
    Wide hz = (Wide{1'000'000'000} << 32) / multiplier;
    hz = shift < 0 ? hz << -shift : hz >> shift;
    return hz > ~std::uint64_t{0} ? 0 : static_cast<std::uint64_t>(hz);
}

} // namespace arch
