#include "kernel/task/waiters.hpp"

#include "kernel/processor/processor.hpp"

namespace kernel {

bool Waiters::wait(SpinLock& held, std::uint64_t deadline_ns) {
    Task& task = current_task();
    SharedWait& me = task.shared_wait_;
    me.task = &task;
    me.woken = false;
    list_.push_back(me);
    bool in_time = true;
    while (!me.woken && in_time) {
        held.unlock();
        in_time = scheduler().wait_in(nullptr, deadline_ns);
        held.lock();
    }
    if (me.woken)
        scheduler().forget_wake(); // one that came from afar when the deadline had: it must not end another wait
    else
        list_.remove(me);
    return me.woken;
}

Task* Waiters::wake_one() noexcept {
    SharedWait* const first = list_.pop_front();
    if (first == nullptr) return nullptr;
    Task& task = *first->task;
    first->woken = true;
    scheduler().make_ready(task);
    return &task;
}

} // namespace kernel
