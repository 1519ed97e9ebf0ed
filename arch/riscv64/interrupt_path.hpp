// Inside arch/riscv64 only: what the interrupt handler reads. interrupts.cpp and timer.cpp write it, with interrupts off or before the
// interrupt concerned is let in.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace arch {

struct InterruptPath {
    enum class Source : std::uint8_t { none, plic, aplic, imsic };
    static constexpr std::size_t kMostSources = 1024, kMostVectors = 256;

    Source source = Source::none;
    std::uint32_t timer_vector = 0;
    std::uintptr_t aplic = 0; ///< imsic: the APLIC's registers; 0 without one
    /// plic, aplic.
    std::array<std::uint8_t, kMostSources> vector_of{};
    /// imsic, whose identities are vectors: the APLIC's source if it is a level-triggered one, else 0.
    std::array<std::uint16_t, kMostVectors> level_source_of{};
};
extern InterruptPath interrupt_path;

} // namespace arch
