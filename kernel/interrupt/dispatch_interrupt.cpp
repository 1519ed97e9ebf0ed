// Every device interrupt comes through here, with general registers only and interrupts off.
#include "arch/kernel_hooks.hpp"
#include "kernel/interrupt/vector_table.hpp"

namespace kernel::interrupt {

constinit std::array<Slot, 256> slots{};
std::uint64_t spurious_count = 0;

} // namespace kernel::interrupt

extern "C" void kernel_interrupt(std::uint32_t vector) {
    using namespace kernel::interrupt;
    Slot& slot = slots[vector & 0xff];
    if (slot.handler == nullptr) {
        ++spurious_count;
        return;
    }
    ++slot.count;
    slot.handler(slot.context);
}
