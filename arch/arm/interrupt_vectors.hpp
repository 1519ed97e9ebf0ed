// Inside arch/arm only: what the interrupt entry and the timer share.
#pragma once

#include <array>
#include <cstdint>

#include "arch/arm/gic.hpp"

namespace arch {

/// What the timer's control register is set to.
inline constexpr std::uint32_t kTimerEnabled = 1, kTimerMasked = 2;

struct InterruptVectors {
    Gic* gic = nullptr;
    std::array<std::uint8_t, Gic::kInputs> of_intid{}; ///< 0: nobody's
    std::uint32_t timer = Gic::kNothing;               ///< the timer's input, which stays asserted until the timer is told
};
extern InterruptVectors interrupt_vectors;

} // namespace arch
