// armv7's page tables as a data structure (x86-64's are page_tables_test.cpp's): they only write to tables from the test's own memory, and
// the entries are what the long descriptor format wants (ARM DDI 0406C, B3.6.1).
#include <doctest/doctest.h>

#include <random>
#include <utility>
#include <vector>

#include <sys/mman.h>

#include <machine/page_tables.hpp>

namespace {

using arch::Access;
using arch::Cache;
using arch::PageTables;

std::size_t tables_left;
std::vector<void*> tables;
std::vector<std::pair<std::uint64_t, std::uint64_t>> replaced; // before, after

/// An entry has room for 40 bits of a table's address.
std::uint64_t* allocate() {
    if (tables_left == 0) return nullptr;
    --tables_left;
    void* const page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    REQUIRE(page != MAP_FAILED);
    tables.push_back(page);
    auto* words = static_cast<std::uint64_t*>(page);
    for (int i = 0; i < 512; ++i) words[i] = 0xabababababababab; // what was in the page before
    return words;
}

void replace(std::uint64_t* entry, std::uint64_t value) {
    replaced.emplace_back(*entry, value);
    *entry = value;
}

struct Tables {
    explicit Tables(PageTables::Largest largest = PageTables::Largest::gigabyte, std::size_t limit = 1000) {
        replaced.clear();
        tables_left = limit;
        REQUIRE(it.start(allocate, largest));
    }
    ~Tables() {
        for (void* page : tables) munmap(page, 4096);
        tables.clear();
    }
    std::uint64_t root_entry(std::size_t index) { return reinterpret_cast<const std::uint64_t*>(it.root())[index]; }
    PageTables it;
};

constexpr std::uint64_t k4K = 4096, k2M = 1 << 21, k1G = 1 << 30;
constexpr std::uint64_t kNormalUsed = 1 << 2 | 3 << 8 | 1 << 10, kReadOnly = 1 << 7, kNever = std::uint64_t{3} << 53;

} // namespace

TEST_CASE("armv7: the largest pages that fit are used, as far as 32 bits reach") {
    Tables tables;
    REQUIRE(tables.it.map(0x100000, 0x100000, 4 * k1G - 0x100000, Access::read_write, Cache::normal));
    CHECK(tables.it.look_up(0x100000).page_size == k4K);
    CHECK(tables.it.look_up(k2M).page_size == k2M);
    CHECK(tables.it.look_up(k1G).page_size == k1G);
    CHECK(tables.it.look_up(4 * k1G - 1).physical == 3 * k1G);
    CHECK_FALSE(tables.it.look_up(4 * k1G).present);
    CHECK_FALSE(tables.it.look_up(0).present);
    CHECK_FALSE(tables.it.map(4 * k1G, 4 * k1G, k4K, Access::read, Cache::normal));
    CHECK_FALSE(tables.it.map(4 * k1G - k4K, 4 * k1G - k4K, 2 * k4K, Access::read, Cache::normal));
    CHECK_FALSE(tables.it.protect(4 * k1G - k4K, 2 * k4K, Access::read));
    CHECK_FALSE(tables.it.map(k4K, std::uint64_t{1} << 40, k4K, Access::read, Cache::device));
}

TEST_CASE("armv7: the entries' bits") {
    Tables tables;
    REQUIRE(tables.it.map(k1G, k1G, k1G, Access::read_write, Cache::normal));
    CHECK(tables.root_entry(1) == (k1G | 1 | kNormalUsed | kNever));
    REQUIRE(tables.it.map(2 * k1G, 0x40'4000'0000, k1G, Access::read_write, Cache::device));
    CHECK(tables.root_entry(2) == (0x40'4000'0000 | 1 | 1 << 10 | kNever));
    REQUIRE(tables.it.map(3 * k1G, k1G, k1G, Access::read_execute, Cache::normal));
    CHECK(tables.root_entry(3) == (k1G | 1 | kNormalUsed | kReadOnly));
    REQUIRE(tables.it.map(0, k2M, k4K, Access::read, Cache::normal));
    const auto* second = reinterpret_cast<const std::uint64_t*>(tables.root_entry(0) & ~std::uint64_t{4095});
    CHECK((tables.root_entry(0) & 4095) == 3);
    const auto* third = reinterpret_cast<const std::uint64_t*>(second[0] & ~std::uint64_t{4095});
    CHECK(third[0] == (k2M | 3 | kNormalUsed | kReadOnly | kNever));
    CHECK(third[1] == 0);
}

TEST_CASE("armv7: no page is ever writable and executable, and what is not there is neither") {
    for (const Access access : {Access::none, Access::read, Access::read_write, Access::read_execute}) {
        Tables tables;
        REQUIRE(tables.it.map(k1G, k1G, k1G, access, Cache::normal));
        const auto found = tables.it.look_up(k1G + 12345);
        CHECK(found.present == (access != Access::none));
        CHECK(found.writable == (access == Access::read_write));
        CHECK(found.executable == (access == Access::read_execute));
        CHECK_FALSE(found.device);
    }
}

TEST_CASE("armv7: tables in use are split by way of the processor, others are just written") {
    Tables tables;
    REQUIRE(tables.it.map(k1G, k1G, k1G, Access::read_write, Cache::normal));
    REQUIRE(tables.it.protect(k1G + k2M, k2M, Access::read));
    CHECK(replaced.empty());
    tables.it.go_live(replace);
    const std::uint64_t guard = k1G + 7 * k2M + 5 * k4K;
    REQUIRE(tables.it.protect(guard, k4K, Access::none));
    REQUIRE(replaced.size() == 1);
    CHECK((replaced[0].first & 3) == 1);
    CHECK((replaced[0].second & 3) == 3);
    CHECK_FALSE(tables.it.look_up(guard).present);
    for (const std::uint64_t address : {guard - 1, guard + k4K, guard - k2M, guard + k2M}) {
        CAPTURE(address);
        CHECK(tables.it.look_up(address).writable);
    }
    // Rights alone change in place; where nothing was valid nothing can be remembered.
    REQUIRE(tables.it.protect(guard, k4K, Access::read_write));
    REQUIRE(tables.it.map(2 * k1G, 2 * k1G, k4K, Access::read, Cache::device));
    CHECK(replaced.size() == 1);
}

TEST_CASE("armv7: for several processors everything becomes pages, and stays so") {
    Tables tables;
    REQUIRE(tables.it.map(k1G, k1G, k1G, Access::read_write, Cache::normal));
    REQUIRE(tables.it.map(3 * k1G, k1G, k2M, Access::read_write, Cache::device));
    REQUIRE(tables.it.protect(k1G + k2M, k2M, Access::none));
    tables.it.go_live(replace);
    REQUIRE(tables.it.split_all());
    for (const std::uint64_t address : {k1G, k1G + k2M, 2 * k1G - 1, 3 * k1G}) {
        CAPTURE(address);
        CHECK(tables.it.look_up(address).page_size == k4K);
        CHECK(tables.it.look_up(address).present == (address != k1G + k2M));
        CHECK(tables.it.look_up(address).device == (address == 3 * k1G));
    }
    CHECK_FALSE(tables.it.look_up(2 * k1G).present);
    replaced.clear();
    REQUIRE(tables.it.protect(k1G + 5 * k4K, k4K, Access::none));
    REQUIRE(tables.it.map(2 * k1G, 2 * k1G, k2M, Access::read, Cache::device));
    CHECK(tables.it.look_up(2 * k1G).page_size == k4K);
    REQUIRE(tables.it.protect(2 * k1G, k4K, Access::none));
    CHECK(replaced.empty());
    Tables poor(PageTables::Largest::gigabyte, 2);
    REQUIRE(poor.it.map(k1G, k1G, k1G, Access::read_write, Cache::normal));
    CHECK_FALSE(poor.it.split_all());
    CHECK(poor.it.look_up(2 * k1G - 1).writable);
}

TEST_CASE("armv7: running out of tables is reported; what was never mapped is refused") {
    Tables tables;
    CHECK_FALSE(tables.it.protect(k1G, k4K, Access::read_write));
    Tables poor(PageTables::Largest::gigabyte, 2);
    CHECK_FALSE(poor.it.map(k4K, k4K, k4K, Access::read, Cache::normal));
    CHECK_FALSE(PageTables().start([]() -> std::uint64_t* { return nullptr; }, PageTables::Largest::gigabyte));
}

TEST_CASE("armv7: registers far away appear in the window, in pages no larger than both addresses allow") {
    Tables tables;
    constexpr std::uint64_t kFar = 0x40'1000'0000;
    REQUIRE(tables.it.map(arch::kDeviceWindow, kFar, 2 * k2M, Access::read_write, Cache::device));
    CHECK(tables.it.look_up(arch::kDeviceWindow + k2M + 5).physical == kFar + k2M);
    CHECK(tables.it.look_up(arch::kDeviceWindow + k2M).page_size == k2M);
    CHECK(tables.it.look_up(arch::kDeviceWindow).device);
    REQUIRE(tables.it.map(2 * k1G, kFar + k4K, k2M, Access::read, Cache::device));
    CHECK(tables.it.look_up(2 * k1G).page_size == k4K);
    static_assert(arch::kDeviceWindow >= arch::kHighestUsable && arch::kDeviceWindowEnd <= 4 * k1G);
}

TEST_CASE("armv7: random maps and changes agree with a model of single pages") {
    std::mt19937 random(7);
    const auto below = [&](std::size_t bound) { return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random); };
    Tables tables(PageTables::Largest::two_megabytes);
    tables.it.go_live(replace);
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
            REQUIRE(found.physical == (kBase + page * k4K) / found.page_size * found.page_size);
        }
    }
}
