// The 100 ms hook. Its task exists from the first registration on and sleeps without a deadline while nobody asks for it.
#include <array>

#include "kernel/task/wait_queue.hpp"

namespace kernel {

namespace {

struct Hook {
    void (*function)(void*) = nullptr;
    void* context = nullptr;
};

constinit std::array<Hook, 8> hooks{};
constinit WaitQueue parked;
constinit std::uint32_t watched = 0;
constinit bool running = false;

[[noreturn]] void watch(void*) {
    for (;;) {
        while (watched == 0) (void)parked.wait();
        sleep_until(now_ns() + kWatchdogPeriodNs);
        for (const Hook& hook : hooks) {
            if (hook.function != nullptr) hook.function(hook.context);
        }
    }
}

} // namespace

virtio::Result<> register_watchdog(void (*function)(void*), void* context) {
    for (Hook& hook : hooks) {
        if (hook.function != nullptr) continue;
        if (!running) {
            if (auto task = spawn("watchdog", watch, nullptr); !task) return virtio::fail(task.error());
            running = true;
        }
        hook = {function, context};
        return {};
    }
    return virtio::fail(virtio::Error::out_of_memory);
}

void unregister_watchdog(void (*function)(void*), void* context) {
    for (Hook& hook : hooks) {
        if (hook.function == function && hook.context == context) hook = {};
    }
}

// A task that goes from 0 to 1 and back for every request must stay cheap: once woken, the watchdog looks again every 100 ms and is
// parked only after a whole period in which nobody was left.
void watch_begin() noexcept {
    if (watched++ == 0) parked.wake_one();
}

void watch_end() noexcept { --watched; }

} // namespace kernel
