// The interrupt controllers behind one small interface: lines and messages reach the kernel as vectors, numbers of the kernel's own
// choosing. Task context; kernel_interrupt() is called for each interrupt. Implemented by arch/NAME/.
//
//     arch::start_interrupts(hardware, map_registers);
//     arch::route_line({.gsi = 11, .trigger = arch::Trigger::level, .polarity = arch::Polarity::low}, 0x31);
#pragma once

#include <cstdint>

#include "arch/hardware.hpp"

namespace arch {

// Vectors that the kernel may give away. (On x86 they are the processor's own numbers, with exceptions and the old PIC's below them.)
inline constexpr std::uint32_t kFirstVector = 0x30, kLastVector = 0xef;

/// Maps device registers for good; 0 if that cannot be done.
using MapRegisters = std::uintptr_t (*)(std::uint64_t physical, std::uint64_t size);

/// Sets the controllers up with everything masked. Returns what is missing, or null if all is well.
[[nodiscard]] const char* start_interrupts(const Hardware& hardware, MapRegisters map) noexcept;

/// Connects a line to a vector and unmasks it; one that is connected already gets the new vector. False: there is no such line.
[[nodiscard]] bool route_line(const Line& line, std::uint32_t vector) noexcept;
void mask_line(std::uint32_t gsi) noexcept;

struct Message {
    std::uint64_t address = 0;
    std::uint32_t data = 0;
};
/// What a device writes so that the vector comes. `device` is the sender's id at the interrupt controller (a PCI requester id, mapped),
/// `index` counts its messages. False: no message interrupts here, or no room.
[[nodiscard]] bool connect_message(std::uint32_t vector, std::uint32_t device, std::uint32_t index, Message& message) noexcept;
/// The vector is free again; the sender has been silenced.
void disconnect_message(std::uint32_t vector) noexcept;

} // namespace arch
