// The other processors: that they run at the same time, and that what all of them may use holds.
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <unistd.h>

#include "boot/images/selftest/check.hpp"
#include "kernel/app.hpp"
#include "kernel/firmware/command_line.hpp"
#include "kernel/memory/pages.hpp"
#include "kernel/processor/processor.hpp"
#include "kernel/task/mailbox.hpp"
#include "kernel/task/mutex.hpp"
#include "kernel/task/semaphore.hpp"
#include "kernel/task/task.hpp"

namespace selftest {

namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kPatience = 30'000 * kMillisecond;
constexpr unsigned kMost = 16;

unsigned processors() { return kernel::processor_count() < kMost ? kernel::processor_count() : kMost; }

/// Runs `work(number, rounds)` on every processor, `tasks` of them on each, and waits for all.
struct Crew {
    struct Member {
        void (*work)(unsigned number) = nullptr;
        unsigned number = 0;
        kernel::Semaphore* done = nullptr;
    };
    std::array<Member, kMost * 4> members{};

    bool run(Check& check, unsigned tasks, void (*work)(unsigned number)) {
        kernel::Semaphore done(0);
        const unsigned count = processors() * tasks;
        for (unsigned i = 0; i < count; ++i) {
            members[i] = {work, i, &done};
            const auto entry = [](void* argument) {
                const Member& me = *static_cast<Member*>(argument);
                me.work(me.number);
                me.done->release();
            };
            if (!check.need(kernel::spawn_on(i % processors(), "crew", entry, &members[i]), "spawn_on"))
                std::abort(); // others use our stack
        }
        bool all = true;
        for (unsigned i = 0; i < count; ++i) all = done.acquire(kernel::now_ns() + kPatience) && all;
        if (!all) std::abort();
        return true;
    }
};

void all_are_there(Check& check) {
    const auto wanted = kernel::parse_number(*kernel::command_line_value("smp"));
    if (!check.need(wanted.has_value(), "smp= is no number")) return;
    (void)check.need(kernel::processor_count() == *wanted, "%u of %u processors run", kernel::processor_count(),
                     static_cast<unsigned>(*wanted));
}

void each_runs_its_own(Check& check) {
    static std::array<std::atomic<unsigned>, kMost> seen;
    for (auto& count : seen) count = 0;
    Crew crew;
    if (!crew.run(check, 3, [](unsigned) {
            const unsigned first = kernel::this_processor().index;
            for (int i = 0; i < 20; ++i) {
                kernel::yield();
                if (i % 5 == 0) kernel::sleep_until(kernel::now_ns() + kMillisecond);
                if (kernel::this_processor().index != first) std::abort();
            }
            ++seen[first];
        }))
        return;
    for (unsigned i = 0; i < processors(); ++i)
        if (!check.need(seen[i] == 3, "processor %u ran %u of 3 tasks", i, seen[i].load())) return;
}

/// Two that wait for each other without ever giving their processor away: only true concurrency ends this.
void at_the_same_time(Check& check) {
    static std::atomic<unsigned> turn;
    static std::atomic<bool> gave_up;
    turn = 0;
    gave_up = false;
    static kernel::Semaphore done(0);
    constexpr unsigned kTurns = 200;
    const auto play = [](void* side) {
        const auto mine = static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(side));
        const std::uint64_t deadline = kernel::now_ns() + kPatience / 2;
        for (unsigned next = mine; next < kTurns; next += 2) {
            while (turn.load(std::memory_order_acquire) != next)
                if (kernel::now_ns() > deadline) {
                    gave_up = true;
                    done.release();
                    return;
                }
            turn.store(next + 1, std::memory_order_release);
        }
        done.release();
    };
    if (!check.need(kernel::spawn_on(1, "ping", play, reinterpret_cast<void*>(std::uintptr_t{1})), "spawn_on")) return;
    play(nullptr);
    (void)(check.need(done.acquire(kernel::now_ns() + kPatience) && done.acquire(kernel::now_ns() + kPatience), "no end") &&
           check.need(!gave_up && turn == kTurns, "after %u of %u turns the other side was silent", turn.load(), kTurns));
}

void memory_holds(Check& check) {
    static std::atomic<unsigned> wrong;
    wrong = 0;
    const std::size_t pages_before = kernel::free_page_count();
    Crew crew;
    if (!crew.run(check, 2, [](unsigned number) {
            std::array<unsigned char*, 16> blocks{};
            std::uint32_t random = number * 2654435761u + 1;
            for (int round = 0; round < 400; ++round) {
                random = random * 1664525 + 1013904223;
                unsigned char*& block = blocks[random >> 28];
                const std::size_t size = 16 + (random >> 8) % 3000;
                if (block != nullptr) {
                    for (std::size_t i = 1; i < 16; ++i)
                        if (block[i] != block[0]) ++wrong;
                    std::free(block);
                }
                block = static_cast<unsigned char*>(std::malloc(size));
                if (block == nullptr) continue;
                std::memset(block, static_cast<int>(number * 16 + (random >> 28)), size);
                if (round % 50 == 0) {
                    const auto page = kernel::allocate_pages(1 + number % 3);
                    if (!page) ++wrong;
                    kernel::yield();
                    if (page) kernel::free_pages(*page, 1 + number % 3);
                }
            }
            for (unsigned char* block : blocks) std::free(block);
        }))
        return;
    (void)check.need(wrong == 0, "%u blocks were not as they had been left", wrong.load());
    // The heap may have grown, and each processor keeps a few stacks.
    const std::size_t pages_now = kernel::free_page_count();
    (void)check.need(pages_now + 2048 > pages_before, "%zu pages are gone", pages_before - pages_now);
}

void mutex_between(Check& check) {
    static kernel::Mutex mutex;
    static unsigned inside, entries; // not atomic: the mutex is to keep them
    static std::atomic<unsigned> late;
    inside = entries = 0;
    late = 0;
    Crew crew;
    if (!crew.run(check, 2, [](unsigned number) {
            for (unsigned i = 0; i < 300; ++i) {
                if (i % 16 == 3) { // deadlines and wakes that cross each other
                    if (!mutex.lock_until(kernel::now_ns() + (number % 3) * 20'000)) {
                        ++late;
                        continue;
                    }
                } else {
                    mutex.lock();
                }
                if (++inside != 1) std::abort();
                ++entries;
                if (i % 8 == 0) kernel::yield();
                --inside;
                mutex.unlock();
            }
        }))
        return;
    const unsigned wanted = processors() * 2 * 300;
    (void)check.need(entries + late == wanted, "%u entries and %u deadlines, %u wanted", entries, late.load(), wanted);
}

void mailbox_between(Check& check) {
    static std::array<void*, 8> slots;
    static kernel::Mailbox box(slots);
    static std::atomic<std::uintptr_t> sum;
    sum = 0;
    Crew crew;
    // Even numbers produce, odd ones consume, on every processor.
    if (!crew.run(check, 2, [](unsigned number) {
            const bool produces = number < processors();
            for (std::uintptr_t i = 1; i <= 400; ++i) {
                if (produces) {
                    box.post(reinterpret_cast<void*>(i));
                    continue;
                }
                void* message = nullptr;
                if (!box.fetch(message, kernel::now_ns() + kPatience)) return;
                sum += reinterpret_cast<std::uintptr_t>(message);
            }
        }))
        return;
    const std::uintptr_t wanted = std::uintptr_t{processors()} * 400 * 401 / 2;
    (void)check.need(sum == wanted, "what came adds up to %zu instead of %zu", static_cast<std::size_t>(sum.load()),
                     static_cast<std::size_t>(wanted));
}

void timers_are_own(Check& check) {
    static std::atomic<unsigned> early;
    early = 0;
    Crew crew;
    if (!crew.run(check, 2, [](unsigned number) {
            for (unsigned i = 0; i < 10; ++i) {
                const std::uint64_t deadline = kernel::now_ns() + (1 + (number + i) % 4) * kMillisecond;
                kernel::sleep_until(deadline);
                if (kernel::now_ns() < deadline) ++early;
            }
        }))
        return;
    (void)check.need(early == 0, "%u sleepers woke too early", early.load());
}

void clocks_agree(Check& check) {
    for (unsigned i = 0; i < 50; ++i) {
        std::uint64_t there = 0;
        const std::uint64_t before = kernel::now_ns();
        kernel::call_on(kernel::processor(i % processors()), [&there] { there = kernel::now_ns(); });
        const std::uint64_t after = kernel::now_ns();
        if (!check.need(before <= there && there <= after, "processor %u's clock is not between two looks at ours", i % processors()))
            return;
    }
}

void calls_come_back(Check& check) {
    Crew crew;
    static std::atomic<unsigned> calls;
    calls = 0;
    if (!crew.run(check, 2, [](unsigned number) {
            for (unsigned i = 0; i < 50; ++i) {
                const unsigned where = (number + i) % processors();
                unsigned came_to = kMost;
                kernel::call_on(kernel::processor(where), [&came_to] {
                    came_to = kernel::this_processor().index;
                    kernel::yield();
                });
                if (came_to == where) ++calls;
            }
        }))
        return;
    (void)check.need(calls == processors() * 100, "%u of %u calls were made where they should", calls.load(), processors() * 100);
}

void library_works_everywhere(Check& check) {
    static std::atomic<unsigned> wrong;
    wrong = 0;
    Crew crew;
    if (!crew.run(check, 1, [](unsigned number) {
            std::array<char, 64> text{};
            std::snprintf(text.data(), text.size(), "%u %.3f", number, 0.5 * number);
            std::array<char, 64> again{};
            std::snprintf(again.data(), again.size(), "%u %.3f", number, 0.5 * number);
            if (std::strcmp(text.data(), again.data()) != 0) ++wrong;
            errno = static_cast<int>(1000 + number);
            kernel::yield();
            if (errno != static_cast<int>(1000 + number)) ++wrong;
            if (close(-1) != -1 || errno != EBADF) ++wrong; // done on the first processor; errno comes back
            std::array<unsigned char, 32> bytes{};
            if (getentropy(bytes.data(), bytes.size()) != 0) ++wrong;
            timespec now{};
            if (clock_gettime(CLOCK_REALTIME, &now) != 0 || now.tv_sec == 0) ++wrong;
        }))
        return;
    (void)check.need(wrong == 0, "%u times it did not", wrong.load());
}

void disk_from_everywhere(Check& check) {
    ringside::Disk* const disk = ringside::disks().at(0);
    if (disk == nullptr) return check.skip("there is no disk");
    static std::array<std::byte, 4096> expected;
    if (!check.need(disk->read(0, expected), "read")) return;
    static std::atomic<unsigned> wrong;
    wrong = 0;
    Crew crew;
    if (!crew.run(check, 2, [](unsigned) {
            ringside::Disk& from = *ringside::disks().at(0);
            alignas(16) std::array<std::byte, 4096> sectors;
            for (int i = 0; i < 10; ++i) {
                sectors.fill(std::byte{0xa5});
                if (!from.read(0, sectors) || std::memcmp(sectors.data(), expected.data(), sectors.size()) != 0) ++wrong;
            }
        }))
        return;
    (void)check.need(wrong == 0, "%u reads went wrong", wrong.load());
}

} // namespace

void check_processors() {
    // Whoever starts the machine says how many there have to be.
    if (kernel::command_line_value("smp")) run("processors.all", all_are_there);
    run("processors.own_tasks", each_runs_its_own);
    if (kernel::processor_count() > 1) {
        run("processors.at_the_same_time", at_the_same_time);
        run("processors.clocks", clocks_agree);
    }
    run("processors.memory", memory_holds);
    run("processors.mutex", mutex_between);
    run("processors.mailbox", mailbox_between);
    run("processors.timers", timers_are_own);
    run("processors.calls", calls_come_back);
    run("processors.library", library_works_everywhere);
    run("processors.disk", disk_from_everywhere);
}

} // namespace selftest
