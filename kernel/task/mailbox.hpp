// A bounded queue of pointers between tasks of all processors, first in, first out: what lwIP calls a mailbox. For task context only. The memory of
// the slots is the caller's and must live as long as the mailbox; the pointers are passed on, never owned.
//
//     static void* slots[16];
//     kernel::Mailbox box(slots);
//     box.post(message);                         // waits for room
//     void* received = nullptr;
//     if (!box.fetch(received, deadline)) return;
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel/task/waiters.hpp"

namespace kernel {

class Mailbox {
public:
    constexpr explicit Mailbox(std::span<void*> slots) noexcept : slots_(slots) {}
    Mailbox(const Mailbox&) = delete;
    Mailbox& operator=(const Mailbox&) = delete;

    /// Waits for room; false if the deadline passed first.
    bool post(void* message, std::uint64_t deadline_ns = kNever);
    [[nodiscard]] bool try_post(void* message) noexcept;
    /// Waits for a message; false if the deadline passed first.
    [[nodiscard]] bool fetch(void*& message, std::uint64_t deadline_ns = kNever);
    [[nodiscard]] bool try_fetch(void*& message) noexcept;
    /// Wakes every task that waits in fetch() without a message: it returns false, as at its deadline.
    void interrupt() noexcept;
    [[nodiscard]] std::size_t size() const noexcept;

private:
    // With the spin lock held.
    [[nodiscard]] bool put(void* message) noexcept;
    [[nodiscard]] bool take(void*& message) noexcept;

    mutable SpinLock spin_;
    std::span<void*> slots_;
    std::size_t first_ = 0;
    std::size_t count_ = 0;
    std::uint32_t interruptions_ = 0;
    Waiters readable_;
    Waiters writable_;
};

} // namespace kernel
