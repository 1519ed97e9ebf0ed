// The heap over the real page allocator; no memory is touched, so the pages need not exist.
#include <doctest/doctest.h>

#include <vector>

#include "kernel/memory/heap.hpp"
#include "kernel/memory/memory_setup.hpp"
#include "kernel/memory/pages.hpp"

namespace {

constexpr std::size_t kLimit = 3 * kernel::PageAllocator::kChunkPages;
std::vector<std::uint64_t> metadata(kernel::PageAllocator::metadata_bytes(kLimit) / 8 + 1);
kernel::PageAllocator pages;
std::size_t managed = 0;

std::size_t relieved = 0;

std::uintptr_t extend(std::ptrdiff_t bytes) { return reinterpret_cast<std::uintptr_t>(kernel::heap_extend(bytes)); }

} // namespace

// What heap.cpp needs of its neighbours.
namespace kernel {
namespace memory {
PageAllocator& page_allocator() noexcept { return pages; }
SpinLock& page_lock() noexcept {
    static SpinLock lock;
    return lock;
}
std::size_t managed_pages() noexcept { return managed; }
} // namespace memory
void free_pages(void* first, std::size_t count) { REQUIRE(pages.free(reinterpret_cast<std::uintptr_t>(first) / kPageSize, count)); }
} // namespace kernel

// One heap for the whole program, as in a kernel: the steps are one story.
TEST_CASE("the heap grows in place, gives back, steps over what is taken, and leaves a reserve") {
    using kernel::kPageSize;
    pages.start(kLimit, std::as_writable_bytes(std::span(metadata)).first(kernel::PageAllocator::metadata_bytes(kLimit)));
    pages.give(1000, 8192); // 32 MiB
    pages.give(20000, 8192);
    managed = pages.free_pages();
    const std::size_t reserve = kernel::heap_statistics().reserve / kPageSize;
    CHECK(reserve == managed / 16);

    // The lowest page, and contiguous growth.
    const std::uintptr_t start = extend(0);
    CHECK(start == 1000 * kPageSize);
    CHECK(extend(100) == start);
    CHECK(extend(kPageSize) == start + 100);
    CHECK(extend(50 * kPageSize) == start + 100 + kPageSize);
    CHECK(kernel::heap_statistics().bytes == 100 + 51 * kPageSize);
    CHECK(kernel::heap_statistics().pages == managed - pages.free_pages());
    CHECK_FALSE(pages.is_free(1000 + 51));

    // Back again: the pages are free for others.
    const std::size_t free_before = pages.free_pages();
    CHECK(extend(-40 * static_cast<std::ptrdiff_t>(kPageSize)) == start + 100 + 51 * kPageSize);
    CHECK(pages.free_pages() >= free_before + 40);
    CHECK(pages.is_free(1000 + 13));
    CHECK_FALSE(pages.is_free(1000 + 11));
    CHECK(kernel::heap_extend(-1'000'000'000) == nullptr);
    CHECK(kernel::heap_statistics().maximum == 100 + 51 * kPageSize);
    CHECK(kernel::heap_statistics().pages == managed - pages.free_pages());

    // Somebody has the page behind: the heap goes on higher up, and never overlaps.
    REQUIRE(pages.allocate_at(1000 + 200, 1));
    const std::uintptr_t jumped = extend(300 * kPageSize);
    CHECK(jumped == (1000 + 201) * kPageSize);
    CHECK(kernel::heap_statistics().bytes == 100 + 11 * kPageSize + 300 * kPageSize);
    CHECK(kernel::heap_statistics().pages == managed - pages.free_pages() - 1);

    // More than one run holds: nullptr, and nothing is lost.
    const std::size_t free_now = pages.free_pages();
    CHECK(kernel::heap_extend(static_cast<std::ptrdiff_t>(9000 * kPageSize)) == nullptr);
    CHECK(pages.free_pages() == free_now);
    CHECK(kernel::heap_extend(PTRDIFF_MAX) == nullptr);

    // Until the reserve is reached.
    while (kernel::heap_extend(64 * kPageSize) != nullptr) {
    }
    CHECK(pages.free_pages() >= reserve);
    CHECK(pages.free_pages() < reserve + 64 + 16);

    // Somebody may make room then; once, for one more.
    kernel::set_heap_relief([](std::size_t wanted) {
        ++relieved;
        if (relieved > 1) return false;
        pages.give(60000, wanted + 64);
        return true;
    });
    CHECK(extend(64 * kPageSize) != 0);
    CHECK(kernel::heap_extend(1000 * kPageSize) == nullptr);
    CHECK(relieved == 2);
}
