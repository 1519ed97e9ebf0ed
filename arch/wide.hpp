// 64 x 64 -> 128 bits and back, for converting rates: in the compiler's own 128-bit integers where it has them (one instruction), in halves
// where it has not (32-bit processors). Pure arithmetic; any context.
//
//     const arch::Wide product = arch::multiply(ticks, multiplier);
//     ns = product.high >> 32 != 0 ? ~std::uint64_t{0} : product.high << 32 | product.low >> 32;
#pragma once

#include <cstdint>

namespace arch {

struct Wide {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    friend constexpr bool operator==(const Wide&, const Wide&) noexcept = default;
};

/// By four products of halves.
[[nodiscard]] constexpr Wide multiply_halves(std::uint64_t a, std::uint64_t b) noexcept {
    constexpr std::uint64_t kLow = 0xffffffff;
    const std::uint64_t low = (a & kLow) * (b & kLow), cross = (a >> 32) * (b & kLow) + (low >> 32); // cannot run over
    const std::uint64_t other = (a & kLow) * (b >> 32) + (cross & kLow);
    return {(a >> 32) * (b >> 32) + (cross >> 32) + (other >> 32), other << 32 | (low & kLow)};
}

[[nodiscard]] constexpr Wide multiply(std::uint64_t a, std::uint64_t b) noexcept {
#ifdef __SIZEOF_INT128__
    __extension__ using Native = unsigned __int128;
    const Native product = Native{a} * b;
    return {static_cast<std::uint64_t>(product >> 64), static_cast<std::uint64_t>(product)};
#else
    return multiply_halves(a, b);
#endif
}

[[nodiscard]] constexpr Wide add(Wide a, std::uint64_t b) noexcept {
    const std::uint64_t low = a.low + b;
    return {a.high + (low < b ? 1 : 0), low};
}

/// Without the library function that divides on 32-bit processors, which may use vector registers: for interrupt handlers.
[[nodiscard]] constexpr std::uint64_t divide_by_1000(std::uint64_t value) noexcept {
    // 1000 = 8 * 125, and 2^68 / 125, rounded up, errs by less than 2^61 values can show.
    return multiply(value >> 3, 0x20c4'9ba5'e353'f7cf).high >> 4;
}

/// The quotient, rounded down; the largest number if it is no 64-bit one. `divisor` is not 0. Slow: a step for each bit.
[[nodiscard]] constexpr std::uint64_t divide(Wide value, std::uint64_t divisor) noexcept {
    if (value.high >= divisor) return ~std::uint64_t{0};
    std::uint64_t rest = value.high, quotient = 0;
    for (int bit = 63; bit >= 0; --bit) {
        const bool carry = rest >> 63 != 0;
        rest = rest << 1 | (value.low >> bit & 1);
        if (!carry && rest < divisor) continue;
        rest -= divisor;
        quotient |= std::uint64_t{1} << bit;
    }
    return quotient;
}

} // namespace arch
