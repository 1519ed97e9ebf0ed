// The platform-level interrupt controller: sources with a priority, contexts (a hart's mode) that enable, claim and complete them.
// (RISC-V PLIC 1.0.0.) Task context, interrupts off; the handler claims by itself.
//
//     if (const char* missing = plic.start(chip, map)) ...
//     plic.start_context(context);
//     plic.unmask(10, context);
#pragma once

#include <array>
#include <cstdint>

#include "arch/interrupts.hpp"

namespace arch {

class Plic {
public:
    /// Masks every source. Returns what is missing, or null.
    [[nodiscard]] const char* start(const InterruptChip& chip, MapRegisters map) noexcept;
    /// Whether there are registers for it.
    [[nodiscard]] bool has_context(std::uint32_t context) const noexcept;
    void start_context(std::uint32_t context) const noexcept;
    /// Sources are 1..sources().
    [[nodiscard]] std::uint32_t sources() const noexcept { return sources_; }
    /// For one context, and no longer for the one before.
    void unmask(std::uint32_t source, std::uint32_t context) noexcept;
    void mask(std::uint32_t source) const noexcept;
    /// Reading claims, writing completes.
    [[nodiscard]] std::uintptr_t claim_register(std::uint32_t context) const noexcept;

private:
    [[nodiscard]] std::uintptr_t enable_word(std::uint32_t source, std::uint32_t context) const noexcept;

    std::uintptr_t base_ = 0;
    std::uint64_t size_ = 0;
    std::uint32_t sources_ = 0;
    std::array<std::uint16_t, 1024> context_of_{}; ///< of each source, the last one that it was unmasked for, plus 1; 0: none
};

} // namespace arch
