// Inside arch/arm only: what the interrupt entry looks at.
#pragma once

#include <array>
#include <cstdint>

#include "arch/arm/gic.hpp"

namespace arch {

struct InterruptVectors {
    Gic* gic = nullptr;
    std::array<std::uint8_t, Gic::kInputs> of_intid{}; ///< 0: nobody's
};
extern InterruptVectors interrupt_vectors;

} // namespace arch
