// Device registers: memory-mapped and port accesses of exactly one width each, and the pause hint of a spinning loop.
// Any context may call these; the caller orders them with barrier.hpp. Addresses are those of an uncached mapping.
#pragma once

#include <cstdint>

namespace arch {

/// Whether there is an address space for ports.
inline constexpr bool kHasPorts = true;

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

inline std::uint8_t port_read8(std::uint16_t port) noexcept {
    std::uint8_t value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}
inline std::uint16_t port_read16(std::uint16_t port) noexcept {
    std::uint16_t value;
    asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}
inline std::uint32_t port_read32(std::uint16_t port) noexcept {
    std::uint32_t value;
    asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}
inline void port_write8(std::uint16_t port, std::uint8_t value) noexcept {
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
inline void port_write16(std::uint16_t port, std::uint16_t value) noexcept {
    asm volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
inline void port_write32(std::uint16_t port, std::uint32_t value) noexcept {
    asm volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

/// A hint inside a bounded spinning loop.
inline void relax() noexcept { asm volatile("pause" : : : "memory"); }

} // namespace arch
