// What another processor does for itself, as far as both ARM processors do it alike. (What starts it is arch/NAME/processors.cpp's.)
#include "arch/processors.hpp"

#include "arch/arm/interrupt_vectors.hpp"
#include "arch/timer.hpp"

namespace arch {

void start_interrupts_here() noexcept {
    // Without its part it hears nothing, and whoever waits for it gives it up.
    static_cast<void>(interrupt_vectors.gic->start_here());
}

void start_timer_here(std::uint32_t) noexcept {
    stop_timer();
    // The same input on every processor, so the same vector.
    static_cast<void>(interrupt_vectors.gic->enable(interrupt_vectors.timer, Trigger::level));
}

} // namespace arch
