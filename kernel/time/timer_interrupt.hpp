// Inside kernel/time only: the handlers of the timer's and of the calibration's interrupt. Interrupt context.
#pragma once

#include <atomic>
#include <cstdint>

namespace kernel::timer {

/// Notes that this processor's timer has run down.
void on_expiry(void*);
/// `context` is a std::atomic<std::uint32_t> that becomes 1.
void on_calibration(void* context);

} // namespace kernel::timer
