// The switches of the mutation tests, for every memory policy that has them: mutant(17) is true when the environment's RINGSIDE_MUTANT,
// or set_mutant(), says 17, and the validation of that number is then off. A switch is asked only where its check would act
// (`if (bad && !mutant(17))`), so asked_mutants() tells which checks a test has set off.
#pragma once

#include <array>
#include <atomic>
#include <cstdlib>

namespace virtio {
inline namespace test_mutants {

[[nodiscard]] inline std::atomic<unsigned>& active_mutant() noexcept {
    static std::atomic<unsigned> its = [] {
        const char* text = std::getenv("RINGSIDE_MUTANT"); // NOLINT(concurrency-mt-unsafe): nobody sets it
        return text == nullptr ? 0u : static_cast<unsigned>(std::strtoul(text, nullptr, 10));
    }();
    return its;
}
inline void set_mutant(unsigned number) noexcept { active_mutant().store(number, std::memory_order_relaxed); }

/// The numbers asked for since somebody cleared them.
[[nodiscard]] inline std::array<std::atomic<bool>, 1024>& asked_mutants() noexcept {
    static std::array<std::atomic<bool>, 1024> its{};
    return its;
}

/// Whether the validation of this number is switched off. Numbers start at 1, each stands once in the sources.
[[nodiscard]] constexpr bool mutant(unsigned number) noexcept {
    if consteval {
        return false;
    } else {
        asked_mutants()[number].store(true, std::memory_order_relaxed);
        return active_mutant().load(std::memory_order_relaxed) == number;
    }
}

} // namespace test_mutants
} // namespace virtio
