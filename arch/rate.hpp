// Converting counter ticks to nanoseconds and back without a division on the way: value * multiplier >> 32, in 128 bits, so that
// neither a long uptime nor a fast counter overflows. Pure arithmetic; any context.
//
//     constexpr auto rate = arch::Rate::from_frequencies(counter_hz, 1'000'000'000);
//     ns = rate.convert(ticks);
#pragma once

#include <bit>
#include <cstdint>

#include "arch/wide.hpp"

namespace arch {

class Rate {
public:
    constexpr Rate() noexcept = default;

    /// Converts units of `from_hz` to units of `to_hz`. from_hz must not be 0 and to_hz below 2^32 * from_hz.
    [[nodiscard]] static constexpr Rate from_frequencies(std::uint64_t from_hz, std::uint64_t to_hz) noexcept {
        Rate rate;
        // Rounded to nearest: the error is below 2^-33 of a tick's worth for each tick.
        rate.multiplier_ = divide(add({to_hz >> (64 - kShift), to_hz << kShift}, from_hz / 2), from_hz);
        return rate;
    }

    [[nodiscard]] constexpr std::uint64_t convert(std::uint64_t value) const noexcept {
        const Wide product = multiply(value, multiplier_);
        return product.high >> kShift != 0 ? ~std::uint64_t{0} : product.high << (64 - kShift) | product.low >> kShift;
    }

private:
    static constexpr unsigned kShift = 32;
    std::uint64_t multiplier_ = 0;
};

/// Ticks per second out of a count over an interval measured with a reference of known frequency; 0 if it cannot be told.
[[nodiscard]] constexpr std::uint64_t frequency(std::uint64_t ticks, std::uint64_t reference_ticks, std::uint64_t reference_hz) noexcept {
    if (reference_ticks == 0) return 0;
    const Wide scaled = add(multiply(ticks, reference_hz), reference_ticks / 2);
    return scaled.high >= reference_ticks ? 0 : divide(scaled, reference_ticks);
}

/// pvclock (KVM): nanoseconds = (ticks << shift or >> -shift) * multiplier / 2^32; 0 for nonsense.
[[nodiscard]] constexpr std::uint64_t pvclock_frequency(std::uint32_t multiplier, std::int8_t shift) noexcept {
    if (multiplier == 0 || shift > 31 || shift < -31) return 0;
    const std::uint64_t hz = (std::uint64_t{1'000'000'000} << 32) / multiplier;
    if (shift >= 0) return hz >> shift;
    return std::countl_zero(hz) < -shift ? 0 : hz << -shift;
}

} // namespace arch
