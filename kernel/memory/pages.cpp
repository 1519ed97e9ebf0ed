#include "kernel/memory/pages.hpp"

#include <algorithm>

#include <machine/page_tables.hpp>

#include "arch/kernel_hooks.hpp"
#include "kernel/boot_info.hpp"
#include "kernel/firmware/command_line.hpp"
#include "kernel/memory/budget.hpp"
#include "kernel/memory/memory_setup.hpp"
#include "kernel/panic/panic.hpp"

namespace kernel {
namespace {

PageAllocator allocator;
SpinLock lock;
std::size_t total_pages = 0;
std::size_t ballooned_pages = 0;

using memory::Range;
using memory::usable_range;

// Usable memory from here on is left alone.
std::uint64_t budget_end = ~std::uint64_t{0};

constexpr std::uint64_t page_down(std::uint64_t address) noexcept { return address & ~std::uint64_t{kPageSize - 1}; }
constexpr std::uint64_t page_up(std::uint64_t address) noexcept { return page_down(address + kPageSize - 1); }

Range image_range() noexcept {
    return {reinterpret_cast<std::uintptr_t>(ringside_image_start), page_up(reinterpret_cast<std::uintptr_t>(ringside_image_end))};
}

/// Calls visit(begin, end) for everything that must not be given out though a usable region may contain it.
template<class Visit> void for_each_reserved(Visit visit) {
    visit(image_range());
    for (std::size_t i = 0; i < boot_info().module_count; ++i) {
        const BootModule& module = boot_info().modules[i];
        visit(Range{page_down(module.base), page_up(module.base + module.size)});
    }
    for (const MemoryRegion& region : memory_map())
        if (region.kind != MemoryKind::usable) visit(Range{page_down(region.base), page_up(region.base + region.size)});
}

/// The first place in usable memory that is mapped already where `bytes` fit beside everything reserved.
Range find_room(std::uint64_t bytes) noexcept {
    for (const MemoryRegion& region : memory_map()) {
        const Range usable = usable_range(region);
        const std::uint64_t end = std::min(usable.end, arch::kEarlyMappedEnd);
        Range room{usable.begin, usable.begin + bytes};
        // Each move goes up, and there are few reserved ranges: repeat until none is in the way.
        for (bool moved = true; moved && room.end <= end;) {
            moved = false;
            for_each_reserved([&](Range reserved) {
                if (reserved.begin < room.end && room.begin < reserved.end) {
                    room = {reserved.end, reserved.end + bytes};
                    moved = true;
                }
            });
        }
        if (usable.end != 0 && room.end <= end) return room;
    }
    return {0, 0};
}

/// Of an address, which may be a device's or firmware's beyond everything that can be used.
std::size_t page_of(std::uint64_t address) noexcept {
    return static_cast<std::size_t>(std::min(address, arch::kHighestUsable) / kPageSize);
}
std::size_t page_of(const void* address) noexcept { return reinterpret_cast<std::uintptr_t>(address) / kPageSize; }
void* address_of(std::size_t page) noexcept { return reinterpret_cast<void*>(page * kPageSize); }

/// memory= on the command line, or what the image was built for: the smaller of the two.
void keep_to_budget() {
    std::uint64_t budget = RINGSIDE_MEMORY_LIMIT;
    if (const auto word = command_line_value("memory")) {
        const auto size = parse_size(*word);
        if (!size) panic("memory=%.*s is no size: a number and K, M or G", static_cast<int>(word->size()), word->data());
        if (budget == 0 || *size < budget) budget = *size;
    }
    if (budget == 0) return;
    const Range image = image_range();
    budget_end = page_down(end_of_budget(memory_map(), image.begin, image.end, budget));
    if (budget_end == 0)
        panic("the image alone is larger than the %llu KiB of memory that may be used", static_cast<unsigned long long>(budget / 1024));
}

} // namespace

namespace memory {
Range usable_range(const MemoryRegion& region) noexcept {
    if (region.kind != MemoryKind::usable) return {};
    const std::uint64_t begin = std::max(page_up(region.base), arch::kLowestUsable),
                        end = std::min({page_down(region.base + region.size), arch::kHighestUsable, budget_end});
    return begin < end ? Range{begin, end} : Range{};
}

PageAllocator& page_allocator() noexcept { return allocator; }
SpinLock& page_lock() noexcept { return lock; }
std::size_t managed_pages() noexcept { return total_pages; }
} // namespace memory

virtio::Result<> start_memory() {
    keep_to_budget();
    std::uint64_t highest = 0;
    for (const MemoryRegion& region : memory_map()) highest = std::max(highest, usable_range(region).end);
    const std::size_t metadata_bytes = PageAllocator::metadata_bytes(page_of(highest));
    const Range metadata = find_room(page_up(metadata_bytes));
    if (metadata.end == 0) return virtio::fail(virtio::Error::out_of_memory);

    allocator.start(page_of(highest), {reinterpret_cast<std::byte*>(static_cast<std::uintptr_t>(metadata.begin)), metadata_bytes});
    for (const MemoryRegion& region : memory_map()) {
        const Range usable = usable_range(region);
        if (usable.end != 0) allocator.give(page_of(usable.begin), page_of(usable.end) - page_of(usable.begin));
    }
    const auto take = [](Range range) { allocator.take(page_of(range.begin), page_of(range.end) - page_of(range.begin)); };
    for_each_reserved(take);
    take(metadata);
    total_pages = allocator.free_pages();
    return memory::start_address_space();
}

virtio::Result<void*> allocate_pages(std::size_t count, std::size_t alignment) {
    const SpinGuard held(lock);
    const auto first = allocator.allocate(count, std::max(alignment, kPageSize) / kPageSize, PageAllocator::kNoLimit);
    if (!first) return virtio::fail(first.error());
    return address_of(*first);
}

virtio::Result<> allocate_pages_at(void* first, std::size_t count) {
    const SpinGuard held(lock);
    return allocator.allocate_at(page_of(first), count);
}

void free_pages(void* first, std::size_t count) {
    const SpinGuard held(lock);
    const bool aligned = reinterpret_cast<std::uintptr_t>(first) % kPageSize == 0;
    if (!aligned || !allocator.free(page_of(first), count)) panic("free_pages(%p, %zu): not allocated", first, count);
}

PageStatistics page_statistics() {
    const SpinGuard held(lock);
    return {total_pages, allocator.free_pages(), allocator.largest_run(), ballooned_pages};
}

std::size_t free_page_count() noexcept { return allocator.free_pages(); }
std::size_t total_page_count() noexcept { return total_pages; }

void note_ballooned(std::ptrdiff_t pages) {
    const SpinGuard held(lock);
    ballooned_pages = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(ballooned_pages) + pages);
}

virtio::Result<PageRun> isolate_unreported_run(std::size_t maximum_pages) {
    const SpinGuard held(lock);
    const auto run = allocator.isolate(maximum_pages);
    if (!run) return virtio::fail(run.error());
    return PageRun{address_of(run->first), run->count};
}

void return_isolated_run(PageRun run, ReportOutcome outcome) {
    const SpinGuard held(lock);
    allocator.return_isolated({page_of(run.first), run.count}, outcome == ReportOutcome::reported);
}

} // namespace kernel
