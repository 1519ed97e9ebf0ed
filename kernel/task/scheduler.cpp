#include "kernel/task/scheduler.hpp"

#include <cstring>
#include <new>

#include "kernel/interrupt/interrupts.hpp"
#include "kernel/memory/address_space.hpp"
#include "kernel/memory/pages.hpp"
#include "kernel/newlib/reent.hpp"
#include "kernel/panic/panic.hpp"
#include "kernel/processor/processor.hpp"

namespace kernel {

namespace {

std::byte* at(void* block, std::size_t offset) noexcept { return static_cast<std::byte*>(block) + offset; }

constexpr std::size_t kTaskBytes = virtio::align_up(sizeof(Task), std::size_t{64});

/// What stands above the stack: C library state, then the Task.
std::size_t control_bytes() noexcept { return virtio::align_up(reent_bytes(), std::size_t{64}) + kTaskBytes; }

std::size_t block_pages(std::size_t stack_bytes) noexcept { return 1 + (stack_bytes + control_bytes() + kPageSize - 1) / kPageSize; }

} // namespace

void Scheduler::start(unsigned processor, struct _reent* reent) {
    std::strcpy(boot_task_.name_, processor == 0 ? "boot" : "calls");
    boot_task_.processor_ = &this_processor();
    boot_task_.state_ = TaskState::running;
    boot_task_.reent_ = reent;
    first_ = last_ = &boot_task_;
    tasks_ = 1;
    boot_task_.id_ = processor * kIdsOfOne;
    next_id_ = boot_task_.id_ + 1;
    switched_at_ = busy_ns();
}

// Blocks: [guard page][stack ...][reent][Task]. Kept ones have their guard set up already.

virtio::Result<void*> Scheduler::take_block(std::size_t pages) {
    if (cached_ != nullptr && pages == block_pages(kDefaultStackBytes)) {
        void* block = cached_;
        std::memcpy(&cached_, at(block, kPageSize), sizeof cached_);
        --cached_count_;
        return block;
    }
    auto block = allocate_pages(pages);
    if (!block) return block;
    if (auto guarded = protect(*block, 1, Protection::none); !guarded) {
        free_pages(*block, pages);
        return virtio::fail(guarded.error());
    }
    return block;
}

void Scheduler::give_block(void* block, std::size_t pages) {
    if (cached_count_ < kCachedStacks && pages == block_pages(kDefaultStackBytes)) {
        std::memcpy(at(block, kPageSize), &cached_, sizeof cached_);
        cached_ = block;
        ++cached_count_;
        return;
    }
    if (!protect(block, 1, Protection::read_write)) panic("the guard page at %p cannot be given back", block);
    free_pages(block, pages);
}

virtio::Result<Task*> Scheduler::spawn(const char* name, TaskEntry entry, void* argument, std::size_t stack_bytes, TaskLifetime lifetime) {
    const std::size_t pages = block_pages(stack_bytes);
    auto block = take_block(pages);
    if (!block) return virtio::fail(block.error());
    std::byte* control = at(*block, pages * kPageSize - control_bytes());
    Task* task = new (at(*block, pages * kPageSize - kTaskBytes)) Task;
    task->reent_ = initialize_reent(control);
    task->processor_ = &this_processor();
    std::strncpy(task->name_, name, sizeof task->name_ - 1);
    task->id_ = next_id_++;
    task->lifetime_ = lifetime;
    task->entry_ = entry;
    task->argument_ = argument;
    task->block_ = *block;
    task->block_pages_ = pages;
    task->stack_bytes_ = static_cast<std::size_t>(control - at(*block, kPageSize));
    name_guard_page(*block, task->name_);
    arch::make_context(task->context_, control, first_steps, task);

    task->all_previous_ = last_;
    (last_ != nullptr ? last_->all_next_ : first_) = task;
    last_ = task;
    ++tasks_;
    ready_.push_back(*task);
    return task;
}

void Scheduler::first_steps(void* argument) {
    Task& task = *static_cast<Task*>(argument);
    scheduler().reap();
    task.entry_(task.argument_);
    scheduler().exit();
}

void Scheduler::exit() {
    Task& me = *current_;
    if (&me == &boot_task_) panic("the boot task must not end");
    if (me.network_local.value != nullptr) me.network_local.release(me.network_local.value);
    release_reent(me.reent_); // may wait for malloc's lock
    (me.all_previous_ != nullptr ? me.all_previous_->all_next_ : first_) = me.all_next_;
    (me.all_next_ != nullptr ? me.all_next_->all_previous_ : last_) = me.all_previous_;
    --tasks_;
    me.state_ = TaskState::finished;
    if (me.lifetime_ == TaskLifetime::detached) {
        dead_ = &me;
    } else if (me.joiner_ != nullptr) {
        make_ready(*me.joiner_);
    }
    switch_away();
    panic("an ended task was switched to");
}

void Scheduler::join(Task& task) {
    if (task.lifetime_ != TaskLifetime::joinable || task.joiner_ != nullptr) panic("task '%s' cannot be joined", task.name_);
    task.joiner_ = current_;
    while (task.state_ != TaskState::finished) {
        if (!wait_in(nullptr, kNever)) continue;
    }
    name_guard_page(task.block_, nullptr);
    give_block(task.block_, task.block_pages_);
}

/// Runs first thing after every switch: the stack that was left for good can go now.
void Scheduler::reap() {
    Task* gone = dead_;
    if (gone == nullptr) return;
    dead_ = nullptr;
    name_guard_page(gone->block_, nullptr);
    give_block(gone->block_, gone->block_pages_);
}

void Scheduler::yield() {
    current_->state_ = TaskState::ready;
    ready_.push_back(*current_);
    switch_away();
}

bool Scheduler::wait_in(List<Task>* waiters, std::uint64_t deadline) {
    Task& me = *current_;
    me.state_ = TaskState::waiting;
    me.timed_out_ = false;
    if (waiters != nullptr) waiters->push_back(me);
    if (deadline != kNever) deadlines_.insert(me, deadline);
    switch_away();
    return !me.timed_out_;
}

bool Scheduler::wait_for_word(const std::atomic<std::uint32_t>& word, std::uint64_t deadline) {
    if (word.load(std::memory_order_acquire) != 0) return true;
    if (ready_.empty() && halt_for(word, deadline)) return true;
    current_->word_ = &word;
    (void)wait_in(&words_, deadline);
    return word.load(std::memory_order_acquire) != 0;
}

/// Nobody else can run: halts under the task itself, without lists and switches. True if its word is set; anything else that happens
/// (a hint for another word, a deadline) is left to the long way.
bool Scheduler::halt_for(const std::atomic<std::uint32_t>& word, std::uint64_t deadline) {
    constexpr std::uint64_t kLookAround = 64;
    run_before_idle();
    disable_interrupts();
    // The one hint since the last look ended the last halt here: it was for the same word, and that has been taken meanwhile. So there
    // is nobody else to be woken.
    halting_.store(true, std::memory_order_seq_cst);
    const std::uint32_t hints = hints_.load(std::memory_order_seq_cst);
    if (hints == hints_seen_ + 1 && halted_for_ == &word && word.load(std::memory_order_acquire) == 0 &&
        woken_.load(std::memory_order_acquire) == nullptr)
        hints_seen_ = hints;
    halted_for_ = nullptr;
    if (hints != hints_seen_ || word.load(std::memory_order_acquire) != 0 || !ready_.empty() || wakeups_ % kLookAround == 0) {
        halting_.store(false, std::memory_order_relaxed);
        enable_interrupts();
        return word.load(std::memory_order_acquire) != 0;
    }
    const std::uint64_t others = deadlines_.earliest();
    const std::uint64_t earliest = deadline < others ? deadline : others;
    if (earliest != kNever || timer_armed_) arm_timer(earliest);
    timer_armed_ = earliest != kNever;
    enable_and_halt();
    halting_.store(false, std::memory_order_relaxed);
    ++wakeups_;
    if (word.load(std::memory_order_acquire) == 0) return false;
    if (hints_.load(std::memory_order_acquire) == hints) count_overlooked();
    halted_for_ = &word;
    return true;
}

void Scheduler::make_ready(Task& task) noexcept {
    if (task.processor_ != &this_processor()) [[unlikely]] {
        Processor& owner = *task.processor_; // the task may run, and end, as soon as it is in that list
        owner.scheduler.put_woken(task);
        owner.notify();
        return;
    }
    if (task.state_ != TaskState::waiting) return;
    List<Task>::unlink(task);
    deadlines_.remove(task);
    task.word_ = nullptr;
    task.state_ = TaskState::ready;
    ready_.push_back(task);
}

void Scheduler::put_woken(Task& task) noexcept {
    if (task.woken_from_afar_.exchange(1, std::memory_order_acq_rel) != 0) return; // it is on its way already
    task.woken_next_ = woken_.load(std::memory_order_relaxed);
    while (!woken_.compare_exchange_weak(task.woken_next_, &task, std::memory_order_release, std::memory_order_relaxed)) {
    }
}

void Scheduler::forget_wake() noexcept {
    if (current_->woken_from_afar_.load(std::memory_order_acquire) != 0) take_woken();
}

void Scheduler::take_woken() noexcept {
    Task* oldest = nullptr;
    for (Task* task = woken_.exchange(nullptr, std::memory_order_acq_rel); task != nullptr;) {
        Task* const next = task->woken_next_;
        task->woken_next_ = oldest;
        oldest = task;
        task = next;
    }
    while (oldest != nullptr) {
        Task& task = *oldest;
        oldest = task.woken_next_;
        task.woken_from_afar_.store(0, std::memory_order_release); // from here on it may be put in again
        make_ready(task);
    }
}

bool Scheduler::hinted() const noexcept { return hints_.load(std::memory_order_acquire) != hints_seen_; }

void Scheduler::run_before_idle() noexcept {
    while (BeforeIdle* what = before_idle_.pop_front()) what->run(*what);
}

void Scheduler::wake_words() noexcept {
    // Counted before the words are read: a hint in between is seen next time.
    hints_seen_ = hints_.load(std::memory_order_seq_cst);
    halted_for_ = nullptr; // its hint is among those; the next one may be anybody's
    if (woken_.load(std::memory_order_acquire) != nullptr) take_woken();
    Task* task = words_.front();
    while (task != nullptr) {
        Task* next = List<Task>::next(*task);
        if (task->word_->load(std::memory_order_acquire) != 0) make_ready(*task);
        task = next;
    }
}

void Scheduler::wake_expired() noexcept {
    if (deadlines_.empty()) return;
    const std::uint64_t now = now_ns();
    while (Task* task = deadlines_.pop_due(now)) {
        task->timed_out_ = true;
        if (task->word_ != nullptr && task->word_->load(std::memory_order_acquire) != 0 && !hinted()) count_overlooked();
        make_ready(*task);
    }
}

void Scheduler::switch_away() {
    Task& from = *current_;
    Task& to = pick();
    to.state_ = TaskState::running;
    if (&to == &from) return;
    const std::uint64_t now = busy_ns();
    from.run_ns_ += now - switched_at_;
    switched_at_ = now;
    ++to.switches_;
    ++switches_;
    current_ = &to;
    arch::switch_context(from.context_, to.context_);
    reap();
}

Task& Scheduler::pick() {
    for (;;) {
        if (hinted()) wake_words();
        wake_expired();
        if (Task* task = ready_.pop_front()) return *task;
        run_before_idle();
        if (idle_hook_ != nullptr) idle_hook_();
        idle();
    }
}

/// Interrupts off, look at everything once more, then enable and halt in one step: what comes in between ends the halt.
void Scheduler::idle() {
    disable_interrupts();
    halting_.store(true, std::memory_order_seq_cst);
    wake_words();
    wake_expired();
    if (!ready_.empty()) {
        halting_.store(false, std::memory_order_relaxed);
        enable_interrupts();
        return;
    }
    const std::uint64_t earliest = deadlines_.earliest();
    if (earliest != kNever || timer_armed_) arm_timer(earliest);
    timer_armed_ = earliest != kNever;
    enable_and_halt();
    halting_.store(false, std::memory_order_relaxed);
    ++wakeups_;
}

void Scheduler::for_each(void (*visit)(const Task&, void*), void* context) {
    for (Task* task = first_; task != nullptr;) {
        Task* next = task->all_next_;
        visit(*task, context);
        task = next;
    }
}

TaskStatistics Scheduler::statistics() const noexcept {
    return {tasks_, cached_count_, switches_, now_ns() - busy_ns(), wakeups_, overlooked_.load(std::memory_order_relaxed)};
}

// The public face.

virtio::Result<Task*> spawn(const char* name, TaskEntry entry, void* argument, std::size_t stack_bytes, TaskLifetime lifetime) {
    return scheduler().spawn(name, entry, argument, stack_bytes, lifetime);
}
void join(Task& task) {
    // Over there: its stack must not go before it has been left.
    call_on(*task.processor_, [&task] { scheduler().join(task); });
}
void exit_task() { scheduler().exit(); }
Task& current_task() noexcept { return scheduler().current(); }
void yield() { scheduler().yield(); }
void sleep_until(std::uint64_t deadline_ns) { (void)scheduler().wait_in(nullptr, deadline_ns); }
bool wait_for(const std::atomic<std::uint32_t>& word, std::uint64_t deadline_ns) { return scheduler().wait_for_word(word, deadline_ns); }
void before_idle(BeforeIdle& what) noexcept { scheduler().before_idle(what); }
bool others_ready() noexcept { return scheduler().others_ready(); }
void for_each_task(void (*visit)(const Task&, void*), void* context) { scheduler().for_each(visit, context); }
TaskStatistics task_statistics() noexcept { return scheduler().statistics(); }
void start_tasks() { scheduler().start(0, boot_reent()); }

} // namespace kernel
