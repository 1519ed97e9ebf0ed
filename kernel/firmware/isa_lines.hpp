// The sixteen ISA interrupts and where the firmware says that they are wired. Pure bookkeeping; filled once, then read-only.
//
//     lines.override(0, {.gsi = 2});                        // MADT: interrupt 0 is on input 2
//     Line line = lines.pci_line(interrupt_line_register);
#pragma once

#include <array>
#include <cstdint>

#include "arch/hardware.hpp"

namespace kernel {

using arch::Line;
using arch::Polarity;
using arch::Trigger;

class IsaLines {
public:
    /// Later entries for the same interrupt win; numbers above 15 are nobody's.
    constexpr void override(std::uint8_t irq, const Line& line) noexcept {
        if (irq < entries_.size()) entries_[irq] = {line, true};
    }

    /// Without an override: the input of the same number, edge, active high (that is what ISA does).
    [[nodiscard]] constexpr Line isa_line(std::uint8_t irq) const noexcept {
        const bool known = irq < entries_.size() && entries_[irq].overridden;
        return known ? entries_[irq].line : Line{irq, Trigger::edge, Polarity::high};
    }

    /// For a PCI device's Interrupt Line register: level, active low, unless an override says more than where the input is. (An MP
    /// table lists all sixteen, most of them only to repeat the default.)
    [[nodiscard]] constexpr Line pci_line(std::uint8_t interrupt_line) const noexcept {
        const Line line = isa_line(interrupt_line);
        if (line.trigger == Trigger::level) return line;
        return {line.gsi, Trigger::level, Polarity::low};
    }

private:
    struct Entry {
        Line line;
        bool overridden = false;
    };
    std::array<Entry, 16> entries_{};
};

} // namespace kernel
