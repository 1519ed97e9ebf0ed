// Device registers: memory-mapped accesses of exactly one width each, and the pause hint of a spinning loop.
// Any context may call these; the caller orders them with barrier.hpp. Addresses are those of a Device mapping.
//
// In assembly, since the compiler could choose a form that steps its address register or loads a pair: a hypervisor learns the
// access that it has to emulate from the processor's syndrome, which describes the plain forms only.
#pragma once

#include <cstdint>

namespace arch {

/// Whether there is an address space for ports.
inline constexpr bool kHasPorts = false;

inline std::uint8_t mmio_read8(std::uintptr_t address) noexcept {
    std::uint8_t value;
    asm volatile("ldrb %0, [%1]" : "=r"(value) : "r"(address) : "memory");
    return value;
}
inline std::uint16_t mmio_read16(std::uintptr_t address) noexcept {
    std::uint16_t value;
    asm volatile("ldrh %0, [%1]" : "=r"(value) : "r"(address) : "memory");
    return value;
}
inline std::uint32_t mmio_read32(std::uintptr_t address) noexcept {
    std::uint32_t value;
    asm volatile("ldr %0, [%1]" : "=r"(value) : "r"(address) : "memory");
    return value;
}
inline void mmio_write8(std::uintptr_t address, std::uint8_t value) noexcept {
    asm volatile("strb %0, [%1]" : : "r"(value), "r"(address) : "memory");
}
inline void mmio_write16(std::uintptr_t address, std::uint16_t value) noexcept {
    asm volatile("strh %0, [%1]" : : "r"(value), "r"(address) : "memory");
}
inline void mmio_write32(std::uintptr_t address, std::uint32_t value) noexcept {
    asm volatile("str %0, [%1]" : : "r"(value), "r"(address) : "memory");
}

// No ports on this processor; a driver that reaches one is mistaken, and the program stops there.
inline std::uint8_t port_read8(std::uint16_t) noexcept { __builtin_trap(); }
inline std::uint16_t port_read16(std::uint16_t) noexcept { __builtin_trap(); }
inline std::uint32_t port_read32(std::uint16_t) noexcept { __builtin_trap(); }
inline void port_write8(std::uint16_t, std::uint8_t) noexcept { __builtin_trap(); }
inline void port_write16(std::uint16_t, std::uint16_t) noexcept { __builtin_trap(); }
inline void port_write32(std::uint16_t, std::uint32_t) noexcept { __builtin_trap(); }

/// A hint inside a bounded spinning loop.
inline void relax() noexcept { asm volatile("yield" : : : "memory"); }

} // namespace arch
