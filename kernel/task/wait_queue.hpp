// Where tasks wait for something that another task does. For task context only: an interrupt handler sets a word and calls
// wake_hint() instead (kernel/task/task.hpp, wait_for). Whoever owns the condition owns the queue; it must outlive its waiters.
// Tasks are cooperative, so nothing happens between the test of a condition and wait(): no lost wake-up.
//
//     while (buffer.empty()) {
//         if (!readable.wait(deadline)) return virtio::fail(virtio::Error::timeout);
//     }
#pragma once

#include <cstdint>

#include "kernel/task/list.hpp"
#include "kernel/task/task.hpp"

namespace kernel {

class WaitQueue {
public:
    constexpr WaitQueue() noexcept = default;

    /// Waits for a wake-up (true) or the deadline (false). Waiters are woken in the order of their coming.
    [[nodiscard]] bool wait(std::uint64_t deadline_ns = kNever);
    /// The task that waited longest, now ready; null if nobody waits.
    Task* wake_one() noexcept;
    void wake_all() noexcept;
    [[nodiscard]] bool has_waiters() const noexcept { return !waiters_.empty(); }

private:
    friend class Scheduler;
    List<Task> waiters_;
};

} // namespace kernel
