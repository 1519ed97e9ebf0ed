#include "kernel/task/semaphore.hpp"

namespace kernel {

bool Semaphore::acquire(std::uint64_t deadline_ns) {
    const SpinGuard held(spin_);
    if (count_ == 0) return waiters_.wait(spin_, deadline_ns); // release() handed its one over
    --count_;
    return true;
}

bool Semaphore::try_acquire() noexcept {
    const SpinGuard held(spin_);
    if (count_ == 0) return false;
    --count_;
    return true;
}

void Semaphore::release() noexcept {
    const SpinGuard held(spin_);
    if (waiters_.wake_one() == nullptr) ++count_;
}

std::uint32_t Semaphore::count() const noexcept {
    const SpinGuard held(spin_);
    return count_;
}

} // namespace kernel
