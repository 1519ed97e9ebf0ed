#include "kernel/network/core_lock.hpp"

#include "kernel/network/lwip_hooks.h"
#include "kernel/panic/panic.hpp"
#include "kernel/time/clock.hpp"
#include "lwip/timeouts.h"

namespace {

constinit kernel::Mutex core_mutex;

} // namespace

extern "C" {

void ringside_lock_core() { core_mutex.lock(); }

void ringside_unlock_core() {
    (void)ringside_part_from_owners();
    kernel::flush_interfaces();
    const u32_t sleep_ms = sys_timeouts_sleeptime();
    if (sleep_ms != SYS_TIMEOUTS_SLEEPTIME_INFINITE) kernel::wake_network_task(kernel::now_ns() + std::uint64_t{sleep_ms} * 1'000'000);
    core_mutex.unlock();
}

void ringside_assert_core_locked() {
    if (!core_mutex.held_by_me()) kernel::panic("lwIP called without its lock by task '%s'", kernel::current_task().name());
}
}

namespace kernel {

CoreLock::CoreLock() { ringside_lock_core(); }
CoreLock::~CoreLock() { ringside_unlock_core(); }

} // namespace kernel
