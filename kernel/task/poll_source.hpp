// Something that poll() can wait for besides sockets: a console, a channel. Whoever owns the data owns the source and calls notify()
// after every change that may make it readable or writable; poll() brings a waiter that lives on its own stack. Task context only.
//
//     received.push(byte);
//     source.notify();
#pragma once

#include <cstdint>

#include "kernel/task/list.hpp"
#include "kernel/task/semaphore.hpp"

namespace kernel {

struct PollWaiter : ListNode<PollWaiter> {
    Semaphore* semaphore = nullptr;
    bool notified = false; // the semaphore was released once for this waiter
};

class PollSource {
public:
    constexpr PollSource() noexcept = default;
    /// For something that nobody announces: whoever polls looks again after this many nanoseconds.
    constexpr explicit PollSource(std::uint64_t look_every_ns) noexcept : look_every_ns_(look_every_ns) {}
    [[nodiscard]] std::uint64_t look_every_ns() const noexcept { return look_every_ns_; }

    void add(PollWaiter& waiter) noexcept { waiters_.push_back(waiter); }
    void remove(PollWaiter& waiter) noexcept { waiters_.remove(waiter); }
    void notify() noexcept {
        for (PollWaiter* waiter = waiters_.front(); waiter != nullptr; waiter = List<PollWaiter>::next(*waiter)) notify(*waiter);
    }

private:
    static void notify(PollWaiter& waiter) noexcept {
        if (waiter.notified) return;
        waiter.notified = true;
        waiter.semaphore->release();
    }

    List<PollWaiter> waiters_;
    std::uint64_t look_every_ns_ = 0;
};

} // namespace kernel
