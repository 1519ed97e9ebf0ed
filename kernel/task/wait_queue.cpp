#include "kernel/task/wait_queue.hpp"

#include "kernel/processor/processor.hpp"

namespace kernel {

bool WaitQueue::wait(std::uint64_t deadline_ns) { return scheduler().wait_in(&waiters_, deadline_ns); }

Task* WaitQueue::wake_one() noexcept {
    Task* task = waiters_.front();
    if (task != nullptr) scheduler().make_ready(*task);
    return task;
}

void WaitQueue::wake_all() noexcept {
    while (wake_one() != nullptr) {
    }
}

} // namespace kernel
