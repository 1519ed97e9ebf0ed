// Every interrupt: from the controller's INTID to the kernel's vector. General registers only.
#include <machine/generic_timer.hpp>

#include "arch/arm/interrupt_vectors.hpp"
#include "arch/kernel_hooks.hpp"

namespace arch {

constinit InterruptVectors interrupt_vectors;

} // namespace arch

/// Called by the processor's interrupt entry, interrupts off.
extern "C" void ringside_interrupt() {
    using namespace arch;
    Gic& gic = *interrupt_vectors.gic;
    const std::uint32_t acknowledged = gic.acknowledge(), intid = acknowledged & Gic::kSpecial;
    // It fires once and is set anew.
    if (acknowledged == interrupt_vectors.timer) write_timer_control(kTimerMasked);
    if (acknowledged >= kFirstMessage)
        kernel_interrupt(acknowledged - kFirstMessage);
    else if (intid >= Gic::kInputs) [[unlikely]]
        return;                   // it was withdrawn before we asked, and is not to be ended
    else if (intid != Gic::kWake) // which has done its work by ending the halt
        kernel_interrupt(interrupt_vectors.of_intid[intid]);
    // The handler has acknowledged its device: that must arrive before the controller looks at the line again.
    asm volatile("dsb sy" : : : "memory");
    gic.end(acknowledged);
}
