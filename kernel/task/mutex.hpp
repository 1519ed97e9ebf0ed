// Locks between tasks of all processors: Mutex (not recursive), RecursiveMutex (what the C library wants), MutexLock (scoped). Task context;
// a lock may be held while its owner waits for something else. Whoever owns the data owns the lock. Unlocking hands the lock to the
// task that waits longest, so that a busy task cannot starve the others.
//
//     kernel::MutexLock lock(table_mutex);
#pragma once

#include <atomic>
#include <cstdint>

#include "kernel/task/waiters.hpp"

namespace kernel {

class Mutex {
public:
    constexpr Mutex() noexcept = default;
    Mutex(const Mutex&) = delete;
    Mutex& operator=(const Mutex&) = delete;

    void lock();
    /// False if the deadline passed first.
    [[nodiscard]] bool lock_until(std::uint64_t deadline_ns);
    [[nodiscard]] bool try_lock() noexcept;
    void unlock();
    [[nodiscard]] bool held_by_me() const noexcept { return owner_.load(std::memory_order_relaxed) == &current_task(); }

private:
    SpinLock spin_;
    std::atomic<Task*> owner_{nullptr}; // written with the spin lock held
    Waiters waiters_;
};

class RecursiveMutex {
public:
    constexpr RecursiveMutex() noexcept = default;

    void lock();
    [[nodiscard]] bool try_lock() noexcept;
    void unlock();

private:
    Mutex mutex_;
    std::uint32_t depth_ = 0;
};

class MutexLock {
public:
    explicit MutexLock(Mutex& mutex) : mutex_(mutex) { mutex_.lock(); }
    ~MutexLock() { mutex_.unlock(); }
    MutexLock(const MutexLock&) = delete;
    MutexLock& operator=(const MutexLock&) = delete;

private:
    Mutex& mutex_;
};

} // namespace kernel
