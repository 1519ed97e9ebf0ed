// lwIP's operating system layer: its objects are the kernel's, made on the heap. Deadlines are milliseconds, 0 means for ever.
#include <memory>
#include <new>

#include "kernel/entropy/entropy.hpp"
#include "kernel/log/log.hpp"
#include "kernel/network/core_lock.hpp"
#include "kernel/network/sys_arch.hpp"
#include "kernel/panic/panic.hpp"
#include "kernel/task/mutex.hpp"
#include "lwip/priv/api_msg.h"
#include "lwip/sys.h"
#include "lwip/tcpip.h"

struct ringside_mutex {
    kernel::Mutex mutex;
};

namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;

std::uint64_t deadline(u32_t milliseconds) { return milliseconds == 0 ? kernel::kNever : kernel::now_ns() + milliseconds * kMillisecond; }

u32_t milliseconds_since(std::uint64_t start) {
    const std::uint64_t waited = (kernel::now_ns() - start) / kMillisecond;
    return waited >= SYS_ARCH_TIMEOUT ? SYS_ARCH_TIMEOUT - 1 : static_cast<u32_t>(waited);
}

struct Thread {
    lwip_thread_fn function;
    void* argument;
};

// The mailbox in which the lwIP task sleeps for its next timer, and until when.
constinit kernel::Task* network_task = nullptr;
constinit ringside_mailbox* timed_mailbox = nullptr;
constinit std::uint64_t timed_until = 0;

} // namespace

namespace kernel {

void wake_network_task(std::uint64_t deadline_ns) {
    // A millisecond is lwIP's grain: less than that is not earlier.
    if (timed_mailbox != nullptr && deadline_ns + kMillisecond <= timed_until) timed_mailbox->mailbox.interrupt();
}

} // namespace kernel

extern "C" {

void sys_init() {}

u32_t sys_now() { return static_cast<u32_t>(kernel::now_ns() / kMillisecond); }

// Tasks switch only where they wait, and interrupt handlers never come near lwIP: there is nothing to protect from.
sys_prot_t sys_arch_protect() { return 0; }
void sys_arch_unprotect(sys_prot_t) {}

err_t sys_sem_new(sys_sem_t* semaphore, u8_t count) {
    *semaphore = new (std::nothrow) ringside_semaphore{kernel::Semaphore(count)};
    return *semaphore != nullptr ? ERR_OK : ERR_MEM;
}
void sys_sem_signal(sys_sem_t* semaphore) { (*semaphore)->semaphore.release(); }
u32_t sys_arch_sem_wait(sys_sem_t* semaphore, u32_t timeout) {
    const std::uint64_t start = kernel::now_ns();
    return (*semaphore)->semaphore.acquire(deadline(timeout)) ? milliseconds_since(start) : SYS_ARCH_TIMEOUT;
}
void sys_sem_free(sys_sem_t* semaphore) {
    delete *semaphore;
    *semaphore = nullptr;
}

err_t sys_mutex_new(sys_mutex_t* mutex) {
    *mutex = new (std::nothrow) ringside_mutex;
    return *mutex != nullptr ? ERR_OK : ERR_MEM;
}
void sys_mutex_lock(sys_mutex_t* mutex) { (*mutex)->mutex.lock(); }
void sys_mutex_unlock(sys_mutex_t* mutex) { (*mutex)->mutex.unlock(); }
void sys_mutex_free(sys_mutex_t* mutex) {
    delete *mutex;
    *mutex = nullptr;
}

err_t sys_mbox_new(sys_mbox_t* mailbox, int size) {
    const auto count = static_cast<std::size_t>(size > 0 ? size : 1);
    std::unique_ptr<void*[]> slots(new (std::nothrow) void*[count + 1]);
    if (slots == nullptr) return ERR_MEM;
    void** first = slots.get();
    *mailbox = new (std::nothrow) ringside_mailbox{std::move(slots), count, kernel::Mailbox({first, count + 1})};
    return *mailbox != nullptr ? ERR_OK : ERR_MEM;
}
void sys_mbox_post(sys_mbox_t* mailbox, void* message) { (void)(*mailbox)->mailbox.post(message); }
err_t sys_mbox_trypost(sys_mbox_t* mailbox, void* message) {
    err_t how = ERR_OK;
    if ((*mailbox)->places() == 0 && lwip_netconn_is_err_msg(message, &how) == 0) return ERR_MEM;
    return (*mailbox)->mailbox.try_post(message) ? ERR_OK : ERR_MEM;
}
err_t sys_mbox_trypost_fromisr(sys_mbox_t*, void*) { kernel::panic("lwIP called from an interrupt handler"); }

u32_t sys_arch_mbox_fetch(sys_mbox_t* mailbox, void** message, u32_t timeout) {
    const std::uint64_t start = kernel::now_ns();
    void* received = nullptr;
    bool got = false;
    if (timeout == 0) {
        while (!got) got = (*mailbox)->mailbox.fetch(received);
    } else if (&kernel::current_task() != network_task) {
        got = (*mailbox)->mailbox.fetch(received, deadline(timeout));
    } else {
        // Being interrupted counts as a time-out: the task looks at its timers and comes back.
        timed_mailbox = *mailbox;
        timed_until = deadline(timeout);
        got = (*mailbox)->mailbox.fetch(received, timed_until);
        timed_mailbox = nullptr;
    }
    if (!got) return SYS_ARCH_TIMEOUT;
    if (message != nullptr) *message = received;
    return milliseconds_since(start);
}
u32_t sys_arch_mbox_tryfetch(sys_mbox_t* mailbox, void** message) {
    void* received = nullptr;
    if (!(*mailbox)->mailbox.try_fetch(received)) return SYS_MBOX_EMPTY;
    if (message != nullptr) *message = received;
    return 0;
}
void sys_mbox_free(sys_mbox_t* mailbox) {
    delete *mailbox;
    *mailbox = nullptr;
}

sys_thread_t sys_thread_new(const char* name, lwip_thread_fn function, void* argument, int stack_bytes, int) {
    auto* thread = new (std::nothrow) Thread{function, argument};
    if (thread == nullptr) return nullptr;
    auto task = kernel::spawn(
        name,
        [](void* started) {
            const Thread copy = *static_cast<Thread*>(started);
            delete static_cast<Thread*>(started);
            copy.function(copy.argument);
        },
        thread, static_cast<std::size_t>(stack_bytes));
    if (task) return *task;
    delete thread;
    return nullptr;
}

sys_sem_t* ringside_task_semaphore() {
    struct Mine {
        ringside_semaphore semaphore;
        sys_sem_t pointer = nullptr;
    };
    kernel::TaskLocal& local = kernel::current_task().network_local;
    static_assert(sizeof(Mine) <= sizeof local.storage);
    if (local.value == nullptr) {
        auto* mine = new (local.storage) Mine;
        mine->pointer = &mine->semaphore;
        local.value = mine;
        local.release = [](void*) {}; // it goes with the task
    }
    return &static_cast<Mine*>(local.value)->pointer;
}

void ringside_mark_network_task() { network_task = &kernel::current_task(); }

unsigned int ringside_random_u32() { return kernel::random_u32(); }

void ringside_lwip_diagnostic(const char* format, ...) {
    std::va_list arguments;
    va_start(arguments, format);
    kernel::log_v(kernel::LogLevel::debug, format, arguments);
    va_end(arguments);
}

void ringside_lwip_assert(const char* message, const char* file, int line) { kernel::panic("lwIP: %s (%s:%d)", message, file, line); }
}
