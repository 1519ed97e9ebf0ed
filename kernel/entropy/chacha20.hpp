// The ChaCha20 block function (RFC 8439, 2.3): 64 bytes of keystream from a key, a counter and a nonce. Written here because there is
// no freestanding library in the distribution to take it from: the packaged ones are built for Linux. Pure, any context that may use
// vector registers.
//
//     auto block = kernel::chacha20_block(key, counter, nonce);
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace kernel {

[[nodiscard]] constexpr std::array<std::uint8_t, 64> chacha20_block(const std::array<std::uint8_t, 32>& key, std::uint32_t counter,
                                                                    const std::array<std::uint8_t, 12>& nonce) noexcept {
    auto word = [](const auto& bytes, std::size_t at) {
        return std::uint32_t{bytes[at]} | std::uint32_t{bytes[at + 1]} << 8 | std::uint32_t{bytes[at + 2]} << 16 |
               std::uint32_t{bytes[at + 3]} << 24;
    };
    std::array<std::uint32_t, 16> start{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}; // "expand 32-byte k"
    for (std::size_t i = 0; i < 8; ++i) start[4 + i] = word(key, 4 * i);
    start[12] = counter;
    for (std::size_t i = 0; i < 3; ++i) start[13 + i] = word(nonce, 4 * i);
    std::array<std::uint32_t, 16> x = start;
    auto quarter = [&x](std::size_t a, std::size_t b, std::size_t c, std::size_t d) {
        x[a] += x[b], x[d] = std::rotl(x[d] ^ x[a], 16);
        x[c] += x[d], x[b] = std::rotl(x[b] ^ x[c], 12);
        x[a] += x[b], x[d] = std::rotl(x[d] ^ x[a], 8);
        x[c] += x[d], x[b] = std::rotl(x[b] ^ x[c], 7);
    };
    for (int round = 0; round < 10; ++round) {
        for (std::size_t i = 0; i < 4; ++i) quarter(i, 4 + i, 8 + i, 12 + i);
        for (std::size_t i = 0; i < 4; ++i) quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
    }
    std::array<std::uint8_t, 64> block{};
    for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<std::uint8_t>((x[i / 4] + start[i / 4]) >> (8 * (i % 4)));
    return block;
}

} // namespace kernel
