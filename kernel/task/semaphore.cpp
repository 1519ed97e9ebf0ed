#include "kernel/task/semaphore.hpp"

namespace kernel {

bool Semaphore::acquire(std::uint64_t deadline_ns) {
    if (try_acquire()) return true;
    return waiters_.wait(deadline_ns); // release() handed its one over
}

bool Semaphore::try_acquire() noexcept {
    if (count_ == 0) return false;
    --count_;
    return true;
}

void Semaphore::release() noexcept {
    if (waiters_.wake_one() == nullptr) ++count_;
}

} // namespace kernel
