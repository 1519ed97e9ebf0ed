// Test data that tells where it belongs: word i of a stream with key k is (k << 40) + i, so that a byte out of place, a stale sector and
// a block of zeroes all show. The host's tests compute the same (tests/qemu/support/pattern.py). Pure functions, any context.
//
//     fill(buffer, /*key*/ 7, /*first byte*/ sector * 512);
//     auto wrong = find_wrong(buffer, 7, sector * 512);            // offset of the first wrong byte, or nothing
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace selftest {

[[nodiscard]] constexpr std::uint64_t pattern_word(std::uint64_t key, std::uint64_t index) noexcept { return (key << 40) + index; }

[[nodiscard]] constexpr std::byte pattern_byte(std::uint64_t key, std::uint64_t position) noexcept {
    return static_cast<std::byte>(pattern_word(key, position / 8) >> (position % 8 * 8));
}

inline void fill(std::span<std::byte> into, std::uint64_t key, std::uint64_t position) noexcept {
    std::size_t i = 0;
    for (; i < into.size() && (position + i) % 8 != 0; ++i) into[i] = pattern_byte(key, position + i);
    for (; into.size() - i >= 8; i += 8) {
        const std::uint64_t word = pattern_word(key, (position + i) / 8);
        std::memcpy(into.data() + i, &word, 8);
    }
    for (; i < into.size(); ++i) into[i] = pattern_byte(key, position + i);
}

[[nodiscard]] inline std::optional<std::size_t> find_wrong(std::span<const std::byte> data, std::uint64_t key,
                                                           std::uint64_t position) noexcept {
    std::size_t i = 0;
    while (i < data.size()) {
        if ((position + i) % 8 == 0 && data.size() - i >= 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, data.data() + i, 8);
            if (word == pattern_word(key, (position + i) / 8)) {
                i += 8;
                continue;
            }
        }
        if (data[i] != pattern_byte(key, position + i)) return i;
        ++i;
    }
    return std::nullopt;
}

/// A small generator of choices, the same on the host (splitmix64).
class Chooser {
public:
    constexpr explicit Chooser(std::uint64_t seed) noexcept : state_(seed) {}
    constexpr std::uint64_t next() noexcept {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    constexpr std::uint64_t below(std::uint64_t limit) noexcept { return next() % limit; }
    constexpr std::size_t index_below(std::size_t limit) noexcept { return static_cast<std::size_t>(below(limit)); }

private:
    std::uint64_t state_;
};

} // namespace selftest
