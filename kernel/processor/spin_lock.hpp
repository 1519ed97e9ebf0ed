// A lock between processors, for a handful of instructions: whoever holds it neither waits nor is switched away (tasks are cooperative), so
// that nobody spins for long. Interrupt handlers never take one. For longer there is Mutex.
//
//     const kernel::SpinGuard held(lock_);
#pragma once

#include <atomic>

#include <ringside/arch/io.hpp>

namespace kernel {

class SpinLock {
public:
    constexpr SpinLock() noexcept = default;
    SpinLock(const SpinLock&) = delete;
    SpinLock& operator=(const SpinLock&) = delete;

    void lock() noexcept {
        while (held_.exchange(true, std::memory_order_acquire)) [[unlikely]]
            while (held_.load(std::memory_order_relaxed)) arch::relax();
    }
    void unlock() noexcept { held_.store(false, std::memory_order_release); }

private:
    std::atomic<bool> held_{false};
};

class [[nodiscard]] SpinGuard {
public:
    explicit SpinGuard(SpinLock& lock) noexcept : lock_(lock) { lock_.lock(); }
    ~SpinGuard() { lock_.unlock(); }
    SpinGuard(const SpinGuard&) = delete;
    SpinGuard& operator=(const SpinGuard&) = delete;

private:
    SpinLock& lock_;
};

} // namespace kernel
