// newlib's per-task state (errno, the state of strtok, rand, printf's big numbers): made and unmade by the scheduler with each task.
// __getreent() gives the running task's. newlib is built with __DYNAMIC_REENT__; _impure_ptr stays at the boot task's.
// Task context only; release() runs in the task whose state it is, because it frees memory under malloc's lock.
#pragma once

#include <cstddef>

struct _reent;

namespace kernel {

[[nodiscard]] std::size_t reent_bytes() noexcept;
struct _reent* initialize_reent(void* memory) noexcept;
void release_reent(struct _reent* reent) noexcept;
[[nodiscard]] struct _reent* boot_reent() noexcept;
/// On the heap, for the first task of another processor; null without memory.
[[nodiscard]] struct _reent* make_reent() noexcept;

} // namespace kernel
