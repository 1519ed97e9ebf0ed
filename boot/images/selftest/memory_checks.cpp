// Pages, the heap, protection.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>

#include "boot/images/selftest/check.hpp"
#include "boot/images/selftest/pattern.hpp"
#include "kernel/memory/address_space.hpp"
#include "kernel/memory/heap.hpp"
#include "kernel/memory/pages.hpp"

namespace selftest {

namespace {

using kernel::allocate_pages;
using kernel::free_pages;
using kernel::kPageSize;
using kernel::page_statistics;

std::span<std::byte> bytes(void* first, std::size_t pages) { return {static_cast<std::byte*>(first), pages * kPageSize}; }

void pages_hold_data(Check& check) {
    const std::size_t before = page_statistics().free;
    struct Run {
        void* first = nullptr;
        std::size_t count = 0;
    };
    std::array<Run, 24> runs{};
    std::uint64_t key = 1;
    for (Run& run : runs) {
        run.count = static_cast<std::size_t>(1 + key * 5 % 37);
        const auto pages = allocate_pages(run.count);
        if (!check.need(pages, "allocate")) return;
        run.first = *pages;
        fill(bytes(run.first, run.count), key++, 0);
    }
    key = 1;
    for (const Run& run : runs) {
        const auto wrong = find_wrong(bytes(run.first, run.count), key++, 0);
        if (!check.need(!wrong, "run of %zu pages: byte %zu was overwritten by another run", run.count, wrong.value_or(0))) return;
    }
    for (const Run& run : runs) free_pages(run.first, run.count);
    (void)check.need(page_statistics().free == before, "%zu pages free before, %zu after", before, page_statistics().free);
}

void pages_are_aligned(Check& check) {
    for (std::size_t alignment = kPageSize; alignment <= (std::size_t{4} << 20); alignment *= 4) {
        const auto pages = allocate_pages(3, alignment);
        if (!check.need(pages, "allocate")) return;
        const bool aligned = reinterpret_cast<std::uintptr_t>(*pages) % alignment == 0;
        free_pages(*pages, 3);
        if (!check.need(aligned, "%p is not a multiple of %zu", *pages, alignment)) return;
    }
}

void pages_run_out(Check& check) {
    const auto before = page_statistics();
    struct Link {
        Link* next;
    };
    // Few steps, since each touches a page that the host may have to find first.
    const std::size_t step = std::max<std::size_t>(64, before.largest_run / 64);
    Link* first = nullptr;
    std::size_t taken = 0;
    for (;;) {
        const auto pages = allocate_pages(step);
        if (!pages) {
            if (!check.need_error(pages, virtio::Error::out_of_memory, "exhaustion")) break;
            break;
        }
        first = new (*pages) Link{first};
        taken += step;
        if (!check.need(taken <= before.free, "more pages than there are")) break;
    }
    while (first != nullptr) {
        Link* next = first->next;
        free_pages(first, step);
        first = next;
    }
    const auto after = page_statistics();
    (void)(check.need(taken + step > before.largest_run, "gave up after %zu of %zu pages", taken, before.free) &&
           check.need(after.free == before.free, "%zu pages free before, %zu after", before.free, after.free) &&
           check.need(after.largest_run == before.largest_run, "longest run %zu pages before, %zu after: not coalesced", before.largest_run,
                      after.largest_run));
}

void pages_refuse(Check& check) {
    const auto huge = allocate_pages(page_statistics().total + 1);
    (void)check.need_error(huge, virtio::Error::out_of_memory, "more pages than the machine has");
}

void heap_stress(Check& check) {
    struct Block {
        std::byte* data = nullptr;
        std::size_t size = 0;
        std::uint64_t key = 0;
    };
    std::array<Block, 64> blocks{};
    Chooser choose(11);
    bool good = true;
    for (unsigned round = 0; round < 4000 && good; ++round) {
        Block& block = blocks[choose.index_below(blocks.size())];
        if (block.data != nullptr) {
            const auto wrong = find_wrong({block.data, block.size}, block.key, 0);
            good = check.need(!wrong, "byte %zu of a block of %zu was overwritten", wrong.value_or(0), block.size);
        }
        const std::size_t size = 1 + choose.index_below(std::size_t{1} << (choose.below(5) * 4)); // up to 64 KiB
        if (block.data != nullptr && choose.below(2) == 0) {
            std::free(block.data);
            block = {};
            continue;
        }
        auto* moved = static_cast<std::byte*>(std::realloc(block.data, size));
        if (!check.need(moved != nullptr, "no memory for %zu bytes", size)) break;
        const std::size_t kept = size < block.size ? size : block.size;
        const auto wrong = find_wrong({moved, kept}, block.key, 0);
        good = good && check.need(!wrong, "realloc lost byte %zu of %zu", wrong.value_or(0), kept);
        block = {moved, size, round + 1};
        fill({block.data, block.size}, block.key, 0);
    }
    for (const Block& block : blocks) std::free(block.data);
}

void heap_limits(Check& check) {
    // The compiler must not see through it: an allocation that is too large has to fail, not to be optimised away.
    volatile std::size_t huge = ~std::size_t{0} / 2 + 1;
    void* volatile block = std::malloc(huge);
    const bool refused = block == nullptr;
    std::free(block);
    if (!check.need(refused, "malloc gave half of all addresses")) return;
    auto* object = new (std::nothrow) std::byte[huge];
    const bool refused_too = object == nullptr;
    delete[] object;
    if (!check.need(refused_too, "new gave half of all addresses")) return;
    // And life goes on.
    const auto small = std::make_unique<std::array<int, 100>>();
    (*small)[99] = 4;
    volatile int* last = &(*small)[99];
    (void)check.need(*last == 4, "the heap does not work after a refusal");
}

void heap_alignment(Check& check) {
    for (std::size_t size = 1; size < 5000; size += 37) {
        void* block = std::malloc(size);
        const bool aligned = reinterpret_cast<std::uintptr_t>(block) % alignof(std::max_align_t) == 0;
        std::free(block);
        if (!check.need(block != nullptr && aligned, "malloc(%zu) gave %p", size, block)) return;
    }
}

void protection(Check& check) {
    using kernel::Protection;
    const auto pages = allocate_pages(4);
    if (!check.need(pages, "allocate")) return;
    auto* second = static_cast<std::byte*>(*pages) + kPageSize;
    const auto at = std::uint64_t{reinterpret_cast<std::uintptr_t>(second)};
    (void)(check.need(kernel::protection_of(at) == Protection::read_write, "fresh memory is not read-write") &&
           check.need(kernel::protect(second, 1, Protection::none), "protect") &&
           check.need(kernel::protection_of(at) == Protection::none && !kernel::is_readable(second, 1), "the page is still there") &&
           check.need(kernel::protection_of(at - 1) == Protection::read_write, "the page before it went as well") &&
           check.need(kernel::protection_of(at + kPageSize) == Protection::read_write, "the page behind it went as well"));
    if (!check.need(kernel::protect(second, 1, Protection::read_write), "protect")) return; // the page is lost, the check has failed
    fill(bytes(*pages, 4), 3, 0);
    const auto wrong = find_wrong(bytes(*pages, 4), 3, 0);
    (void)check.need(!wrong, "byte %zu is wrong", wrong.value_or(0));
    free_pages(*pages, 4);
}

const int kConstant = 5;

void sections(Check& check) {
    using kernel::Protection;
    static int variable = 1;
    int local = 1;
    const auto of = [](const void* address) { return kernel::protection_of(reinterpret_cast<std::uintptr_t>(address)); };
    (void)(check.need(of(reinterpret_cast<const void*>(&sections)) == Protection::read_execute, "code is not read and execute only") &&
           check.need(of(&kConstant) == Protection::read, "constants are not read only") &&
           check.need(of(&variable) == Protection::read_write, "data is executable") &&
           check.need(of(&local) == Protection::read_write, "the stack is executable") &&
           check.need(kernel::protection_of(0) == Protection::none, "page 0 is mapped"));
}

} // namespace

void check_memory() {
    run("memory.pages_hold_data", pages_hold_data);
    run("memory.pages_are_aligned", pages_are_aligned);
    run("memory.pages_run_out", pages_run_out);
    run("memory.pages_refuse", pages_refuse);
    run("memory.heap_stress", heap_stress);
    run("memory.heap_limits", heap_limits);
    run("memory.heap_alignment", heap_alignment);
    run("memory.protection", protection);
    run("memory.sections", sections);
}

} // namespace selftest
