// Compiled with general registers only: interrupt handlers call this.
#include "kernel/task/scheduler.hpp"

namespace kernel {

constinit std::atomic<std::uint32_t> wake_flag{0};

void wake_hint() noexcept { wake_flag.store(1, std::memory_order_release); }

} // namespace kernel
