// A random generator on ChaCha20 with fast key erasure: every refill replaces the key by the first half of its own output, so that
// whoever reads the state later cannot tell what came out before. Pure state, no sources: reseed() mixes those in. One owner.
//
//     generator.reseed(seed);
//     generator.generate(bytes);
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel/entropy/chacha20.hpp"

namespace kernel {

class Generator {
public:
    /// Mixes the seed into the key: nothing that was in there before is lost, whatever the seed is worth.
    constexpr void reseed(std::span<const std::byte> seed) noexcept {
        do {
            const std::size_t count = seed.size() < key_.size() ? seed.size() : key_.size();
            for (std::size_t i = 0; i < count; ++i) key_[i] ^= std::to_integer<std::uint8_t>(seed[i]);
            seed = seed.subspan(count);
            refill();
        } while (!seed.empty());
        left_ = 0;
        given_ = 0;
    }

    constexpr void generate(std::span<std::byte> into) noexcept {
        for (std::byte& byte : into) {
            if (left_ == 0) refill();
            std::uint8_t& next = stock_[stock_.size() - left_--];
            byte = std::byte{next};
            next = 0;
        }
        given_ += into.size();
    }

    /// Bytes given since the last reseed().
    [[nodiscard]] constexpr std::uint64_t given() const noexcept { return given_; }

private:
    constexpr void refill() noexcept {
        constexpr std::array<std::uint8_t, 12> kNonce{};
        const auto first = chacha20_block(key_, 0, kNonce);
        const auto second = chacha20_block(key_, 1, kNonce);
        for (std::size_t i = 0; i < 32; ++i) {
            key_[i] = first[i];
            stock_[i] = first[32 + i];
            stock_[32 + i] = second[i];
            stock_[64 + i] = second[32 + i];
        }
        left_ = stock_.size();
    }

    std::array<std::uint8_t, 32> key_{};
    std::array<std::uint8_t, 96> stock_{};
    std::size_t left_ = 0;
    std::uint64_t given_ = 0;
};

} // namespace kernel
