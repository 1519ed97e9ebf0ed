// The machine's processors, each with a scheduler, a timer and a halt of its own. A task stays on the processor on which it was spawned; tasks
// of one processor are cooperative with each other and run beside those of the others. What holds between processors:
//   - Mutex, Semaphore, Mailbox, malloc, stdio, the log, pages and vectors may be used from all of them at once.
//   - WaitQueue, PollSource and plain data between tasks belong to one processor.
//   - A device belongs to the processor that started it: its interrupts come there (a line that several share comes to one, which wakes the
//     others), its tasks run there, and its queues are touched there only. Disks, files and sockets send a caller from elsewhere to that
//     processor and back (call.hpp).
// Task context, but for what says otherwise.
//
//     for (unsigned i = 0; i < kernel::processor_count(); ++i) kernel::spawn_on(i, "worker", work, &part[i]);
#pragma once

#include <atomic>
#include <cstdint>

#include <machine/cpu.hpp>

#include "kernel/processor/call.hpp"
#include "kernel/task/scheduler.hpp"
#include "kernel/time/timer_state.hpp"

namespace kernel {

class Processor {
    void* self_ = this; // the first member: some processors find their object through it

public:
    constexpr Processor() noexcept = default;
    Processor(const Processor&) = delete;
    Processor& operator=(const Processor&) = delete;

    unsigned index = 0;
    std::uint64_t id = 0; ///< as the hardware calls it
    Scheduler scheduler;
    CallQueue calls;
    timer::State timer;
    std::uint64_t halted_ticks = 0; ///< spent in enable_and_halt()

    /// "Something has changed that a task of yours may wait for": from any processor, and from interrupt handlers.
    void notify() noexcept;
};

namespace processors {
extern Processor boot; // the first one
}

/// The calling one. Any context.
[[nodiscard]] inline Processor& this_processor() noexcept { return *static_cast<Processor*>(arch::processor_pointer()); }
[[nodiscard]] inline Scheduler& scheduler() noexcept { return this_processor().scheduler; }

/// Those that run; 1 until start_processors().
[[nodiscard]] unsigned processor_count() noexcept;
/// `index` below processor_count(); the one that booted is 0.
[[nodiscard]] Processor& processor(unsigned index) noexcept;

/// First of all in kernel_main.
void start_boot_processor() noexcept;
/// Starts the others, all of them or as many as processors= on the command line says; one that does not come is left out, with a line in the
/// log. After start_tasks().
void start_processors();

/// Starts a task on that processor; otherwise as spawn(). Errors: out_of_memory, invalid_argument (no such processor).
virtio::Result<Task*> spawn_on(unsigned index, const char* name, TaskEntry entry, void* argument,
                               std::size_t stack_bytes = kDefaultStackBytes, TaskLifetime lifetime = TaskLifetime::detached);

} // namespace kernel
