// What riscv64's page tables have beyond those of x86-64 (page_tables_test.cpp runs on them, too): addresses in two halves, the upper one for
// devices that lie beyond the lower one's reach; accessed and dirty bits that nobody sets later; no entry that may be written but not read.
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

constexpr std::uint64_t kPage = 4096, k1G = 1 << 30;

} // namespace

TEST_CASE("devices beyond the lower half appear in the window") {
    PageTables tables;
    REQUIRE(tables.start(allocate, PageTables::Largest::gigabyte));
    constexpr std::uint64_t kFar = std::uint64_t{1} << 44;
    REQUIRE(tables.map(arch::kDeviceWindow, kFar, 2 * kPage, Access::read_write, Cache::device));
    const arch::Translation first = tables.look_up(arch::kDeviceWindow + kPage);
    CHECK(first.present);
    CHECK(first.device);
    CHECK(first.physical == kFar + kPage);
    CHECK_FALSE(tables.look_up(arch::kDeviceWindow + 2 * kPage).present);
    CHECK_FALSE(tables.look_up(0).present);
    // The last page of all: the end of the range is 2^64.
    REQUIRE(tables.map(~std::uint64_t{0} - (kPage - 1), kFar, kPage, Access::read, Cache::device));
    CHECK(tables.look_up(~std::uint64_t{0}).physical == kFar);
    CHECK(tables.protect(~std::uint64_t{0} - (kPage - 1), kPage, Access::none));
    CHECK_FALSE(tables.look_up(~std::uint64_t{0}).present);
}

TEST_CASE("addresses between the halves are none") {
    PageTables tables;
    REQUIRE(tables.start(allocate, PageTables::Largest::gigabyte));
    CHECK_FALSE(tables.map(arch::kHighestUsable, 0, kPage, Access::read, Cache::normal));
    CHECK_FALSE(tables.map(arch::kHighestUsable - kPage, 0, 2 * kPage, Access::read, Cache::normal));
    CHECK_FALSE(tables.map(arch::kDeviceWindow - kPage, 0, kPage, Access::read, Cache::normal));
    CHECK_FALSE(tables.map(~std::uint64_t{0} - (kPage - 1), 0, 2 * kPage, Access::read, Cache::normal));
    CHECK_FALSE(tables.map(0, std::uint64_t{1} << 56, kPage, Access::read, Cache::normal));
    CHECK_FALSE(tables.look_up(arch::kHighestUsable).present);
    CHECK(tables.look_up(arch::kHighestUsable).page_size == 0);
}

TEST_CASE("entries as the processor reads them") {
    PageTables tables;
    REQUIRE(tables.start(allocate, PageTables::Largest::gigabyte));
    REQUIRE(tables.map(k1G, k1G, k1G, Access::read_write, Cache::normal));
    REQUIRE(tables.map(2 * k1G, 2 * k1G, k1G, Access::read_execute, Cache::normal));
    REQUIRE(tables.map(3 * k1G, 3 * k1G, k1G, Access::read, Cache::normal));
    const auto* root = reinterpret_cast<const std::uint64_t*>(tables.root());
    CHECK(root[1] == ((k1G >> 2) | 0xc7));     // valid, readable, writable, accessed, dirty
    CHECK(root[2] == ((2 * k1G >> 2) | 0x4b)); // valid, readable, executable, accessed
    CHECK(root[3] == ((3 * k1G >> 2) | 0x43));
    REQUIRE(tables.protect(k1G, k1G, Access::none));
    CHECK((root[1] & 0xff) == 0);
    CHECK(tables.look_up(k1G).page_size == k1G);
    REQUIRE(tables.protect(k1G, kPage, Access::read_write));
    CHECK((root[1] & 0xff) == 1); // a table: valid without rights
    CHECK(tables.look_up(k1G).present);
    CHECK_FALSE(tables.look_up(k1G + kPage).present);
}
