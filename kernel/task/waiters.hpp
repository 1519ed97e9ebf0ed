// Tasks that wait for something that a task of any processor may bring: what Mutex, Semaphore and Mailbox are made of. Whoever owns the
// condition owns a SpinLock and the Waiters; both calls are made with the lock held, so that nothing comes between a test and the wait.
//
//     const SpinGuard held(lock_);
//     while (count_ == 0)
//         if (!waiters_.wait(lock_, deadline)) return false;
#pragma once

#include <cstdint>

#include "kernel/processor/spin_lock.hpp"
#include "kernel/task/list.hpp"
#include "kernel/task/task.hpp"

namespace kernel {

class Waiters {
public:
    constexpr Waiters() noexcept = default;

    /// Lets go of the lock while asleep. True: woken; false: the deadline came first.
    [[nodiscard]] bool wait(SpinLock& held, std::uint64_t deadline_ns);
    /// The task that has waited longest, now ready; null if nobody waits.
    Task* wake_one() noexcept;
    void wake_all() noexcept {
        while (wake_one() != nullptr) {
        }
    }

private:
    List<SharedWait> list_;
};

} // namespace kernel
