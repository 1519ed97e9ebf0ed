// Tasks, waiting, locks.
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>

#include "boot/images/selftest/check.hpp"
#include "kernel/task/mailbox.hpp"
#include "kernel/task/mutex.hpp"
#include "kernel/task/semaphore.hpp"
#include "kernel/task/task.hpp"

namespace selftest {

namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kPatience = 30'000 * kMillisecond; // nothing here takes long, unless it hangs

/// Spawns `entry` once for each argument and waits for all.
template<class Argument, std::size_t count> bool run_all(Check& check, void (*entry)(void*), std::array<Argument, count>& arguments) {
    std::array<kernel::Task*, count> tasks{};
    bool good = true;
    for (std::size_t i = 0; i < count && good; ++i) {
        const auto task = kernel::spawn("check", entry, &arguments[i], kernel::kDefaultStackBytes, kernel::TaskLifetime::joinable);
        good = check.need(task, "spawn");
        if (good) tasks[i] = *task;
    }
    for (kernel::Task* task : tasks)
        if (task != nullptr) kernel::join(*task);
    return good;
}

void many_tasks(Check& check) {
    static unsigned turns;
    turns = 0;
    std::array<unsigned, 100> own{};
    const auto entry = [](void* argument) {
        for (int i = 0; i < 50; ++i) {
            ++turns;
            ++*static_cast<unsigned*>(argument);
            kernel::yield();
        }
    };
    if (!run_all(check, entry, own)) return;
    (void)check.need(turns == 5000, "%u of 5000 turns", turns);
    for (unsigned mine : own)
        if (!check.need(mine == 50, "one task had %u of 50 turns", mine)) return;
}

void tasks_come_and_go(Check& check) {
    const std::size_t before = kernel::task_statistics().tasks;
    for (int i = 0; i < 200; ++i) {
        std::array<int, 1> nothing{};
        if (!run_all(check, [](void*) {}, nothing)) return;
    }
    (void)check.need(kernel::task_statistics().tasks == before, "%zu tasks before, %zu after", before, kernel::task_statistics().tasks);
}

/// Each task keeps a floating-point state of its own over many switches, and an errno.
struct Calculation {
    double start = 0, result = 0;
    int error = 0;
};
void state_survives(Check& check) {
    std::array<Calculation, 8> calculations{};
    for (std::size_t i = 0; i < calculations.size(); ++i) calculations[i].start = static_cast<double>(i) + 0.25;
    const auto entry = [](void* argument) {
        auto& mine = *static_cast<Calculation*>(argument);
        double value = mine.start;
        errno = static_cast<int>(mine.start * 4);
        for (int i = 0; i < 100; ++i) {
            value = value * 1.5 - mine.start;
            kernel::yield();
            value = (value + mine.start) / 1.5;
        }
        mine.result = value;
        mine.error = errno;
    };
    if (!run_all(check, entry, calculations)) return;
    for (const Calculation& one : calculations) {
        const double off = one.result - one.start;
        if (!check.need(off < 1e-9 && off > -1e-9, "%f became %f over task switches", one.start, one.result)) return;
        if (!check.need(one.error == static_cast<int>(one.start * 4), "errno %d is another task's", one.error)) return;
    }
}

void sleepers_in_order(Check& check) {
    struct Sleeper {
        std::uint64_t deadline = 0, woken = 0;
    };
    std::array<Sleeper, 10> sleepers{};
    // Late enough that all of them are asleep before the first is due, also on a host that is busy.
    const std::uint64_t start = kernel::now_ns() + 100 * kMillisecond;
    // The last spawned wakes first.
    for (std::size_t i = 0; i < sleepers.size(); ++i) sleepers[i].deadline = start + (sleepers.size() - i) * 5 * kMillisecond;
    const auto entry = [](void* argument) {
        auto& mine = *static_cast<Sleeper*>(argument);
        kernel::sleep_until(mine.deadline);
        mine.woken = kernel::now_ns();
    };
    if (!run_all(check, entry, sleepers)) return;
    for (std::size_t i = 0; i < sleepers.size(); ++i) {
        if (!check.need(sleepers[i].woken >= sleepers[i].deadline, "woken %llu ns too early",
                        static_cast<unsigned long long>(sleepers[i].deadline - sleepers[i].woken)))
            return;
        if (i > 0 && !check.need(sleepers[i].woken <= sleepers[i - 1].woken, "sleepers woke in the wrong order")) return;
    }
}

void words_wake(Check& check) {
    static std::atomic<std::uint32_t> word;
    word.store(0);
    if (!check.need(!kernel::wait_for(word, kernel::now_ns() + 5 * kMillisecond), "a word that is zero woke its waiter")) return;
    const auto setter = kernel::spawn(
        "setter",
        [](void*) {
            kernel::sleep_until(kernel::now_ns() + 5 * kMillisecond);
            word.store(1);
            kernel::wake_hint();
        },
        nullptr, kernel::kDefaultStackBytes, kernel::TaskLifetime::joinable);
    if (!check.need(setter, "spawn")) return;
    const bool woken = kernel::wait_for(word, kernel::now_ns() + kPatience);
    kernel::join(**setter);
    (void)check.need(woken, "the word was set, but its waiter slept on");
}

void mutex_excludes(Check& check) {
    static kernel::Mutex mutex;
    static unsigned inside, most, entries;
    inside = most = entries = 0;
    std::array<int, 6> nothing{};
    const auto entry = [](void*) {
        for (int i = 0; i < 40; ++i) {
            const kernel::MutexLock lock(mutex);
            most = ++inside > most ? inside : most;
            kernel::yield();
            ++entries;
            --inside;
        }
    };
    if (!run_all(check, entry, nothing)) return;
    (void)(check.need(most == 1, "%u tasks were inside at once", most) && check.need(entries == 240, "%u of 240 entries", entries));
}

void mailbox_keeps_order(Check& check) {
    static std::array<void*, 4> slots;
    static kernel::Mailbox box(slots);
    static kernel::Semaphore finished(0);
    const auto producer = kernel::spawn(
        "producer",
        [](void*) {
            for (std::uintptr_t i = 1; i <= 500; ++i) box.post(reinterpret_cast<void*>(i));
            finished.release();
        },
        nullptr);
    if (!check.need(producer, "spawn")) return;
    for (std::uintptr_t i = 1; i <= 500; ++i) {
        void* message = nullptr;
        if (!check.need(box.fetch(message, kernel::now_ns() + kPatience), "message %zu never came", static_cast<std::size_t>(i))) return;
        if (!check.need(message == reinterpret_cast<void*>(i), "message %zu came as %p", static_cast<std::size_t>(i), message)) return;
    }
    (void)(check.need(finished.acquire(kernel::now_ns() + kPatience), "the producer did not end") &&
           check.need(!finished.acquire(kernel::now_ns() + kMillisecond), "an empty semaphore let somebody in"));
}

} // namespace

void check_tasks() {
    run("tasks.many", many_tasks);
    run("tasks.come_and_go", tasks_come_and_go);
    run("tasks.state_survives", state_survives);
    run("tasks.sleepers_in_order", sleepers_in_order);
    run("tasks.words_wake", words_wake);
    run("tasks.mutex_excludes", mutex_excludes);
    run("tasks.mailbox_keeps_order", mailbox_keeps_order);
}

} // namespace selftest
