// The timer's interrupt ends a halt; the idle loop looks at the clock itself, so there is nothing else to do.
#include "kernel/time/timer_interrupt.hpp"

#include "kernel/processor/processor.hpp"

namespace kernel::timer {

void on_expiry(void*) { this_processor().timer.idle.store(1, std::memory_order_release); }
void on_calibration(void* context) { static_cast<std::atomic<std::uint32_t>*>(context)->store(1, std::memory_order_release); }

} // namespace kernel::timer
