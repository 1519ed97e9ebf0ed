// Inside kernel/time only: the handler of the timer's and of the calibration's interrupt.
#pragma once

#include <atomic>
#include <cstdint>

namespace kernel::timer {

/// `context` is a std::atomic<std::uint32_t> that becomes 1. Interrupt context.
void on_expiry(void* context);

} // namespace kernel::timer
