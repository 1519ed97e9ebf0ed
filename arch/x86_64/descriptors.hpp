// Descriptor tables: GDT with one task state segment, IDT with 256 entries, and the stacks of their own on which double fault,
// NMI, machine check and page fault run (a page fault because its cause may be that the stack is full).
// Called once, early in boot; exceptions are reported from then on.
#pragma once

#include <cstdint>
#include <span>

namespace arch {

void start_descriptors() noexcept;

/// Lowest page of each exception stack, to be unmapped as its guard.
struct GuardPage {
    const void* page;
    const char* owner;
};
[[nodiscard]] std::span<const GuardPage> exception_stack_guards() noexcept;

} // namespace arch
