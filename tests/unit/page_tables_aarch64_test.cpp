// What aarch64's page tables have beyond those of x86-64 (page_tables_test.cpp runs on them, too): entries that a processor may have cached
// are replaced with an invalid one in between, others are not; physical addresses end where the processor's do.
#include <doctest/doctest.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include <machine/page_tables.hpp>

namespace {

using arch::Access;
using arch::Cache;
using arch::PageTables;

std::vector<std::unique_ptr<void, decltype(&std::free)>> pages;

std::uint64_t* allocate() {
    pages.emplace_back(std::aligned_alloc(4096, 4096), &std::free);
    return static_cast<std::uint64_t*>(pages.back().get());
}

int replaced;
std::uint64_t last_value;

void replace(std::uint64_t* entry, std::uint64_t value) {
    CHECK((*entry & 1) != 0); // what was invalid needs no care
    CHECK((value & 1) != 0);
    ++replaced;
    last_value = *entry = value;
}

struct Tables {
    Tables() {
        REQUIRE(it.start(allocate, PageTables::Largest::gigabyte));
        PageTables::set_replace(replace);
        replaced = 0;
    }
    ~Tables() {
        PageTables::set_replace([](std::uint64_t* entry, std::uint64_t value) { *entry = value; });
        PageTables::set_physical_limit(std::uint64_t{1} << 48);
        pages.clear();
    }
    Tables(const Tables&) = delete;
    Tables& operator=(const Tables&) = delete;
    PageTables it;
};

constexpr std::uint64_t k4K = 4096, k2M = 1 << 21, k1G = 1 << 30;

} // namespace

TEST_CASE("first maps and changes of rights are plain stores") {
    Tables tables;
    REQUIRE(tables.it.map(k1G, k1G, k1G + k2M + k4K, Access::read_write, Cache::normal));
    REQUIRE(tables.it.protect(k1G, k1G, Access::read));
    REQUIRE(tables.it.protect(k1G, k1G, Access::none));
    REQUIRE(tables.it.protect(k1G, k1G, Access::read_execute));
    REQUIRE(tables.it.protect(2 * k1G + k2M, k4K, Access::none));
    CHECK(replaced == 0);
}

TEST_CASE("a block in use becomes a table by break before make, one for each level") {
    Tables tables;
    REQUIRE(tables.it.map(k1G, k1G, k1G, Access::read_write, Cache::normal));
    REQUIRE(tables.it.protect(k1G + 3 * k2M + 7 * k4K, k4K, Access::none));
    CHECK(replaced == 2);
    CHECK((last_value & 3) == 3);
    REQUIRE(tables.it.protect(k1G + 3 * k2M + 8 * k4K, k4K, Access::none));
    CHECK(replaced == 2);
    CHECK(tables.it.look_up(k1G + 3 * k2M + 9 * k4K).writable);
    CHECK(tables.it.look_up(k1G + 3 * k2M + 9 * k4K).physical == k1G + 3 * k2M + 9 * k4K);
}

TEST_CASE("a block that nobody may use is split by a plain store, and all of it stays so") {
    Tables tables;
    REQUIRE(tables.it.map(k1G, k1G, k2M, Access::none, Cache::normal));
    REQUIRE(tables.it.protect(k1G + k4K, k4K, Access::read));
    CHECK(replaced == 0);
    CHECK_FALSE(tables.it.look_up(k1G).present);
    CHECK(tables.it.look_up(k1G).page_size == k4K);
    CHECK(tables.it.look_up(k1G + k4K).present);
}

TEST_CASE("another place or kind of memory replaces an entry, the same again does not") {
    Tables tables;
    REQUIRE(tables.it.map(k1G, k1G, k4K, Access::read_write, Cache::device));
    REQUIRE(tables.it.map(k1G, k1G, k4K, Access::read_write, Cache::device));
    CHECK(replaced == 0);
    REQUIRE(tables.it.map(k1G, k1G, k4K, Access::read_write, Cache::normal));
    CHECK(replaced == 1);
    REQUIRE(tables.it.map(k1G, k1G + k4K, k4K, Access::read_write, Cache::normal));
    CHECK(replaced == 2);
    CHECK(tables.it.look_up(k1G).physical == k1G + k4K);
}

TEST_CASE("device memory is never executed and not shared as memory is; nothing is a user's to execute") {
    Tables tables;
    REQUIRE(tables.it.map(k1G, k1G, k4K, Access::read_write, Cache::device));
    REQUIRE(tables.it.map(2 * k1G, 2 * k1G, k4K, Access::read_execute, Cache::normal));
    const auto* entry = reinterpret_cast<const std::uint64_t*>(tables.it.root());
    for (int level = 0; level < 2; ++level)
        entry = reinterpret_cast<const std::uint64_t*>((level == 0 ? entry[0] : entry[1]) & 0xfffffffff000);
    const std::uint64_t device = reinterpret_cast<const std::uint64_t*>(entry[0] & 0xfffffffff000)[0];
    CHECK((device & (7 << 2)) == 0);                              // attribute 0 of MAIR_EL1: Device-nGnRE
    CHECK((device >> 53 & 3) == 3);                               // never executed
    CHECK((device & (3 << 6)) == 0);                              // written by the kernel only
    CHECK((device & (1 << 10 | 1 << 11)) == (1 << 10 | 1 << 11)); // accessed, not global
}

TEST_CASE("physical addresses beyond the processor's are refused") {
    Tables tables;
    PageTables::set_physical_limit(std::uint64_t{1} << 40);
    CHECK_FALSE(tables.it.map(k1G, std::uint64_t{1} << 40, k4K, Access::read, Cache::device));
    CHECK_FALSE(tables.it.map(k1G, (std::uint64_t{1} << 40) - k4K, 2 * k4K, Access::read, Cache::device));
    CHECK(tables.it.map(k1G, (std::uint64_t{1} << 40) - k4K, k4K, Access::read, Cache::device));
}

TEST_CASE("for several processors all becomes pages, with the rights that it had, and stays so") {
    Tables tables;
    REQUIRE(tables.it.map(k1G, k1G, k1G, Access::read_write, Cache::normal));
    REQUIRE(tables.it.map(2 * k1G, 2 * k1G, k2M, Access::read, Cache::device));
    REQUIRE(tables.it.map(2 * k1G + k2M, 2 * k1G + k2M, k2M, Access::none, Cache::normal));
    REQUIRE(tables.it.split_all());
    for (const std::uint64_t address : {k1G, k1G + 5 * k2M + 3 * k4K, 2 * k1G - k4K}) {
        CAPTURE(address);
        CHECK(tables.it.look_up(address).page_size == k4K);
        CHECK(tables.it.look_up(address).physical == address);
        CHECK(tables.it.look_up(address).writable);
    }
    CHECK((tables.it.look_up(2 * k1G).device && tables.it.look_up(2 * k1G).page_size == k4K));
    CHECK((!tables.it.look_up(2 * k1G + k2M).present && tables.it.look_up(2 * k1G + k2M).page_size == k4K));
    CHECK_FALSE(tables.it.look_up(3 * k1G).present);
    replaced = 0;
    REQUIRE(tables.it.map(3 * k1G, 3 * k1G, k1G, Access::read_write, Cache::normal));
    REQUIRE(tables.it.protect(3 * k1G + 7 * k4K, k4K, Access::none));
    REQUIRE(tables.it.protect(k1G + 7 * k4K, k4K, Access::none));
    CHECK(replaced == 0);
}
