// A counting semaphore between tasks of all processors. For task context only: an interrupt handler sets a word and calls wake_hint() instead.
// The owner must keep it alive while somebody waits.
//
//     kernel::Semaphore room(8);
//     if (!room.acquire(deadline)) return timed_out();
#pragma once

#include <cstdint>

#include "kernel/task/waiters.hpp"

namespace kernel {

class Semaphore {
public:
    constexpr explicit Semaphore(std::uint32_t count = 0) noexcept : count_(count) {}
    Semaphore(const Semaphore&) = delete;
    Semaphore& operator=(const Semaphore&) = delete;

    /// Takes one; false if the deadline passed first.
    [[nodiscard]] bool acquire(std::uint64_t deadline_ns = kNever);
    [[nodiscard]] bool try_acquire() noexcept;
    void release() noexcept;
    [[nodiscard]] std::uint32_t count() const noexcept;

private:
    mutable SpinLock spin_;
    std::uint32_t count_;
    Waiters waiters_;
};

} // namespace kernel
