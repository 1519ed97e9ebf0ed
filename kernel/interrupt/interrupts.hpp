// Interrupts: vectors with a handler each, MSI messages, I/O APIC lines, and the two ways to hold them off.
// Handlers run with interrupts off, save only general registers, and so may neither touch vector registers nor call libc: their
// files end in _interrupt.cpp and are compiled -mgeneral-regs-only. Everything else here is for task context.
//
//     auto vector = kernel::allocate_vector(on_ready, &queue, "blk0.requests");
//     write_msix_entry(kernel::msi_message(*vector));          // or route_line(gsi, *vector, Trigger::level, Polarity::low)
//     { kernel::InterruptGuard off; if (!queue.ready) kernel::enable_and_halt(); }
#pragma once

#include <cstddef>
#include <cstdint>

#include "libvirtio/base.hpp"

namespace kernel {

using InterruptHandler = void (*)(void* context);

struct Vector {
    std::uint8_t number = 0;
};

/// Sets up the interrupt controllers from the firmware's tables and lets interrupts in. After start_memory().
[[nodiscard]] virtio::Result<> start_interrupts();

/// `name` must outlive the vector. interrupt_unavailable when all are taken.
[[nodiscard]] virtio::Result<Vector> allocate_vector(InterruptHandler handler, void* context, const char* name);
/// The handler is not called after this returns; the caller has silenced the device first.
void free_vector(Vector vector);

struct MsiMessage {
    std::uint64_t address = 0;
    std::uint32_t data = 0;
};
[[nodiscard]] MsiMessage msi_message(Vector vector);

enum class Trigger : std::uint8_t { edge, level };
enum class Polarity : std::uint8_t { high, low };

struct Line {
    std::uint32_t gsi = 0;
    Trigger trigger = Trigger::edge;
    Polarity polarity = Polarity::high;
};

/// An ISA interrupt's global number, trigger and polarity, with the firmware's overrides applied.
[[nodiscard]] Line isa_irq_to_line(std::uint8_t irq) noexcept;
[[nodiscard]] inline std::uint32_t isa_irq_to_gsi(std::uint8_t irq) noexcept { return isa_irq_to_line(irq).gsi; }
/// How a PCI device's Interrupt Line register (an ISA number set by the firmware) reaches the I/O APIC: level, active low unless an override says otherwise.
[[nodiscard]] Line pci_line(std::uint8_t interrupt_line) noexcept;

/// Connects an I/O APIC input to the vector and unmasks it; a line that is connected already gets the new vector. out_of_range: no I/O APIC has it.
[[nodiscard]] virtio::Result<> route_line(std::uint32_t gsi, Vector vector, Trigger trigger, Polarity polarity);
void mask_line(std::uint32_t gsi);

[[nodiscard]] std::uint64_t interrupt_count(Vector vector) noexcept;
/// Interrupts on vectors that nobody owns, and the local APIC's spurious ones.
[[nodiscard]] std::uint64_t spurious_interrupt_count() noexcept;
/// Calls visit(vector, name, count) for every allocated vector (the shell lists them).
void for_each_vector(void (*visit)(Vector vector, const char* name, std::uint64_t count, void* context), void* context);

[[nodiscard]] bool interrupts_enabled() noexcept;
void enable_interrupts() noexcept;
void disable_interrupts() noexcept;
/// Enables and halts in one step: an interrupt that came before cannot be slept through. Returns after one, with interrupts enabled.
void enable_and_halt() noexcept;
/// Counter ticks spent in enable_and_halt() since boot (idle time; instruction counts subtract it).
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
