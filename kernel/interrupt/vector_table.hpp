// Inside kernel/interrupt only: the table between the entry stubs and the handlers. dispatch_interrupt.cpp reads it in interrupt
// context, interrupts.cpp writes it with interrupts off.
#pragma once

#include <array>
#include <cstdint>

#include "kernel/interrupt/interrupts.hpp"

namespace kernel::interrupt {

struct Slot {
    InterruptHandler handler = nullptr;
    void* context = nullptr;
    std::uint64_t count = 0;
    const char* name = nullptr;
};
static_assert(sizeof(Slot) == 32, "the dispatcher indexes with a shift");

extern std::array<Slot, 256> slots;
extern std::uint64_t spurious_count;

} // namespace kernel::interrupt
