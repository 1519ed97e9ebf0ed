// The agent's memory commands: memory that is held and looked at again, and numbers.
#include <array>
#include <cstdlib>
#include <new>
#include <span>

#include "boot/images/selftest/agent.hpp"
#include "boot/images/selftest/pattern.hpp"
#include "kernel/balloon/balloon_service.hpp"
#include "kernel/device_manager/device_manager.hpp"
#include "kernel/memory/heap.hpp"
#include "kernel/memory/pages.hpp"
#include "kernel/processor/processor.hpp"
#include "kernel/task/task.hpp"

namespace selftest {

namespace {

using kernel::kPageSize;

// Held memory is a list of runs, each with its link in front and a pattern behind it.
constexpr std::size_t kRunPages = 64;
struct Run {
    Run* next;
    std::uint64_t number;
    [[nodiscard]] std::span<std::byte> bytes() noexcept {
        return {reinterpret_cast<std::byte*>(this + 1), kRunPages * kPageSize - sizeof(Run)};
    }
};
constinit Run* held = nullptr;
constinit std::uint64_t held_runs = 0;

/// memory-hold MIB: that much more, or as much as there is.
void hold(const Words& words, Answer& answer) {
    const std::uint64_t wanted = words.number(2) * (std::uint64_t{1} << 20) / (kRunPages * kPageSize);
    for (std::uint64_t i = 0; i < wanted; ++i) {
        const auto pages = kernel::allocate_pages(kRunPages);
        if (!pages) break;
        held = new (*pages) Run{held, held_runs++};
        fill(held->bytes(), held->number, 0);
        kernel::yield();
    }
    answer.value("mib", held_runs * kRunPages * kPageSize >> 20);
}

void look(const Words&, Answer& answer) {
    std::uint64_t runs = 0;
    for (Run* run = held; run != nullptr; run = run->next, ++runs) {
        if (const auto wrong = find_wrong(run->bytes(), run->number, 0))
            return answer.fail("byte %zu of run %llu at %p was changed", *wrong, static_cast<unsigned long long>(run->number),
                               static_cast<void*>(run));
        kernel::yield();
    }
    if (runs != held_runs)
        return answer.fail("%llu runs are held, but %llu were found", static_cast<unsigned long long>(held_runs),
                           static_cast<unsigned long long>(runs));
    answer.value("mib", held_runs * kRunPages * kPageSize >> 20);
}

void drop(const Words&, Answer&) {
    while (held != nullptr) {
        Run* next = held->next;
        kernel::free_pages(held, kRunPages);
        held = next;
    }
    held_runs = 0;
}

constexpr std::size_t kBlockBytes = std::size_t{1} << 20;
struct Block {
    Block* next;
    std::uint64_t number;
    [[nodiscard]] std::span<std::byte> bytes() noexcept { return {reinterpret_cast<std::byte*>(this + 1), kBlockBytes - sizeof(Block)}; }
};

/// As much of `wanted` MiB as there is.
void use_heap(std::uint64_t wanted, Answer& answer) {
    Block* blocks = nullptr;
    std::uint64_t count = 0;
    for (; count < wanted; ++count) {
        void* memory = std::malloc(kBlockBytes);
        if (memory == nullptr) break;
        blocks = new (memory) Block{blocks, count};
        fill(blocks->bytes(), count, 3);
        kernel::yield();
    }
    while (blocks != nullptr) {
        if (const auto wrong = find_wrong(blocks->bytes(), blocks->number, 3))
            answer.fail("byte %zu of block %llu was changed", *wrong, static_cast<unsigned long long>(blocks->number));
        Block* next = blocks->next;
        std::free(blocks);
        blocks = next;
    }
    answer.value("mib", count);
}

/// heap MIB [PROCESSOR]: takes that much with malloc, or as much as there is, looks at it, and gives it back; there or here.
void heap(const Words& words, Answer& answer) {
    const std::uint64_t where = words.number(3, kernel::this_processor().index);
    if (where >= kernel::processor_count()) return answer.fail("there is no such processor");
    kernel::call_on(kernel::processor(static_cast<unsigned>(where)), [&] { use_heap(words.number(2), answer); });
}

void pages(const Words&, Answer& answer) {
    const auto now = kernel::page_statistics();
    answer.value("total", now.total);
    answer.value("free", now.free);
    answer.value("run", now.largest_run);
    answer.value("ballooned", now.ballooned);
    const kernel::BalloonService* balloon = kernel::balloon_service();
    answer.value("taken_back", balloon == nullptr ? 0 : balloon->status().taken_back); // since the start
    answer.value("heap_pages", kernel::heap_statistics().pages);
}

} // namespace

std::span<const Verb> memory_verbs() {
    static constexpr Verb kVerbs[] = {
        {"memory-hold", 1, hold}, {"memory-check", 0, look}, {"memory-drop", 0, drop}, {"pages", 0, pages}, {"heap", 1, heap}};
    return kVerbs;
}

} // namespace selftest
