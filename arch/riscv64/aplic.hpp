// The advanced platform-level interrupt controller's supervisor domain (RISC-V AIA 1.0, chapter 4): wired interrupts, delivered to a hart
// either directly or as messages to its IMSIC. Task context, interrupts off; the handler claims by itself.
//
//     if (const char* missing = aplic.start(chip, Aplic::Delivery::messages, map)) ...
//     aplic.route(line, hart, vector);
#pragma once

#include <cstdint>

#include <ringside/arch/io.hpp>

#include "arch/interrupts.hpp"

namespace arch {

class Aplic {
public:
    enum class Delivery : std::uint8_t { direct, messages };
    /// Masks every source. Returns what is missing, or null.
    [[nodiscard]] const char* start(const InterruptChip& chip, Delivery delivery, MapRegisters map) noexcept;
    /// Sources are 1..sources().
    [[nodiscard]] std::uint32_t sources() const noexcept { return sources_; }
    /// Direct delivery. Harts are counted by their index in this domain.
    [[nodiscard]] bool has_hart(std::uint32_t hart) const noexcept;
    void start_hart(std::uint32_t hart) const noexcept;
    /// `identity` is that of the message; it is of no matter where there are none.
    void route(const Line& line, std::uint32_t hart, std::uint32_t identity) const noexcept;
    void mask(std::uint32_t source) const noexcept;
    /// Direct delivery: reading says which source it is.
    [[nodiscard]] std::uintptr_t claim_register(std::uint32_t hart) const noexcept;
    [[nodiscard]] std::uintptr_t registers() const noexcept { return base_; }

private:
    std::uintptr_t base_ = 0;
    std::uint64_t size_ = 0;
    Delivery delivery_ = Delivery::direct;
    std::uint32_t sources_ = 0;
};

/// A message tells that a line has been raised, not that it still is; this sends another one if so (AIA, 4.9.2). General registers only: the
/// handler calls it.
inline void repeat_level(std::uintptr_t aplic, std::uint32_t source) noexcept {
    constexpr std::uint64_t kInputs = 0x1d00, kSetPendingNumber = 0x1cdc;
    // Writing the number would do: it counts only while the line is raised. QEMU's (before 9.1) takes it at any time.
    const std::uint32_t inputs = mmio_read32(aplic + kInputs + std::uintptr_t{source / 32} * 4);
    if ((inputs >> source % 32 & 1) != 0) mmio_write32(aplic + kSetPendingNumber, source);
}

} // namespace arch
