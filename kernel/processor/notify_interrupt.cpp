// Compiled with general registers only: interrupt handlers call this.
#include "arch/processors.hpp"
#include "kernel/processor/processor.hpp"

namespace kernel {

constinit Processor processors::boot;

void Processor::notify() noexcept {
    scheduler.hint();
    // Either it has seen the hint before it halted, or we see that it is about to: both sides write first and look then.
    if (scheduler.halting() && this != &this_processor()) arch::wake_processor(id);
}

} // namespace kernel
