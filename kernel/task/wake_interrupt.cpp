// Compiled with general registers only: interrupt handlers call this.
#include "kernel/processor/processor.hpp"

namespace kernel {

void wake_hint() noexcept { this_processor().scheduler.hint(); }

} // namespace kernel
