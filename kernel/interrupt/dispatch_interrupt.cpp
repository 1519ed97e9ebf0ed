// Every device interrupt comes through here, with general registers only and interrupts off.
#include "arch/x86_64/kernel_hooks.hpp"
#include "arch/x86_64/local_apic.hpp"
#include "kernel/interrupt/vector_table.hpp"

namespace kernel::interrupt {

constinit std::array<Slot, 256> slots{};
std::uint64_t spurious_count = 0;

} // namespace kernel::interrupt

extern "C" void kernel_interrupt(std::uint64_t vector) {
    using namespace kernel::interrupt;
    Slot& slot = slots[vector & 0xff];
    if (slot.handler != nullptr) {
        ++slot.count;
        slot.handler(slot.context);
    } else {
        ++spurious_count;
        // The local APIC does not want an end of interrupt for its spurious vector, and the PIC's never came through it.
        if (vector == kSpuriousVector || (vector >= kPicBase && vector < kPicBase + 16)) return;
    }
    arch::local_apic().end_of_interrupt();
}
