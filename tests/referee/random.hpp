// The referee's dice: splitmix64 seeds, xoshiro256** rolls. Small, fast, and the same everywhere, so that a seed replays a run.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace referee {

class Random {
public:
    explicit constexpr Random(std::uint64_t seed) noexcept {
        for (std::uint64_t& word : state_) {
            seed += 0x9e37'79b9'7f4a'7c15u;
            std::uint64_t mixed = seed;
            mixed = (mixed ^ (mixed >> 30)) * 0xbf58'476d'1ce4'e5b9u;
            mixed = (mixed ^ (mixed >> 27)) * 0x94d0'49bb'1331'11ebu;
            word = mixed ^ (mixed >> 31);
        }
    }
    constexpr std::uint64_t next() noexcept {
        const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
        const std::uint64_t shifted = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }
    /// 0 .. bound-1 (the slight bias of a remainder does not matter here); 0 for a bound of 0.
    constexpr std::uint64_t below(std::uint64_t bound) noexcept { return bound == 0 ? 0 : next() % bound; }
    /// True once in `n` on average; never for 0.
    constexpr bool one_in(std::uint64_t n) noexcept { return n != 0 && below(n) == 0; }

private:
    std::array<std::uint64_t, 4> state_{};
};

} // namespace referee
