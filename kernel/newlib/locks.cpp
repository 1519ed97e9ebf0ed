// newlib's retargetable locks: a recursive mutex between tasks for each of them (the plain ones are never locked twice). Every way into
// malloc or stdio passes here, so this is also where a call from an interrupt handler is caught.
#include <new>
#include <sys/lock.h>

#include "kernel/interrupt/interrupts.hpp"
#include "kernel/panic/panic.hpp"
#include "kernel/task/mutex.hpp"

struct __lock {
    kernel::RecursiveMutex mutex;
};

namespace {

/// Handlers run with interrupts off, and a task that has them off must not come here either: it might wait.
void check_context() {
    if (!kernel::interrupts_enabled() && kernel::task_statistics().tasks != 0) kernel::panic("malloc or stdio in an interrupt handler");
}

void acquire(__lock* lock) {
    check_context();
    if (lock != nullptr) lock->mutex.lock();
}

int try_acquire(__lock* lock) {
    check_context();
    return lock == nullptr || lock->mutex.try_lock() ? 1 : 0;
}

void release(__lock* lock) {
    if (lock != nullptr) lock->mutex.unlock();
}

} // namespace

extern "C" {

constinit __lock __lock___sinit_recursive_mutex;
constinit __lock __lock___sfp_recursive_mutex;
constinit __lock __lock___atexit_recursive_mutex;
constinit __lock __lock___at_quick_exit_mutex;
constinit __lock __lock___malloc_recursive_mutex;
constinit __lock __lock___env_recursive_mutex;
constinit __lock __lock___tz_mutex;
constinit __lock __lock___dd_hash_mutex;
constinit __lock __lock___arc4random_mutex;

// Without memory for a lock a stream goes without one: tasks switch only where they wait, so that mixed lines are the worst of it.
void __retarget_lock_init(_LOCK_T* lock) { *lock = new (std::nothrow) __lock; }
void __retarget_lock_init_recursive(_LOCK_T* lock) { *lock = new (std::nothrow) __lock; }
void __retarget_lock_close(_LOCK_T lock) { delete lock; }
void __retarget_lock_close_recursive(_LOCK_T lock) { delete lock; }
void __retarget_lock_acquire(_LOCK_T lock) { acquire(lock); }
void __retarget_lock_acquire_recursive(_LOCK_T lock) { acquire(lock); }
int __retarget_lock_try_acquire(_LOCK_T lock) { return try_acquire(lock); }
int __retarget_lock_try_acquire_recursive(_LOCK_T lock) { return try_acquire(lock); }
void __retarget_lock_release(_LOCK_T lock) { release(lock); }
void __retarget_lock_release_recursive(_LOCK_T lock) { release(lock); }
}
