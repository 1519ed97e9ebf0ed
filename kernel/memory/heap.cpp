#include "kernel/memory/heap.hpp"

#include <algorithm>
#include <cstdint>

#include "kernel/memory/memory_setup.hpp"
#include "kernel/memory/pages.hpp"

namespace kernel {
namespace {

// The heap grows upward from the lowest free page while all other pages are taken from the top: they meet last.
constexpr std::size_t kStepPages = 16;
constexpr std::size_t kSmallestReservePages = 256;

struct Heap {
    std::size_t first_page = 0; ///< of the current part
    std::size_t end_page = 0;   ///< pages first_page..end_page are the heap's
    std::uintptr_t brk = 0;
    std::size_t earlier_bytes = 0; ///< in parts that were left behind because the pages above them were taken
    std::size_t earlier_pages = 0;
    std::size_t maximum = 0;
};
Heap heap;
HeapRelief heap_relief = nullptr;

constexpr std::size_t pages_for(std::size_t bytes) noexcept { return (bytes + kPageSize - 1) / kPageSize; }

std::size_t reserve_pages() noexcept { return std::max(kSmallestReservePages, memory::managed_pages() / 16); }

/// `count` more pages at the end of the current part.
bool grow_in_place(std::size_t count) noexcept {
    PageAllocator& pages = memory::page_allocator();
    if (heap.end_page == 0) return false;
    // A little more than asked for, if it is there, so that a growing program does not come for every page.
    const std::size_t generous = (count + kStepPages - 1) / kStepPages * kStepPages;
    for (const std::size_t want : {generous, count})
        if (pages.allocate_at(heap.end_page, want)) {
            heap.end_page += want;
            return true;
        }
    return false;
}

/// A new part higher up; the rest of the old one stays allocated to the heap (malloc still uses what it has of it).
bool start_part(std::size_t count) noexcept {
    const auto first = memory::page_allocator().allocate_low(count, heap.end_page);
    if (!first) return false;
    if (heap.end_page != 0) heap.earlier_bytes += heap.brk - heap.first_page * kPageSize;
    heap.earlier_pages += heap.end_page - heap.first_page;
    heap.first_page = *first;
    heap.end_page = *first + count;
    heap.brk = *first * kPageSize;
    return true;
}

bool grow(std::size_t bytes) noexcept {
    const std::size_t room = heap.end_page * kPageSize - heap.brk;
    if (bytes <= room) return true;
    const std::size_t more = pages_for(bytes - room);
    const SpinGuard held(memory::page_lock());
    const std::size_t free = memory::page_allocator().free_pages();
    if (free < more || free - more < reserve_pages()) return false;
    if (grow_in_place(more)) return true;
    const std::size_t all = pages_for(bytes);
    return free >= all && free - all >= reserve_pages() && start_part(all);
}

void shrink() noexcept {
    const std::size_t needed = std::max(pages_for(heap.brk), heap.first_page);
    if (heap.end_page - needed < kStepPages) return;
    free_pages(reinterpret_cast<void*>(needed * kPageSize), heap.end_page - needed);
    heap.end_page = needed;
}

std::size_t bytes_in_use() noexcept { return heap.earlier_bytes + heap.brk - heap.first_page * kPageSize; }

} // namespace

void* heap_extend(std::ptrdiff_t increment) {
    if (increment < 0) {
        const std::size_t less = std::size_t{0} - static_cast<std::size_t>(increment);
        if (less > heap.brk - heap.first_page * kPageSize) return nullptr;
        void* const old = reinterpret_cast<void*>(heap.brk);
        heap.brk -= less;
        shrink();
        return old;
    }
    // sbrk(0) before the first extension: the heap needs a place.
    if (heap.end_page == 0 && increment == 0 && !grow(kPageSize)) return nullptr;
    const auto bytes = static_cast<std::size_t>(increment);
    if (!grow(bytes) && (heap_relief == nullptr || !heap_relief(pages_for(bytes) + 1) || !grow(bytes))) return nullptr;
    void* const old = reinterpret_cast<void*>(heap.brk);
    heap.brk += static_cast<std::size_t>(increment);
    heap.maximum = std::max(heap.maximum, bytes_in_use());
    return old;
}

void set_heap_relief(HeapRelief relief) noexcept { heap_relief = relief; }

HeapStatistics heap_statistics() {
    return {bytes_in_use(), heap.maximum, heap.earlier_pages + heap.end_page - heap.first_page, reserve_pages() * kPageSize};
}

} // namespace kernel
