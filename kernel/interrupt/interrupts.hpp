// Interrupts: vectors with a handler each, messages, lines, and the two ways to hold them off.
// Handlers run with interrupts off, save only general registers, and so may neither touch vector registers nor call libc: their
// files end in _interrupt.cpp and are compiled for general registers only. Everything else here is for task context.
//
//     auto vector = kernel::allocate_vector(on_ready, &queue, "blk0.requests");
//     write_msix_entry(kernel::connect_message(*vector, requester, 0));      // or route_line({.gsi = 11}, *vector)
//     { kernel::InterruptGuard off; if (!queue.ready) kernel::enable_and_halt(); }
#pragma once

#include <cstddef>
#include <cstdint>

#include "arch/hardware.hpp"
#include "libvirtio/base.hpp"

namespace kernel {

using InterruptHandler = void (*)(void* context);

struct Vector {
    std::uint8_t number = 0;
};

/// Sets up the interrupt controllers that find_hardware() found and lets interrupts in.
[[nodiscard]] virtio::Result<> start_interrupts();

/// `name` must outlive the vector. interrupt_unavailable when all are taken.
[[nodiscard]] virtio::Result<Vector> allocate_vector(InterruptHandler handler, void* context, const char* name);
/// The handler is not called after this returns; the caller has silenced the device first.
void free_vector(Vector vector);

struct MsiMessage {
    std::uint64_t address = 0;
    std::uint32_t data = 0;
};
/// What a device writes so that the vector's handler runs on the calling processor. `device` is the sender's id at the interrupt controller (a PCI requester id,
/// mapped by msi-map), `index` counts its messages from 0. Errors: interrupt_unavailable. free_vector() ends it.
[[nodiscard]] virtio::Result<MsiMessage> connect_message(Vector vector, std::uint32_t device, std::uint32_t index);

using arch::Line;
using arch::Polarity;
using arch::Trigger;

/// Connects a line to the vector, for the calling processor, and unmasks it. Errors: out_of_range (there is no such line),
/// interrupt_unavailable (it is connected to another vector).
[[nodiscard]] virtio::Result<> route_line(const Line& line, Vector vector);
void mask_line(std::uint32_t gsi);

[[nodiscard]] std::uint64_t interrupt_count(Vector vector) noexcept;
/// Interrupts on vectors that nobody owns.
[[nodiscard]] std::uint64_t spurious_interrupt_count() noexcept;
/// Calls visit(vector, name, count) for every allocated vector (the shell lists them).
void for_each_vector(void (*visit)(Vector vector, const char* name, std::uint64_t count, void* context), void* context);

[[nodiscard]] bool interrupts_enabled() noexcept;
void enable_interrupts() noexcept;
void disable_interrupts() noexcept;
/// Enables and halts in one step: an interrupt that came before cannot be slept through. Returns after one, with interrupts enabled.
void enable_and_halt() noexcept;
/// Counter ticks that this processor has spent in enable_and_halt() since boot (idle time; instruction counts subtract it).
[[nodiscard]] std::uint64_t halted_ticks() noexcept;

/// Interrupts off for a scope, then as they were.
class [[nodiscard]] InterruptGuard {
public:
    InterruptGuard() noexcept : were_enabled_(interrupts_enabled()) { disable_interrupts(); }
    ~InterruptGuard() {
        if (were_enabled_) enable_interrupts();
    }
    InterruptGuard(const InterruptGuard&) = delete;
    InterruptGuard& operator=(const InterruptGuard&) = delete;

private:
    bool were_enabled_;
};

} // namespace kernel
