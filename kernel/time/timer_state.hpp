// Inside kernel/time and kernel/processor only: what each processor's timer is doing.
#pragma once

#include <atomic>
#include <cstdint>

namespace kernel::timer {

struct State {
    std::atomic<std::uint32_t> idle{1}; ///< 1 while no deadline is armed: none was, or it has passed
    std::uint64_t armed_deadline = ~std::uint64_t{0};
};

} // namespace kernel::timer
