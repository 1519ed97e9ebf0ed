// Control and status registers by number: assemblers do not know the newer names. General registers only.
//
//     arch::write_csr<arch::kStimecmp>(deadline);
#pragma once

#include <cstdint>

namespace arch {

inline constexpr unsigned kSie = 0x104, kSip = 0x144, kStimecmp = 0x14d;
// Advanced Interrupt Architecture: a window to the registers of the hart's IMSIC, and the interrupt that it has for us.
inline constexpr unsigned kSiselect = 0x150, kSireg = 0x151, kStopei = 0x15c;

// Bits of sie and sip.
inline constexpr std::uint64_t kSoftwareInterrupt = 1 << 1, kTimerInterrupt = 1 << 5, kExternalInterrupt = 1 << 9;

template<unsigned Number> std::uint64_t read_csr() noexcept {
    std::uint64_t value;
    asm volatile("csrr %0, %1" : "=r"(value) : "i"(Number) : "memory");
    return value;
}
template<unsigned Number> void write_csr(std::uint64_t value) noexcept {
    asm volatile("csrw %0, %1" : : "i"(Number), "r"(value) : "memory");
}
/// Writes zero and returns what was there.
template<unsigned Number> std::uint64_t take_csr() noexcept {
    std::uint64_t value;
    asm volatile("csrrw %0, %1, zero" : "=r"(value) : "i"(Number) : "memory");
    return value;
}
template<unsigned Number> void set_csr_bits(std::uint64_t bits) noexcept {
    asm volatile("csrs %0, %1" : : "i"(Number), "r"(bits) : "memory");
}
template<unsigned Number> void clear_csr_bits(std::uint64_t bits) noexcept {
    asm volatile("csrc %0, %1" : : "i"(Number), "r"(bits) : "memory");
}

} // namespace arch
