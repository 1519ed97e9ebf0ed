#include "kernel/entropy/chacha20.hpp"
#include "kernel/entropy/generator.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include <doctest/doctest.h>

using kernel::chacha20_block;
using kernel::Generator;

namespace {

std::vector<std::byte> take(Generator& generator, std::size_t count) {
    std::vector<std::byte> bytes(count);
    generator.generate(bytes);
    return bytes;
}

} // namespace

TEST_CASE("the ChaCha20 block of RFC 8439, 2.3.2") {
    std::array<std::uint8_t, 32> key;
    for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
    const std::array<std::uint8_t, 12> nonce{0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0};
    const std::array<std::uint8_t, 64> expected{
        0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd, 0x1f, 0xa3, 0x20, 0x71, 0xc4, 0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0,
        0x68, 0x03, 0x04, 0x22, 0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e, 0xd2, 0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa, 0x09, 0x14, 0xc2, 0xd7, 0x05,
        0xd9, 0x8b, 0x02, 0xa2, 0xb5, 0x12, 0x9c, 0xd1, 0xde, 0x16, 0x4e, 0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e};
    CHECK(chacha20_block(key, 1, nonce) == expected);
    CHECK(chacha20_block(key, 2, nonce) != expected);
}

TEST_CASE("the first block of RFC 8439, A.1: all zero") {
    const auto block = chacha20_block({}, 0, {});
    const std::array<std::uint8_t, 8> expected{0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90};
    CHECK(std::equal(expected.begin(), expected.end(), block.begin()));
}

TEST_CASE("the same seed gives the same bytes, in whatever portions; another seed others") {
    const std::array<std::byte, 4> seed{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
    Generator whole, portions, other;
    whole.reseed(seed);
    portions.reseed(seed);
    other.reseed(std::span(seed).first(3));
    const auto bytes = take(whole, 1000);
    std::vector<std::byte> joined;
    for (std::size_t size : {1u, 95u, 1u, 200u, 703u}) {
        const auto part = take(portions, size);
        joined.insert(joined.end(), part.begin(), part.end());
    }
    CHECK(joined == bytes);
    CHECK(take(other, 1000) != bytes);
    CHECK(whole.given() == 1000);
}

TEST_CASE("a reseed adds to what was there, and a long seed counts to its end") {
    std::array<std::byte, 100> seed{};
    Generator once, twice, changed;
    once.reseed(seed);
    twice.reseed(seed);
    twice.reseed(seed);
    seed[99] = std::byte{1};
    changed.reseed(seed);
    const auto bytes = take(once, 64);
    CHECK(take(twice, 64) != bytes);
    CHECK(take(changed, 64) != bytes);
    once.reseed({});
    CHECK(once.given() == 0);
    CHECK(take(once, 64) != bytes);
}

TEST_CASE("what was given is no longer in the generator") {
    Generator generator;
    const std::array<std::byte, 1> seed{std::byte{42}};
    generator.reseed(seed);
    const auto given = take(generator, 64);
    std::array<std::byte, sizeof(Generator)> state;
    std::memcpy(state.data(), &generator, sizeof state);
    for (std::size_t at = 0; at + 8 <= given.size(); at += 8) {
        CHECK(std::search(state.begin(), state.end(), given.begin() + static_cast<long>(at), given.begin() + static_cast<long>(at) + 8) ==
              state.end());
    }
}
