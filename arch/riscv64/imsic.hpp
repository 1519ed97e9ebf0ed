// The incoming message-signalled interrupt controllers of the harts (RISC-V AIA 1.0, chapter 3): for each a page that
// devices write an identity to, and registers of the hart that say which identities may interrupt it. Identities are the kernel's
// vectors. Task context, interrupts off; take_all() is the interrupt handler's.
//
//     if (const char* missing = imsic.start(chip)) ...
//     imsic.start_here(); imsic.enable(vector);                 // for the calling hart
//     message = {imsic.page(which), vector};
#pragma once

#include <cstdint>

#include "arch/interrupts.hpp"

namespace arch {

class Imsic {
public:
    /// Returns what is missing, or null.
    [[nodiscard]] const char* start(const InterruptChip& chip) noexcept;
    void start_here() const noexcept;
    /// Identities are 1..identities().
    [[nodiscard]] std::uint32_t identities() const noexcept { return identities_; }
    void enable(std::uint32_t identity) const noexcept;
    void disable(std::uint32_t identity) const noexcept;
    /// The address of a page; 0 if there is no such.
    [[nodiscard]] std::uint64_t page(std::uint32_t number) const noexcept;

private:
    Registers pages_;
    std::uint32_t identities_ = 0;
};

/// Claims identities by `take()`, which says 0 when none is pending, and hands each to `handle(identity)`, until none is left. One would do if
/// the line to the hart always told whether more are pending. QEMU 7.2 sets it without a lock: a message that comes while another one is
/// claimed is pending, and the line low, until the next message comes.
template<typename Take, typename Handle> void take_all(Take take, Handle handle) noexcept {
    while (const std::uint32_t identity = take()) handle(identity);
}

} // namespace arch
