// Cooperative tasks: each runs until it waits, yields or ends, and stays on the processor on which it was spawned (kernel/processor). A task's stack, its control block and its
// C library state are one run of pages with an unmapped guard page below, so that spawning needs no heap and an overflow faults.
// Everything here is for task context (never for interrupt handlers), except wake_hint(). The scheduler owns every Task; a Task*
// stays valid until the task has ended, and, if it was spawned joinable, until it has been joined.
//
//     auto task = kernel::spawn("poller", [](void* queue) { static_cast<Queue*>(queue)->run(); }, &queue);
//     if (!task) return std::unexpected(task.error());                     // out of memory
//     kernel::sleep_until(kernel::now_ns() + 1'000'000);                   // other tasks run meanwhile
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <machine/context.hpp>

#include "kernel/task/deadline_heap.hpp"
#include "kernel/task/list.hpp"
#include "kernel/time/clock.hpp"
#include "libvirtio/base.hpp"

struct _reent; // newlib's per-task state: errno, strtok, rand, ...

namespace kernel {

class Processor;
class WaitQueue;

inline constexpr std::size_t kDefaultStackBytes = 64 * 1024;

enum class TaskState : std::uint8_t { ready, running, waiting, finished };

/// Who gives the stack back: the scheduler as soon as the task ends, or whoever joins it.
enum class TaskLifetime : std::uint8_t { detached, joinable };

using TaskEntry = void (*)(void* argument);

/// Something that belongs to a task and goes when it ends: release(value) is called in the task itself.
struct TaskLocal {
    void* value = nullptr;
    void (*release)(void* value) = nullptr;
    alignas(16) std::byte storage[64] = {}; // for the value, if it fits: using it cannot run out of memory
};

class Task;

/// A task's place among Waiters (waiters.hpp), guarded by their lock; it is in line once at most.
struct SharedWait : ListNode<SharedWait> {
    Task* task = nullptr;
    bool woken = false;
};

class Task : public ListNode<Task>, public DeadlineNode<Task> {
public:
    [[nodiscard]] const char* name() const noexcept { return name_; }
    [[nodiscard]] std::uint32_t id() const noexcept { return id_; }
    [[nodiscard]] TaskState state() const noexcept { return state_; }
    [[nodiscard]] std::size_t stack_bytes() const noexcept { return stack_bytes_; }
    /// Processor time used so far, in nanoseconds.
    [[nodiscard]] std::uint64_t run_ns() const noexcept { return run_ns_; }
    /// How often the task was switched to.
    [[nodiscard]] std::uint64_t switches() const noexcept { return switches_; }
    [[nodiscard]] struct _reent* reent() const noexcept { return reent_; }

    /// For the network stack; empty until its first use.
    TaskLocal network_local;

    constexpr Task() noexcept = default;
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;

private:
    friend class Scheduler;
    friend class WaitQueue;
    friend class Waiters;
    friend void join(Task& task);

    arch::Context context_{};
    struct _reent* reent_ = nullptr;
    char name_[24] = {};
    std::uint32_t id_ = 0;
    TaskState state_ = TaskState::ready;
    TaskLifetime lifetime_ = TaskLifetime::detached;
    bool timed_out_ = false;
    const std::atomic<std::uint32_t>* word_ = nullptr; // what wait_for() waits on
    TaskEntry entry_ = nullptr;
    void* argument_ = nullptr;
    void* block_ = nullptr; // guard page, stack, this object: one run of pages
    std::size_t block_pages_ = 0;
    std::size_t stack_bytes_ = 0;
    Task* joiner_ = nullptr;
    Processor* processor_ = nullptr;
    std::atomic<std::uint32_t> woken_from_afar_{0}; // stands in its scheduler's list of those
    Task* woken_next_ = nullptr;
    SharedWait shared_wait_;
    Task* all_next_ = nullptr;
    Task* all_previous_ = nullptr;
    std::uint64_t run_ns_ = 0;
    std::uint64_t switches_ = 0;
};

/// Starts a task; it first runs when the caller waits or yields. The name is copied (23 characters).
/// Errors: out_of_memory.
virtio::Result<Task*> spawn(const char* name, TaskEntry entry, void* argument, std::size_t stack_bytes = kDefaultStackBytes,
                            TaskLifetime lifetime = TaskLifetime::detached);

/// Waits for a joinable task to end, then frees it: the reference is dead afterwards. Only one task may join another.
void join(Task& task);

/// Ends the calling task, as returning from its entry function does.
[[noreturn]] void exit_task();

[[nodiscard]] Task& current_task() noexcept;

/// Lets every other ready task run once.
void yield();

/// Sleeps; a deadline in the past is a yield(). Time is now_ns()'s.
void sleep_until(std::uint64_t deadline_ns);

/// Sleeps until `word` is not zero (true) or the deadline has passed (false). This is how a device's interrupt wakes a task:
/// the handler sets the word and calls wake_hint(). Who sets a word on another processor calls notify() of the waiter's
/// (kernel/processor). The word is not cleared here.
[[nodiscard]] bool wait_for(const std::atomic<std::uint32_t>& word, std::uint64_t deadline_ns = kNever);

/// "A word may have become non-zero": makes this processor's scheduler look at the words again. Once for each word that was set. Safe in an
/// interrupt handler: it counts, touches no list and uses general registers only.
void wake_hint() noexcept;

/// Something that may wait until no task can run: what is put in line is called once, before the processor halts. It must not wait.
struct BeforeIdle : ListNode<BeforeIdle> {
    void (*run)(BeforeIdle& me) noexcept = nullptr;
};
/// Task context; whoever is in line already stays there.
void before_idle(BeforeIdle& what) noexcept;
/// Whether another task could run now.
[[nodiscard]] bool others_ready() noexcept;

/// Calls visit(const Task&, context) for every task of this processor that has not ended, oldest first. The visitor must not wait.
void for_each_task(void (*visit)(const Task& task, void* context), void* context);

struct TaskStatistics {
    std::size_t tasks;         // alive, with the boot task
    std::size_t cached_stacks; // kept for the next spawn
    std::uint64_t switches;
    std::uint64_t idle_ns; // time halted
    std::uint64_t wakeups; // times the processor left its halt
    // Words that were set, and nobody said so: their task slept on until something else woke it. Zero, unless somebody forgets a wake-up, or
    // was interrupted right before it while that something else came.
    std::uint64_t overlooked;
};
[[nodiscard]] TaskStatistics task_statistics() noexcept; // of this processor

/// Makes the caller (the boot code, on its own stack) the first task. Call once, after memory and time are up.
void start_tasks();

/// A hook that is called every 100 ms, by a task of its own, while at least one watch_begin() has no watch_end() yet: the place
/// where drivers look for completions whose interrupt never came. Hooks must not block. Errors: out_of_memory (8 hooks).
virtio::Result<> register_watchdog(void (*hook)(void*), void* context);
void unregister_watchdog(void (*hook)(void*), void* context);
inline constexpr std::uint64_t kWatchdogPeriodNs = 100'000'000;
void watch_begin() noexcept;
void watch_end() noexcept;

} // namespace kernel
