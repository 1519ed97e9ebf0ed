// What the scheduler stands on, for tests on the host: a clock that only moves while the processor halts, one timer, interrupts that
// the test schedules, pages that are counted, and a task switch by ucontext. One machine per test program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace fake {

struct Machine {
    std::uint64_t now = 1000;
    std::uint64_t timer = ~std::uint64_t{0};
    std::uint64_t halts = 0;
    std::uint64_t halted = 0; // nanoseconds
    std::size_t pages_out = 0;
    std::size_t pages_limit = 100'000;
    std::size_t guards = 0;
    bool interrupts_enabled = true;

    /// Runs in "interrupt context" when the clock reaches `when` while the processor halts.
    void interrupt_at(std::uint64_t when, std::function<void()> handler);
    /// Runs the next time interrupts are switched off, just before they are: the last moment at which one can come in.
    std::function<void()> before_disable;
};

Machine& machine();

} // namespace fake
