// Device registers for libvirtio as the conformance tests compile it: an access inside a range that a test has opened goes to the
// test's device, with its width; every other one is a plain access, as in arch/host. It takes that header's place in the path.
#pragma once

#include <cstdint>

namespace arch {

/// A range of registers, played by a test.
struct ObservedRegisters {
    std::uintptr_t base = 0;
    std::uintptr_t size = 0;
    void* context = nullptr;
    std::uint32_t (*read)(void* context, std::uintptr_t offset, unsigned width) noexcept = nullptr;
    void (*write)(void* context, std::uintptr_t offset, unsigned width, std::uint32_t value) noexcept = nullptr;

    [[nodiscard]] bool holds(std::uintptr_t address) const noexcept { return address - base < size; }
};

[[nodiscard]] inline ObservedRegisters& observed_registers() noexcept {
    static ObservedRegisters its;
    return its;
}

template<class T> [[nodiscard]] inline T observed_read(std::uintptr_t address) noexcept {
    const ObservedRegisters& its = observed_registers();
    if (its.holds(address)) return static_cast<T>(its.read(its.context, address - its.base, sizeof(T)));
    return *reinterpret_cast<const volatile T*>(address);
}
template<class T> inline void observed_write(std::uintptr_t address, T value) noexcept {
    const ObservedRegisters& its = observed_registers();
    if (its.holds(address)) return its.write(its.context, address - its.base, sizeof(T), value);
    *reinterpret_cast<volatile T*>(address) = value;
}

inline std::uint8_t mmio_read8(std::uintptr_t address) noexcept { return observed_read<std::uint8_t>(address); }
inline std::uint16_t mmio_read16(std::uintptr_t address) noexcept { return observed_read<std::uint16_t>(address); }
inline std::uint32_t mmio_read32(std::uintptr_t address) noexcept { return observed_read<std::uint32_t>(address); }
inline void mmio_write8(std::uintptr_t address, std::uint8_t value) noexcept { observed_write(address, value); }
inline void mmio_write16(std::uintptr_t address, std::uint16_t value) noexcept { observed_write(address, value); }
inline void mmio_write32(std::uintptr_t address, std::uint32_t value) noexcept { observed_write(address, value); }

inline constexpr bool kHasPorts = false;
inline std::uint8_t port_read8(std::uint16_t) noexcept { __builtin_trap(); }
inline std::uint16_t port_read16(std::uint16_t) noexcept { __builtin_trap(); }
inline std::uint32_t port_read32(std::uint16_t) noexcept { __builtin_trap(); }
inline void port_write8(std::uint16_t, std::uint8_t) noexcept { __builtin_trap(); }
inline void port_write16(std::uint16_t, std::uint16_t) noexcept { __builtin_trap(); }
inline void port_write32(std::uint16_t, std::uint32_t) noexcept { __builtin_trap(); }

inline void relax() noexcept {}

} // namespace arch
