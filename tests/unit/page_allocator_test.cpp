// The page allocator against a plain model: every page a flag. Random steps from fixed seeds, so that a failure can be replayed.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include "kernel/memory/page_allocator.hpp"

namespace {

using kernel::PageAllocator;
constexpr std::size_t kChunk = PageAllocator::kChunkPages, kBlock = PageAllocator::kBlockPages;

/// Metadata full of garbage, as the memory of a machine may be.
struct Pages {
    explicit Pages(std::size_t limit) : metadata(PageAllocator::metadata_bytes(limit) / 8 + 1, 0xdeadbeefcafef00d) {
        allocator.start(limit, std::as_writable_bytes(std::span(metadata)).first(PageAllocator::metadata_bytes(limit)));
    }
    PageAllocator* operator->() { return &allocator; }
    std::vector<std::uint64_t> metadata;
    PageAllocator allocator;
};

std::size_t longest_run(const std::vector<bool>& free) {
    std::size_t longest = 0, run = 0;
    for (const bool page : free) longest = std::max(longest, run = page ? run + 1 : 0);
    return longest;
}

/// Highest first page of a free run, by trying every place.
std::ptrdiff_t highest_fit(const std::vector<bool>& free, std::size_t count, std::size_t alignment, std::size_t limit) {
    limit = std::min(limit, free.size());
    if (count > limit) return -1;
    for (std::size_t first = (limit - count) / alignment * alignment;; first -= alignment) {
        bool fits = true;
        for (std::size_t i = 0; i < count && fits; ++i) fits = free[first + i];
        if (fits) return static_cast<std::ptrdiff_t>(first);
        if (first == 0) return -1;
    }
}

std::ptrdiff_t lowest_fit(const std::vector<bool>& free, std::size_t count, std::size_t from) {
    std::size_t run = 0;
    for (std::size_t page = from; page < free.size(); ++page) {
        run = free[page] ? run + 1 : 0;
        if (run == count) return static_cast<std::ptrdiff_t>(page + 1 - count);
    }
    return -1;
}

} // namespace

TEST_CASE("nothing is free at the start, whatever the metadata held") {
    Pages pages(3 * kChunk + 77);
    CHECK(pages->free_pages() == 0);
    CHECK(pages->largest_run() == 0);
    CHECK(pages->allocate(1, 1, PageAllocator::kNoLimit).error() == virtio::Error::out_of_memory);
}

TEST_CASE("freed runs coalesce, over words and chunks") {
    Pages pages(2 * kChunk);
    pages->give(0, 2 * kChunk);
    std::vector<std::size_t> taken;
    while (auto page = pages->allocate(1024, 1, PageAllocator::kNoLimit)) taken.push_back(*page);
    CHECK(taken.size() == 2 * kChunk / 1024);
    CHECK(pages->free_pages() == 0);
    // Every other one, then the rest: one run in the end.
    for (std::size_t i = 0; i < taken.size(); i += 2) CHECK(pages->free(taken[i], 1024).has_value());
    CHECK(pages->largest_run() == 1024);
    CHECK_FALSE(pages->allocate(1025, 1, PageAllocator::kNoLimit).has_value());
    for (std::size_t i = 1; i < taken.size(); i += 2) CHECK(pages->free(taken[i], 1024).has_value());
    CHECK(pages->largest_run() == 2 * kChunk);
    CHECK(pages->allocate(2 * kChunk, 1, PageAllocator::kNoLimit).value() == 0);
}

TEST_CASE("a double free, and a free of what is partly free, is refused and changes nothing") {
    Pages pages(kChunk);
    pages->give(100, 1000);
    const std::size_t run = pages->allocate(10, 1, PageAllocator::kNoLimit).value();
    CHECK(run == 1090);
    CHECK(pages->free(run - 1, 2).error() == virtio::Error::invalid_argument);
    CHECK(pages->free_pages() == 990);
    CHECK(pages->free(run, 10).has_value());
    CHECK(pages->free(run, 10).error() == virtio::Error::invalid_argument);
    CHECK(pages->free(run + 9, 1).error() == virtio::Error::invalid_argument);
    CHECK(pages->free_pages() == 1000);
}

TEST_CASE("arguments that lead out of the memory are refused") {
    Pages pages(kChunk);
    pages->give(0, kChunk);
    CHECK_FALSE(pages->allocate(0, 1, PageAllocator::kNoLimit).has_value());
    CHECK(pages->allocate(1, 3, PageAllocator::kNoLimit).error() == virtio::Error::invalid_argument);
    CHECK(pages->allocate(~std::size_t{0}, 1, PageAllocator::kNoLimit).error() == virtio::Error::out_of_memory);
    CHECK_FALSE(pages->free(kChunk, 1).has_value());
    CHECK_FALSE(pages->free(kChunk - 1, 2).has_value());
    CHECK_FALSE(pages->free(5, ~std::size_t{0}).has_value());
    CHECK_FALSE(pages->allocate_at(kChunk - 1, 2).has_value());
    CHECK_FALSE(pages->allocate_at(1, ~std::size_t{0}).has_value());
    CHECK(pages->free_pages() == kChunk);
}

TEST_CASE("giving and taking is idempotent and clipped to the limit") {
    Pages pages(1000);
    pages->give(900, 500);
    pages->give(950, 10);
    CHECK(pages->free_pages() == 100);
    pages->take(990, ~std::size_t{0});
    pages->take(990, 5);
    CHECK(pages->free_pages() == 90);
    pages->give(5000, 3);
    CHECK(pages->free_pages() == 90);
}

TEST_CASE("exhaustion is an error value and the last page can be had") {
    Pages pages(kChunk);
    pages->give(7, 65);
    std::set<std::size_t> seen;
    for (int i = 0; i < 65; ++i) seen.insert(pages->allocate(1, 1, PageAllocator::kNoLimit).value());
    CHECK(seen.size() == 65);
    CHECK(*seen.begin() == 7);
    CHECK(*seen.rbegin() == 71);
    CHECK(pages->allocate(1, 1, PageAllocator::kNoLimit).error() == virtio::Error::out_of_memory);
}

TEST_CASE("a limit keeps an allocation below it") {
    Pages pages(4 * kChunk);
    pages->give(0, 4 * kChunk);
    CHECK(pages->allocate(4, 1, kChunk + 100).value() == kChunk + 96);
    CHECK(pages->allocate(200, 64, kChunk + 96).value() == kChunk - 128);
    CHECK(pages->allocate(4, 1, 4).value() == 0);
    CHECK(pages->allocate(4, 1, 4).error() == virtio::Error::out_of_memory);
}

TEST_CASE("random steps agree with a model") {
    for (const unsigned seed : {1u, 2u, 3u, 4u}) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const auto below = [&](std::size_t bound) { return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random); };
        const std::size_t limit = kChunk + 3000; // two chunks, the second short
        Pages pages(limit);
        std::vector<bool> free(limit, false);
        const auto set = [&](std::size_t first, std::size_t count, bool value) {
            for (std::size_t i = first; i < first + count; ++i) free[i] = value;
        };
        pages->give(kChunk - 2000, 4500);
        set(kChunk - 2000, 4500, true);
        std::vector<std::pair<std::size_t, std::size_t>> runs;
        for (int step = 0; step < 4000; ++step) {
            CAPTURE(step);
            const std::size_t what = below(10);
            if (what < 4) {
                const std::size_t count = below(8) == 0 ? 1 + below(600) : 1 + below(20), alignment = std::size_t{1} << below(8);
                const std::size_t top = below(3) == 0 ? below(limit) : PageAllocator::kNoLimit;
                const auto got = pages->allocate(count, alignment, top);
                const std::ptrdiff_t expected = highest_fit(free, count, alignment, top);
                REQUIRE(got.has_value() == (expected >= 0));
                if (!got) continue;
                REQUIRE(*got == static_cast<std::size_t>(expected));
                set(*got, count, false);
                runs.emplace_back(*got, count);
            } else if (what == 4) {
                const std::size_t count = 1 + below(50), from = below(limit);
                const auto got = pages->allocate_low(count, from);
                const std::ptrdiff_t expected = lowest_fit(free, count, from);
                REQUIRE(got.has_value() == (expected >= 0));
                if (!got) continue;
                REQUIRE(*got == static_cast<std::size_t>(expected));
                set(*got, count, false);
                runs.emplace_back(*got, count);
            } else if (what == 5) {
                const std::size_t first = below(limit), count = 1 + below(100);
                bool expected = first + count <= limit;
                for (std::size_t i = first; i < first + count && expected; ++i) expected = free[i];
                REQUIRE(pages->allocate_at(first, count).has_value() == expected);
                if (!expected) continue;
                set(first, count, false);
                runs.emplace_back(first, count);
            } else if (!runs.empty()) {
                // A part of a run may be freed as well as the whole.
                const std::size_t at = below(runs.size());
                auto [first, count] = runs[at];
                const std::size_t part = below(3) == 0 ? 1 + below(count) : count;
                REQUIRE(pages->free(first, part).has_value());
                set(first, part, true);
                runs[at] = {first + part, count - part};
                if (part == count) runs.erase(runs.begin() + static_cast<std::ptrdiff_t>(at));
            }
            if (step % 64 == 0) {
                REQUIRE(pages->free_pages() == static_cast<std::size_t>(std::count(free.begin(), free.end(), true)));
                REQUIRE(pages->largest_run() == longest_run(free));
                const std::size_t page = below(limit);
                REQUIRE(pages->is_free(page) == free[page]);
            }
        }
    }
}

TEST_CASE("free page reporting: isolated runs cannot be allocated, and reported ones are not offered again") {
    Pages pages(2 * kChunk);
    pages->give(3, 5 * kBlock); // four whole blocks
    const auto first = pages->isolate(2 * kBlock).value();
    CHECK(first.first == kBlock);
    CHECK(first.count == 2 * kBlock);
    CHECK(pages->free_pages() == 3 * kBlock);
    CHECK_FALSE(pages->allocate_at(kBlock + 5, 1).has_value());
    pages->return_isolated(first, true);
    CHECK(pages->free_pages() == 5 * kBlock);

    const auto second = pages->isolate(100 * kBlock).value();
    CHECK(second.first == 3 * kBlock);
    CHECK(second.count == 2 * kBlock);
    CHECK(pages->isolate(kBlock).error() == virtio::Error::not_found);
    pages->return_isolated(second, false);
    CHECK(pages->isolate(100 * kBlock).value().first == 3 * kBlock); // not reported, so offered again
    pages->return_isolated(second, true);
    CHECK(pages->isolate(kBlock).error() == virtio::Error::not_found);

    // Used and free again: that block, and only that, is worth another report.
    CHECK(pages->allocate_at(2 * kBlock + 17, 1).has_value());
    CHECK(pages->isolate(kBlock).error() == virtio::Error::not_found);
    CHECK(pages->free(2 * kBlock + 17, 1).has_value());
    const auto third = pages->isolate(kBlock).value();
    CHECK(third.first == 2 * kBlock);
    CHECK(third.count == kBlock);
    CHECK(pages->isolate(kBlock - 1).error() == virtio::Error::invalid_argument);
}

TEST_CASE("free page reporting works on a chunk that was never broken up") {
    Pages pages(kChunk);
    pages->give(0, kChunk);
    std::size_t reported = 0;
    while (auto run = pages->isolate(8 * kBlock)) {
        pages->return_isolated(*run, true);
        reported += run->count;
    }
    CHECK(reported == kChunk);
    CHECK(pages->free_pages() == kChunk);
    CHECK(pages->allocate(kChunk, 1, PageAllocator::kNoLimit).value() == 0);
    CHECK(pages->free(0, kChunk).has_value());
    CHECK(pages->isolate(kChunk).value().count == kChunk);
}
