// Compiled with general registers only: interrupt handlers call this.
#include "kernel/task/scheduler.hpp"

namespace kernel {

constinit std::atomic<std::uint32_t> wake_hints{0};

void wake_hint() noexcept { wake_hints.fetch_add(1, std::memory_order_release); }

} // namespace kernel
