// The platform-level interrupt controller: sources with a priority, contexts (a hart's mode) that enable, claim and complete them.
// (RISC-V PLIC 1.0.0.) Task context, interrupts off; the handler claims by itself.
//
//     if (const char* missing = plic.start(chip, context, map)) ...
//     plic.route(10);
#pragma once

#include <cstdint>

#include "arch/interrupts.hpp"

namespace arch {

class Plic {
public:
    /// Masks every source of this context. Returns what is missing, or null.
    [[nodiscard]] const char* start(const InterruptChip& chip, std::uint32_t context, MapRegisters map) noexcept;
    /// Sources are 1..sources().
    [[nodiscard]] std::uint32_t sources() const noexcept { return sources_; }
    void unmask(std::uint32_t source) const noexcept;
    void mask(std::uint32_t source) const noexcept;
    /// Reading claims, writing completes.
    [[nodiscard]] std::uintptr_t claim_register() const noexcept;

private:
    [[nodiscard]] std::uintptr_t enable_word(std::uint32_t source) const noexcept;

    std::uintptr_t base_ = 0;
    std::uint32_t context_ = 0;
    std::uint32_t sources_ = 0;
};

} // namespace arch
