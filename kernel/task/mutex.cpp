#include "kernel/task/mutex.hpp"

#include "kernel/panic/panic.hpp"

namespace kernel {

void Mutex::lock() {
    while (!lock_until(kNever)) {
    }
}

bool Mutex::lock_until(std::uint64_t deadline_ns) {
    if (try_lock()) return true;
    if (held_by_me()) panic("task '%s' locks a mutex that it holds", current_task().name());
    return waiters_.wait(deadline_ns); // unlock() made us the owner, unless the deadline came first
}

bool Mutex::try_lock() noexcept {
    if (owner_ != nullptr) return false;
    owner_ = &current_task();
    return true;
}

void Mutex::unlock() {
    if (!held_by_me()) panic("task '%s' unlocks a mutex that it does not hold", current_task().name());
    owner_ = waiters_.wake_one();
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
