// The insides of kernel/task: for each processor one object that knows which task runs there, which could, and what the others wait for.
// Everybody else uses task.hpp and wait_queue.hpp. Task context of its own processor only, but for what says otherwise. A task is in at most one of the lists: ready, waiting on a word, or a WaitQueue's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel/task/task.hpp"
#include "kernel/task/wait_queue.hpp"

namespace kernel {

class Scheduler {
public:
    constexpr Scheduler() noexcept = default;

    [[nodiscard]] Task& current() noexcept { return *current_; }
    /// The caller, on its own stack, becomes the first task; `processor` counts them from 0.
    void start(unsigned processor, struct _reent* reent);

    virtio::Result<Task*> spawn(const char* name, TaskEntry entry, void* argument, std::size_t stack_bytes, TaskLifetime lifetime);
    void join(Task& task);
    [[noreturn]] void exit();
    void yield();

    /// Sleeps in `waiters` (or nowhere) until made ready; false if the deadline came first.
    bool wait_in(List<Task>* waiters, std::uint64_t deadline);
    bool wait_for_word(const std::atomic<std::uint32_t>& word, std::uint64_t deadline);
    /// The task may be another processor's.
    void make_ready(Task& task) noexcept;
    /// A wake of the running task that is still on its way from another processor is taken now.
    void forget_wake() noexcept;

    /// "A word may have become non-zero, or a task ready": any context, any processor.
    void hint() noexcept { hints_.fetch_add(1, std::memory_order_seq_cst); }
    /// How many there were. Any context.
    [[nodiscard]] std::uint32_t hints() const noexcept { return hints_.load(std::memory_order_relaxed); }
    /// Whether it halts or is about to, and has to be woken. Any context, any processor; after hint().
    [[nodiscard]] bool halting() const noexcept { return halting_.load(std::memory_order_seq_cst); }

    void before_idle(BeforeIdle& what) noexcept {
        if (!what.listed()) before_idle_.push_back(what);
    }
    [[nodiscard]] bool others_ready() const noexcept { return !ready_.empty(); }

    void for_each(void (*visit)(const Task&, void*), void* context);
    [[nodiscard]] TaskStatistics statistics() const noexcept;

    /// Called (in the context of whichever task just went to sleep) whenever no task is ready, before the processor halts.
    void set_idle_hook(void (*hook)()) noexcept { idle_hook_ = hook; }

private:
    static constexpr std::size_t kCachedStacks = 16;

    [[noreturn]] static void first_steps(void* task);
    void switch_away();
    Task& pick();
    [[nodiscard]] bool hinted() const noexcept;
    void wake_words() noexcept;
    void run_before_idle() noexcept;
    /// Nobody else writes it, others read it.
    void count_overlooked() noexcept { overlooked_.store(overlooked_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }
    [[nodiscard]] bool halt_for(const std::atomic<std::uint32_t>& word, std::uint64_t deadline);
    void wake_expired() noexcept;
    void idle();
    void reap();
    virtio::Result<void*> take_block(std::size_t pages);
    void give_block(void* block, std::size_t pages);

    static constexpr std::uint32_t kIdsOfOne = 1u << 24; // task ids of one processor

    void put_woken(Task& task) noexcept; // from any processor
    void take_woken() noexcept;

    Task boot_task_;
    Task* current_ = &boot_task_;
    List<Task> ready_;
    List<Task> words_;
    List<BeforeIdle> before_idle_;
    DeadlineHeap<Task> deadlines_;
    Task* dead_ = nullptr; // ended, detached, still on its own stack until the switch
    Task* first_ = nullptr;
    Task* last_ = nullptr;
    void* cached_ = nullptr; // blocks of the default size, linked through their first stack page
    std::size_t cached_count_ = 0;
    std::size_t tasks_ = 0;
    std::uint32_t next_id_ = 0;
    std::uint64_t switched_at_ = 0; // of busy_ns()
    std::uint64_t switches_ = 0;
    std::uint64_t wakeups_ = 0;
    std::atomic<std::uint64_t> overlooked_{0};
    std::atomic<std::uint32_t> hints_{0};
    std::atomic<bool> halting_{false};
    std::atomic<Task*> woken_{nullptr};                      // by other processors, newest first
    std::uint32_t hints_seen_ = 0;                           // hints that the words were looked at for
    const std::atomic<std::uint32_t>* halted_for_ = nullptr; // the word whose hint ended the last halt_for()
    bool timer_armed_ = false;
    void (*idle_hook_)() = nullptr;
};

} // namespace kernel
