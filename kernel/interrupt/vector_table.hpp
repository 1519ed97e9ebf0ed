// Inside kernel/interrupt only: the table between the entry stubs and the handlers. dispatch_interrupt.cpp reads it in interrupt
// context, interrupts.cpp writes it with interrupts off.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "kernel/interrupt/interrupts.hpp"

namespace kernel::interrupt {

struct alignas(4 * sizeof(void*)) Slot {
    InterruptHandler handler = nullptr;
    void* context = nullptr;
    const char* name = nullptr;
    std::uint64_t count = 0;
};
static_assert(std::has_single_bit(sizeof(Slot)), "the dispatcher indexes with a shift");

extern std::array<Slot, 256> slots;
extern std::uint64_t spurious_count;

} // namespace kernel::interrupt
