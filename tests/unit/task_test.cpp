#include "kernel/task/task.hpp"

#include <string>
#include <vector>

#include "kernel/task/mailbox.hpp"
#include "kernel/task/mutex.hpp"
#include "kernel/task/semaphore.hpp"
#include "kernel/task/wait_queue.hpp"
#include "tests/unit/fake_machine.hpp"
#include <doctest/doctest.h>

using fake::machine;
using kernel::kNever;

namespace {

/// The scheduler is one per program: the test program's main task is its boot task.
struct Started {
    Started() { kernel::start_tasks(); }
};
const Started started;

std::string trace;

kernel::Task& run(void (*entry)(void*), void* argument = nullptr) {
    auto task = kernel::spawn("test", entry, argument, kernel::kDefaultStackBytes, kernel::TaskLifetime::joinable);
    REQUIRE(task.has_value());
    return **task;
}

} // namespace

TEST_CASE("tasks run in the order of their start and take turns") {
    trace.clear();
    static const char* letters[] = {"a", "b", "c"};
    std::vector<kernel::Task*> tasks;
    for (auto& letter : letters) {
        tasks.push_back(&run(
            [](void* mine) {
                for (int i = 0; i < 3; ++i) {
                    trace += *static_cast<const char**>(mine);
                    kernel::yield();
                }
            },
            &letter));
    }
    CHECK(trace.empty());
    for (auto* task : tasks) kernel::join(*task);
    CHECK(trace == "abcabcabc");
}

TEST_CASE("a detached task's stack comes back, and is reused") {
    const std::size_t before = kernel::task_statistics().tasks;
    static int ran = 0;
    for (int round = 0; round < 10; ++round) {
        for (int i = 0; i < 50; ++i) REQUIRE(kernel::spawn("short", [](void*) { ++ran; }, nullptr).has_value());
        kernel::yield();
        kernel::yield();
    }
    CHECK(ran == 500);
    CHECK(kernel::task_statistics().tasks == before);
    CHECK(kernel::task_statistics().cached_stacks == 16);
    const std::size_t pages = machine().pages_out;
    CHECK(pages == machine().guards * (pages / machine().guards)); // only whole cached blocks are out, each with its guard
    CHECK(machine().guards == 16);
    REQUIRE(kernel::spawn("again", [](void*) { ++ran; }, nullptr).has_value());
    CHECK(machine().pages_out == pages);
    kernel::yield();
    kernel::yield();
    CHECK(ran == 501);
}

TEST_CASE("no memory for a stack is an error, and nothing leaks") {
    const std::size_t pages = machine().pages_out;
    machine().pages_limit = pages + 100;
    auto task = kernel::spawn("huge", [](void*) {}, nullptr, 1 << 20);
    REQUIRE(!task.has_value());
    CHECK(task.error() == virtio::Error::out_of_memory);
    CHECK(machine().pages_out == pages);
    machine().pages_limit = 100'000;
}

TEST_CASE("sleepers wake at their deadlines, with one timer armed for the nearest") {
    trace.clear();
    static std::uint64_t start;
    start = machine().now;
    struct Sleeper {
        char letter;
        std::uint64_t ns;
    };
    static Sleeper sleepers[] = {{'c', 3000}, {'a', 1000}, {'b', 2000}};
    std::vector<kernel::Task*> tasks;
    for (auto& sleeper : sleepers) {
        tasks.push_back(&run(
            [](void* argument) {
                auto* mine = static_cast<Sleeper*>(argument);
                kernel::sleep_until(start + mine->ns);
                CHECK(machine().now == start + mine->ns);
                trace += mine->letter;
            },
            &sleeper));
    }
    const std::uint64_t halts = machine().halts;
    for (auto* task : tasks) kernel::join(*task);
    CHECK(trace == "abc");
    CHECK(machine().halts == halts + 3);
}

TEST_CASE("a sleep in the past lets the others run") {
    trace.clear();
    auto& other = run([](void*) { trace += 'o'; });
    kernel::sleep_until(0);
    CHECK(trace == "o");
    kernel::join(other);
}

TEST_CASE("an interrupt wakes the task that waits for its word") {
    static std::atomic<std::uint32_t> word;
    word = 0;
    const std::uint64_t start = machine().now;
    machine().interrupt_at(start + 500, [] {
        word = 1;
        kernel::wake_hint();
    });
    CHECK(kernel::wait_for(word, start + 10'000));
    CHECK(machine().now == start + 500);
    word = 0;
    CHECK(!kernel::wait_for(word, start + 2'000));
    CHECK(machine().now == start + 2'000);
    word = 7;
    CHECK(kernel::wait_for(word, 0));
}

TEST_CASE("a word that is set without a hint is counted as overlooked (B24)") {
    static std::atomic<std::uint32_t> word;
    const auto overlooked = [before = kernel::task_statistics().overlooked] { return kernel::task_statistics().overlooked - before; };
    // By a halt under the task itself ...
    word = 0;
    machine().interrupt_at(machine().now + 500, [] {
        word = 1;
        kernel::wake_hint();
    });
    CHECK(kernel::wait_for(word, machine().now + 10'000));
    CHECK(overlooked() == 0);
    word = 0;
    machine().interrupt_at(machine().now + 500, [] { word = 1; });
    CHECK(kernel::wait_for(word, machine().now + 10'000));
    CHECK(overlooked() == 1);
    // ... and by the deadline of one among others.
    for (const bool hint : {true, false}) {
        word = 0;
        auto& other = run([](void*) { CHECK(kernel::wait_for(word, machine().now + 1'000)); });
        kernel::yield(); // it waits
        word = 1;
        if (hint) kernel::wake_hint();
        machine().now += 2'000;
        kernel::yield();
        kernel::join(other);
        CHECK(overlooked() == (hint ? 1 : 2));
    }
}

TEST_CASE("an interrupt just before the halt is not slept through") {
    static std::atomic<std::uint32_t> word;
    word = 0;
    const std::uint64_t halts = machine().halts;
    machine().before_disable = [] {
        word = 1;
        kernel::wake_hint();
    };
    CHECK(kernel::wait_for(word, kNever));
    CHECK(machine().halts == halts);
    CHECK(machine().interrupts_enabled);
}

TEST_CASE("an unrelated interrupt leaves the waiter asleep") {
    static std::atomic<std::uint32_t> word;
    word = 0;
    const std::uint64_t start = machine().now;
    machine().interrupt_at(start + 100, [] { kernel::wake_hint(); });
    machine().interrupt_at(start + 200, [] {});
    machine().interrupt_at(start + 300, [] {
        word = 1;
        kernel::wake_hint();
    });
    CHECK(kernel::wait_for(word, kNever));
    CHECK(machine().now == start + 300);
}

TEST_CASE("a hint for another task's word is not taken for the one that ended an earlier halt (B24)") {
    static std::atomic<std::uint32_t> mine, other;
    mine = other = 0;
    trace.clear();
    auto& waiter = run([](void*) {
        CHECK(kernel::wait_for(other, kNever));
        trace += 'o';
    });
    kernel::yield(); // it waits
    const std::uint64_t start = machine().now;
    machine().interrupt_at(start + 100, [] {
        mine = 1;
        kernel::wake_hint();
    });
    REQUIRE(kernel::wait_for(mine, kNever)); // halted under this task
    mine = 0;
    kernel::yield(); // the scheduler looks at all words
    other = 1;       // now, while this task runs
    kernel::wake_hint();
    CHECK_FALSE(kernel::wait_for(mine, start + 5'000));
    CHECK(trace == "o"); // not only when something else happens
    kernel::join(waiter);
}

TEST_CASE("a busy pair of tasks does not starve a word or a deadline") {
    static std::atomic<std::uint32_t> word;
    static bool stop;
    word = 0;
    stop = false;
    auto& busy = run([](void*) {
        while (!stop) {
            machine().now += 10;
            kernel::yield();
        }
    });
    auto& waiter = run([](void*) {
        CHECK(kernel::wait_for(word, kNever));
        trace += 'w';
    });
    auto& sleeper = run([](void*) {
        kernel::sleep_until(machine().now + 50);
        trace += 's';
    });
    trace.clear();
    for (int i = 0; i < 20; ++i) kernel::yield();
    CHECK(trace == "s");
    word = 1;
    kernel::wake_hint();
    for (int i = 0; i < 3; ++i) kernel::yield();
    CHECK(trace == "sw");
    stop = true;
    kernel::join(busy);
    kernel::join(waiter);
    kernel::join(sleeper);
}

TEST_CASE("wait queues wake in order; a deadline takes only its own task out") {
    static kernel::WaitQueue queue;
    trace.clear();
    static const std::uint64_t start = machine().now;
    auto& first = run([](void*) { trace += queue.wait() ? "1" : "-"; });
    auto& second = run([](void*) { trace += queue.wait(start + 100) ? "2" : "x"; });
    auto& third = run([](void*) { trace += queue.wait() ? "3" : "-"; });
    kernel::sleep_until(start + 200);
    CHECK(trace == "x");
    CHECK(queue.has_waiters());
    queue.wake_one();
    kernel::yield();
    CHECK(trace == "x1");
    queue.wake_all();
    kernel::yield();
    CHECK(trace == "x13");
    CHECK(!queue.has_waiters());
    kernel::join(first);
    kernel::join(second);
    kernel::join(third);
}

TEST_CASE("a mutex goes to the task that waits longest, and a timed lock gives up") {
    static kernel::Mutex mutex;
    trace.clear();
    mutex.lock();
    auto& first = run([](void*) {
        kernel::MutexLock lock(mutex);
        trace += "1";
        kernel::yield();
        trace += "1";
    });
    auto& second = run([](void*) {
        kernel::MutexLock lock(mutex);
        trace += "2";
    });
    auto& third = run([](void*) { trace += mutex.lock_until(machine().now + 10) ? "locked" : "t"; });
    kernel::sleep_until(machine().now + 100);
    CHECK(trace == "t");
    mutex.unlock();
    CHECK(!mutex.try_lock()); // handed over, not free for grabs
    kernel::join(first);
    kernel::join(second);
    kernel::join(third);
    CHECK(trace == "t112");
    CHECK(mutex.try_lock());
    mutex.unlock();
}

TEST_CASE("a recursive mutex is free only after as many unlocks") {
    static kernel::RecursiveMutex mutex;
    static bool got;
    got = false;
    mutex.lock();
    mutex.lock();
    CHECK(mutex.try_lock());
    auto& other = run([](void*) {
        CHECK(!mutex.try_lock());
        mutex.lock();
        got = true;
        mutex.unlock();
    });
    kernel::yield();
    mutex.unlock();
    mutex.unlock();
    kernel::yield();
    CHECK(!got);
    mutex.unlock();
    kernel::join(other);
    CHECK(got);
}

TEST_CASE("a semaphore counts, hands over, and times out") {
    kernel::Semaphore semaphore(2);
    CHECK(semaphore.acquire());
    CHECK(semaphore.try_acquire());
    CHECK(!semaphore.try_acquire());
    const std::uint64_t start = machine().now;
    CHECK(!semaphore.acquire(start + 70));
    CHECK(machine().now == start + 70);
    auto& giver = run([](void* argument) { static_cast<kernel::Semaphore*>(argument)->release(); }, &semaphore);
    CHECK(semaphore.acquire(start + 1000));
    CHECK(semaphore.count() == 0);
    semaphore.release();
    CHECK(semaphore.count() == 1);
    kernel::join(giver);
}

TEST_CASE("a mailbox keeps the order, blocks when full and when empty, and times out") {
    static void* slots[2];
    static kernel::Mailbox box(slots);
    static int values[5];
    void* got = nullptr;
    CHECK(!box.try_fetch(got));
    const std::uint64_t start = machine().now;
    CHECK(!box.fetch(got, start + 40));
    CHECK(machine().now == start + 40);
    auto& poster = run([](void*) {
        for (int& value : values) CHECK(box.post(&value));
    });
    kernel::yield();
    CHECK(box.size() == 2);
    CHECK(!box.try_post(nullptr));
    CHECK(!box.post(nullptr, machine().now + 10));
    for (int& value : values) {
        REQUIRE(box.fetch(got));
        CHECK(got == &value);
    }
    kernel::join(poster);
    CHECK(box.size() == 0);
}

TEST_CASE("a reader of a mailbox is interrupted without a message, a posted one still gets through") {
    static void* slots[2];
    static kernel::Mailbox box(slots);
    static int result;
    auto reader = [](void*) {
        void* got = nullptr;
        result = box.fetch(got) ? 1 : 0;
    };
    result = -1;
    auto& first = run(reader);
    kernel::yield();
    box.interrupt();
    kernel::join(first);
    CHECK(result == 0);
    auto& second = run(reader);
    kernel::yield();
    box.interrupt();
    CHECK(box.try_post(nullptr));
    kernel::join(second);
    CHECK(result == 1);
    box.interrupt(); // nobody waits: nothing is remembered
    auto& third = run(reader);
    kernel::yield();
    CHECK(box.try_post(nullptr));
    kernel::join(third);
    CHECK(result == 1);
}

TEST_CASE("the watchdog looks every 100 ms while somebody asks, and not otherwise") {
    static int looks;
    looks = 0;
    auto hook = [](void* count) { ++*static_cast<int*>(count); };
    REQUIRE(kernel::register_watchdog(hook, &looks).has_value());
    const std::uint64_t halts = machine().halts;
    kernel::sleep_until(machine().now + 1'000'000'000);
    CHECK(looks == 0);
    CHECK(machine().halts == halts + 1);
    kernel::watch_begin();
    kernel::sleep_until(machine().now + 1'000'000'000 + 1);
    CHECK(looks == 10);
    kernel::watch_end();
    kernel::sleep_until(machine().now + 10'000'000'000);
    CHECK(looks == 11);
    kernel::unregister_watchdog(hook, &looks);
}

TEST_CASE("every living task is visited") {
    auto& task = run([](void*) {});
    std::vector<std::string> names;
    kernel::for_each_task(
        [](const kernel::Task& each, void* list) { static_cast<std::vector<std::string>*>(list)->push_back(each.name()); }, &names);
    CHECK(names.front() == "boot");
    CHECK(names.back() == "test");
    kernel::join(task);
}
