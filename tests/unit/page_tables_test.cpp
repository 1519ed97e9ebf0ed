// Page tables of x86-64, aarch64 and riscv64 as a data structure: they only write to tables from the test's own memory.
#include <doctest/doctest.h>

#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include <machine/page_tables.hpp>

namespace {

using arch::Access;
using arch::Cache;
using arch::PageTables;

std::size_t tables_left;
std::vector<std::unique_ptr<void, decltype(&std::free)>> tables;

std::uint64_t* allocate() {
    if (tables_left == 0) return nullptr;
    --tables_left;
    tables.emplace_back(std::aligned_alloc(4096, 4096), &std::free);
    auto* words = static_cast<std::uint64_t*>(tables.back().get());
    for (int i = 0; i < 512; ++i) words[i] = 0xabababababababab; // what was in the page before
    return words;
}

struct Tables {
    explicit Tables(PageTables::Largest largest = PageTables::Largest::gigabyte, std::size_t limit = 1000) {
        tables.clear();
        tables_left = limit;
        REQUIRE(it.start(allocate, largest));
    }
    PageTables it;
};

constexpr std::uint64_t k4K = 4096, k2M = 1 << 21, k1G = 1 << 30;

} // namespace

TEST_CASE("the largest pages that fit are used") {
    Tables tables;
    REQUIRE(tables.it.map(0x100000, 0x100000, 5 * k1G, Access::read_write, Cache::normal));
    CHECK(tables.it.look_up(0x100000).page_size == k4K);
    CHECK(tables.it.look_up(0x1ff000).page_size == k4K);
    CHECK(tables.it.look_up(k2M).page_size == k2M);
    CHECK(tables.it.look_up(k1G - 1).page_size == k2M);
    CHECK(tables.it.look_up(k1G).page_size == k1G);
    CHECK(tables.it.look_up(5 * k1G - 1).page_size == k1G);
    CHECK(tables.it.look_up(5 * k1G).page_size == k4K);
    CHECK(tables.it.look_up(5 * k1G + 0x100000 - 1).present);
    CHECK_FALSE(tables.it.look_up(5 * k1G + 0x100000).present);
    CHECK_FALSE(tables.it.look_up(0xff000).present);
    CHECK_FALSE(tables.it.look_up(0).present);

    Tables small(PageTables::Largest::two_megabytes);
    REQUIRE(small.it.map(0, 0, 2 * k1G, Access::read_write, Cache::normal));
    CHECK(small.it.look_up(k1G).page_size == k2M);
}

TEST_CASE("rights and caching are what was asked for") {
    Tables tables;
    REQUIRE(tables.it.map(k1G, k1G, k4K, Access::read_execute, Cache::normal));
    REQUIRE(tables.it.map(k1G + k4K, k1G + k4K, k4K, Access::read, Cache::normal));
    REQUIRE(tables.it.map(k1G + 2 * k4K, k1G + 2 * k4K, k4K, Access::read_write, Cache::device));
    REQUIRE(tables.it.map(k1G + 3 * k4K, k1G + 3 * k4K, k4K, Access::none, Cache::normal));
    const auto text = tables.it.look_up(k1G), constant = tables.it.look_up(k1G + k4K), device = tables.it.look_up(k1G + 2 * k4K);
    CHECK((text.present && !text.writable && text.executable && !text.device));
    CHECK((constant.present && !constant.writable && !constant.executable));
    CHECK((device.present && device.writable && !device.executable && device.device));
    CHECK_FALSE(tables.it.look_up(k1G + 3 * k4K).present);
}

TEST_CASE("no page is ever writable and executable") {
    for (const Access access : {Access::none, Access::read, Access::read_write, Access::read_execute}) {
        Tables tables;
        REQUIRE(tables.it.map(k1G, k1G, k1G, access, Cache::normal));
        const auto found = tables.it.look_up(k1G + 12345);
        CHECK_FALSE((found.writable && found.executable));
    }
}

TEST_CASE("a guard page splits the large page around it and nothing else changes") {
    Tables tables;
    REQUIRE(tables.it.map(0, 0, 4 * k1G, Access::read_write, Cache::normal));
    const std::uint64_t guard = k1G + 7 * k2M + 5 * k4K;
    REQUIRE(tables.it.protect(guard, k4K, Access::none));
    CHECK_FALSE(tables.it.look_up(guard).present);
    CHECK(tables.it.look_up(guard).page_size == k4K);
    for (const std::uint64_t address : {guard - 1, guard + k4K, k1G, 2 * k1G - 1, 2 * k1G, guard - k2M}) {
        CAPTURE(address);
        const auto found = tables.it.look_up(address);
        CHECK((found.present && found.writable && !found.executable));
    }
    CHECK(tables.it.look_up(k1G).page_size == k2M);
    CHECK(tables.it.look_up(2 * k1G).page_size == k1G);
    REQUIRE(tables.it.protect(guard, k4K, Access::read_write));
    CHECK(tables.it.look_up(guard).writable);
}

TEST_CASE("a large page as a whole changes without a new table, also back from unmapped") {
    Tables tables;
    REQUIRE(tables.it.map(0, 0, 2 * k1G, Access::read_write, Cache::normal));
    tables_left = 0;
    REQUIRE(tables.it.protect(k1G, k1G, Access::none));
    CHECK_FALSE(tables.it.look_up(k1G + 5).present);
    REQUIRE(tables.it.protect(k1G, k1G, Access::read));
    CHECK(tables.it.look_up(k1G + 5).present);
    CHECK_FALSE(tables.it.look_up(k1G + 5).writable);
    CHECK_FALSE(tables.it.protect(k1G, k4K, Access::none)); // needs tables
    CHECK(tables.it.look_up(k1G).present);
}

TEST_CASE("protect refuses what was never mapped; running out of tables is reported") {
    Tables tables;
    CHECK_FALSE(tables.it.protect(k1G, k4K, Access::read_write));
    CHECK_FALSE(tables.it.look_up(k1G).present);
    Tables poor(PageTables::Largest::gigabyte, 2);
    CHECK_FALSE(poor.it.map(k4K, k4K, k4K, Access::read, Cache::normal));
}

TEST_CASE("addresses beyond 47 bits are refused") {
    Tables tables;
    CHECK_FALSE(tables.it.map(std::uint64_t{1} << 47, std::uint64_t{1} << 47, k4K, Access::read, Cache::normal));
    CHECK_FALSE(tables.it.map((std::uint64_t{1} << 47) - k4K, (std::uint64_t{1} << 47) - k4K, 2 * k4K, Access::read, Cache::normal));
    CHECK_FALSE(tables.it.map(k4K, k4K, ~std::uint64_t{0}, Access::read, Cache::normal));
    CHECK_FALSE(tables.it.look_up(~std::uint64_t{0}).present);
}

TEST_CASE("random maps and changes agree with a model of single pages") {
    std::mt19937 random(7);
    const auto below = [&](std::size_t bound) { return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random); };
    Tables tables(PageTables::Largest::two_megabytes);
    constexpr std::size_t kPages = 4096; // 16 MiB
    constexpr std::uint64_t kBase = 3 * k1G - 2 * k2M;
    std::vector<Access> model(kPages, Access::read);
    REQUIRE(tables.it.map(kBase, kBase, kPages * k4K, Access::read, Cache::normal));
    for (int step = 0; step < 300; ++step) {
        const Access access = static_cast<Access>(below(4));
        std::size_t first = below(kPages), count = 1 + below(kPages - first);
        if (below(2) == 0) first = first / 512 * 512, count = std::min(kPages - first, (count + 511) / 512 * 512);
        REQUIRE((below(2) == 0 ? tables.it.protect(kBase + first * k4K, count * k4K, access)
                               : tables.it.map(kBase + first * k4K, kBase + first * k4K, count * k4K, access, Cache::normal)));
        for (std::size_t i = first; i < first + count; ++i) model[i] = access;
        for (int look = 0; look < 50; ++look) {
            const std::size_t page = below(kPages);
            const auto found = tables.it.look_up(kBase + page * k4K + below(k4K));
            REQUIRE(found.present == (model[page] != Access::none));
            REQUIRE(found.writable == (model[page] == Access::read_write));
            REQUIRE(found.executable == (model[page] == Access::read_execute));
        }
    }
}

TEST_CASE("registers far away appear where they are wanted, in pages no larger than both addresses allow") {
    Tables tables;
    constexpr std::uint64_t kFar = 0x40'1000'0000, k2M = std::uint64_t{2} << 20;
    REQUIRE(tables.it.map(3 * k1G, kFar, 2 * k2M, Access::read_write, Cache::device));
    CHECK(tables.it.look_up(3 * k1G + k2M + 5).physical == kFar + k2M);
    CHECK(tables.it.look_up(3 * k1G).page_size == k2M);
    REQUIRE(tables.it.map(2 * k1G, kFar + k4K, k2M, Access::read, Cache::device));
    CHECK(tables.it.look_up(2 * k1G + k4K).physical == kFar + 2 * k4K);
    CHECK(tables.it.look_up(2 * k1G).page_size == k4K);
}
