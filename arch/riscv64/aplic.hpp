// The advanced platform-level interrupt controller's supervisor domain (RISC-V AIA 1.0, chapter 4): wired interrupts, delivered to a hart
// either directly or as messages to its IMSIC. Task context, interrupts off; the handler claims by itself.
//
//     if (const char* missing = aplic.start(chip, {.hart = 0, .messages = true}, map)) ...
//     aplic.route(line, vector);
#pragma once

#include <cstdint>

#include "arch/interrupts.hpp"

namespace arch {

class Aplic {
public:
    struct Delivery {
        std::uint32_t hart = 0; ///< the hart's index in this domain
        bool messages = false;
    };
    /// Masks every source. Returns what is missing, or null.
    [[nodiscard]] const char* start(const InterruptChip& chip, const Delivery& delivery, MapRegisters map) noexcept;
    /// Sources are 1..sources().
    [[nodiscard]] std::uint32_t sources() const noexcept { return sources_; }
    /// `identity` is that of the message; it is of no matter where there are none.
    void route(const Line& line, std::uint32_t identity) const noexcept;
    void mask(std::uint32_t source) const noexcept;
    /// Direct delivery: reading says which source it is.
    [[nodiscard]] std::uintptr_t claim_register() const noexcept;
    /// Messages: writing a source's number sends another one if its line is still raised.
    [[nodiscard]] std::uintptr_t again_register() const noexcept;

private:
    std::uintptr_t base_ = 0;
    Delivery delivery_;
    std::uint32_t sources_ = 0;
};

} // namespace arch
