// The switches of the mutation tests, for every memory policy that has them: mutant(17) is true when the environment's RINGSIDE_MUTANT,
// or set_mutant(), says 17, and the validation of that number is then off.
#pragma once

#include <atomic>
#include <cstdlib>

namespace virtio {
inline namespace test_mutants {

[[nodiscard]] inline std::atomic<unsigned>& active_mutant() noexcept {
    static std::atomic<unsigned> its = [] {
        const char* text = std::getenv("RINGSIDE_MUTANT");
        return text == nullptr ? 0u : static_cast<unsigned>(std::strtoul(text, nullptr, 10));
    }();
    return its;
}
inline void set_mutant(unsigned number) noexcept { active_mutant().store(number, std::memory_order_relaxed); }

/// Whether the validation of this number is switched off. Numbers start at 1, each stands once in the sources.
[[nodiscard]] constexpr bool mutant(unsigned number) noexcept {
    if consteval {
        return false;
    } else {
        return active_mutant().load(std::memory_order_relaxed) == number;
    }
}

} // namespace test_mutants
} // namespace virtio
