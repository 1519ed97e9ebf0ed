// A lock between processors, for a handful of instructions: whoever holds it neither waits nor is switched away (tasks are cooperative), so
// that nobody spins for long. Interrupt handlers never take one. For longer there is Mutex.
//
//     const kernel::SpinGuard held(lock_);
#pragma once

#include <atomic>
#include <cstdint>

#include <ringside/arch/io.hpp>

namespace kernel {

class SpinLock {
public:
    constexpr SpinLock() noexcept = default;
    SpinLock(const SpinLock&) = delete;
    SpinLock& operator=(const SpinLock&) = delete;

    void lock() noexcept {
        while (held_.exchange(1, std::memory_order_acquire) != 0) [[unlikely]]
            while (held_.load(std::memory_order_relaxed) != 0) arch::relax();
    }
    void unlock() noexcept { held_.store(0, std::memory_order_release); }

private:
    std::atomic<std::uint32_t> held_{0}; // a word: not every processor exchanges bytes
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
