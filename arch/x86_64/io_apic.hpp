// One I/O APIC: an index and a data register, and one redirection entry for each input. Task context, not reentrant
// (the two registers are a pair): callers hold interrupts off.
//
//     arch::IoApic chip(registers);
//     chip.route(pin, {.vector = 0x31, .destination = apic_id, .level = true, .active_low = true, .masked = false});
#pragma once

#include <cstdint>

namespace arch {

struct IoApicEntry {
    std::uint8_t vector = 0;
    std::uint8_t destination = 0; ///< local APIC id
    bool level = false;
    bool active_low = false;
    bool masked = true;
};

class IoApic {
public:
    constexpr IoApic() noexcept = default;
    explicit IoApic(volatile void* registers) noexcept : address_(reinterpret_cast<std::uintptr_t>(registers)) {}

    /// Number of inputs, at most 240; 0 if there is no chip (the registers read all ones).
    [[nodiscard]] std::uint32_t inputs() const noexcept;
    void route(std::uint32_t input, const IoApicEntry& entry) const noexcept;
    void mask(std::uint32_t input) const noexcept;

private:
    [[nodiscard]] std::uint32_t read(std::uint32_t reg) const noexcept;
    void write(std::uint32_t reg, std::uint32_t value) const noexcept;

    std::uintptr_t address_ = 0;
};

} // namespace arch
