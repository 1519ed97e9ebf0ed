// The incoming message-signalled interrupt controller of this hart (RISC-V AIA 1.0, chapter 3): a page that devices write an identity
// to, and registers of the hart that say which identities may interrupt it. Identities are the kernel's vectors. Task context, interrupts
// off.
//
//     if (const char* missing = imsic.start(chip, page)) ...
//     imsic.enable(vector); message = imsic.message(vector);
#pragma once

#include <cstdint>

#include "arch/interrupts.hpp"

namespace arch {

class Imsic {
public:
    /// `page` counts the pages of the chip: this hart's for supervisor mode. Returns what is missing, or null.
    [[nodiscard]] const char* start(const InterruptChip& chip, std::uint32_t page) noexcept;
    /// Identities are 1..identities().
    [[nodiscard]] std::uint32_t identities() const noexcept { return identities_; }
    void enable(std::uint32_t identity) const noexcept;
    void disable(std::uint32_t identity) const noexcept;
    [[nodiscard]] Message message(std::uint32_t identity) const noexcept { return {page_, identity}; }

private:
    std::uint64_t page_ = 0;
    std::uint32_t identities_ = 0;
};

} // namespace arch
