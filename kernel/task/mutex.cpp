#include "kernel/task/mutex.hpp"

#include "kernel/panic/panic.hpp"

namespace kernel {

void Mutex::lock() {
    while (!lock_until(kNever)) {
    }
}

bool Mutex::lock_until(std::uint64_t deadline_ns) {
    const SpinGuard held(spin_);
    Task& me = current_task();
    Task* const owner = owner_.load(std::memory_order_relaxed);
    if (owner == nullptr) {
        owner_.store(&me, std::memory_order_relaxed);
        return true;
    }
    if (owner == &me) panic("task '%s' locks a mutex that it holds", me.name());
    return waiters_.wait(spin_, deadline_ns); // unlock() made us the owner, unless the deadline came first
}

bool Mutex::try_lock() noexcept {
    const SpinGuard held(spin_);
    if (owner_.load(std::memory_order_relaxed) != nullptr) return false;
    owner_.store(&current_task(), std::memory_order_relaxed);
    return true;
}

void Mutex::unlock() {
    if (!held_by_me()) panic("task '%s' unlocks a mutex that it does not hold", current_task().name());
    const SpinGuard held(spin_);
    owner_.store(waiters_.wake_one(), std::memory_order_relaxed);
}

void RecursiveMutex::lock() {
    if (!mutex_.held_by_me()) mutex_.lock();
    ++depth_;
}

bool RecursiveMutex::try_lock() noexcept {
    if (!mutex_.held_by_me() && !mutex_.try_lock()) return false;
    ++depth_;
    return true;
}

void RecursiveMutex::unlock() {
    if (!mutex_.held_by_me()) panic("task '%s' unlocks a mutex that it does not hold", current_task().name());
    if (--depth_ == 0) mutex_.unlock();
}

} // namespace kernel
