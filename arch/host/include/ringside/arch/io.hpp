// Device registers for drivers compiled into a program of the host: plain volatile accesses to the test's own memory. There are
// no ports; a driver that reaches one is mistaken, and the program stops there.
#pragma once

#include <cstdint>

namespace arch {

/// Whether there is an address space for ports.
inline constexpr bool kHasPorts = false;

inline std::uint8_t mmio_read8(std::uintptr_t address) noexcept { return *reinterpret_cast<const volatile std::uint8_t*>(address); }
inline std::uint16_t mmio_read16(std::uintptr_t address) noexcept { return *reinterpret_cast<const volatile std::uint16_t*>(address); }
inline std::uint32_t mmio_read32(std::uintptr_t address) noexcept { return *reinterpret_cast<const volatile std::uint32_t*>(address); }
inline void mmio_write8(std::uintptr_t address, std::uint8_t value) noexcept { *reinterpret_cast<volatile std::uint8_t*>(address) = value; }
inline void mmio_write16(std::uintptr_t address, std::uint16_t value) noexcept {
    *reinterpret_cast<volatile std::uint16_t*>(address) = value;
}
inline void mmio_write32(std::uintptr_t address, std::uint32_t value) noexcept {
    *reinterpret_cast<volatile std::uint32_t*>(address) = value;
}

inline std::uint8_t port_read8(std::uint16_t) noexcept { __builtin_trap(); }
inline std::uint16_t port_read16(std::uint16_t) noexcept { __builtin_trap(); }
inline std::uint32_t port_read32(std::uint16_t) noexcept { __builtin_trap(); }
inline void port_write8(std::uint16_t, std::uint8_t) noexcept { __builtin_trap(); }
inline void port_write16(std::uint16_t, std::uint16_t) noexcept { __builtin_trap(); }
inline void port_write32(std::uint16_t, std::uint32_t) noexcept { __builtin_trap(); }

inline void relax() noexcept {}

} // namespace arch
