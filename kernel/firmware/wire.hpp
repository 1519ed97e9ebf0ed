// Bounds-checked reads from firmware tables, little-endian unless they say otherwise: what is not there reads as zero, so that a
// short table is one with empty fields. Any context.
//
//     const auto length = kernel::wire_read<std::uint32_t>(table, 4);
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace kernel {

template<std::unsigned_integral T> [[nodiscard]] T wire_read(std::span<const std::byte> bytes, std::size_t offset) noexcept {
    T value = 0;
    if (offset <= bytes.size() && sizeof value <= bytes.size() - offset) __builtin_memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

/// The same for big-endian words (device trees).
template<std::unsigned_integral T> [[nodiscard]] T wire_read_big(std::span<const std::byte> bytes, std::size_t offset) noexcept {
    return std::byteswap(wire_read<T>(bytes, offset));
}

[[nodiscard]] inline bool wire_starts_with(std::span<const std::byte> bytes, std::size_t offset, std::string_view text) noexcept {
    return offset <= bytes.size() && text.size() <= bytes.size() - offset &&
           std::memcmp(bytes.data() + offset, text.data(), text.size()) == 0;
}

[[nodiscard]] inline bool sums_to_zero(std::span<const std::byte> bytes) noexcept {
    // Eight bytes at a time, as four sums that have room for 128 such steps each: tables are some thousand bytes long, and each boot adds them up.
    constexpr std::uint64_t kEven = 0x00ff00ff00ff00ff;
    std::uint64_t sum = 0;
    std::size_t at = 0;
    while (bytes.size() - at >= sizeof(std::uint64_t)) {
        std::uint64_t sums = 0;
        for (int step = 0; step < 128 && bytes.size() - at >= sizeof sums; ++step, at += sizeof sums) {
            std::uint64_t word;
            __builtin_memcpy(&word, bytes.data() + at, sizeof word);
            sums += (word & kEven) + (word >> 8 & kEven);
        }
        sum += (sums & 0xffff) + (sums >> 16 & 0xffff) + (sums >> 32 & 0xffff) + (sums >> 48);
    }
    for (; at < bytes.size(); ++at) sum += static_cast<std::uint8_t>(bytes[at]);
    return (sum & 0xff) == 0;
}

} // namespace kernel
