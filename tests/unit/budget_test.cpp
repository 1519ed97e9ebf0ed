// How much memory may be used: sizes as people write them, and where the budget ends in a memory map.
#include <doctest/doctest.h>

#include <array>

#include "kernel/memory/budget.hpp"

using kernel::end_of_budget;
using kernel::MemoryKind;
using kernel::MemoryRegion;
using kernel::parse_size;

namespace {
constexpr std::uint64_t kAll = ~std::uint64_t{0};
}

TEST_CASE("sizes") {
    CHECK(parse_size("24M") == 24u << 20);
    CHECK(parse_size("24m") == 24u << 20);
    CHECK(parse_size("65536K") == 65536u << 10);
    CHECK(parse_size("8G") == std::uint64_t{8} << 30);
    CHECK(parse_size("4096") == 4096);
    CHECK(parse_size("0x10M") == 16u << 20);
    for (const char* wrong : {"", "M", "0", "0M", "12T", "12MB", "-1", "1.5M", "99999999999999999999", "17179869184G"}) {
        CAPTURE(wrong);
        CHECK_FALSE(parse_size(wrong));
    }
}

TEST_CASE("the image comes first, then memory from below") {
    const std::array map{MemoryRegion{0x4000'0000, 0x1000'0000, MemoryKind::usable}};
    CHECK(end_of_budget(map, 0x4020'0000, 0x4060'0000, 0x100'0000) == 0x4100'0000);
    // Fewer bytes than there are below the image.
    CHECK(end_of_budget(map, 0x4020'0000, 0x4060'0000, 0x50'0000) == 0x4010'0000);
    // The image elsewhere costs the same.
    CHECK(end_of_budget(map, 0x8020'0000, 0x8060'0000, 0x100'0000) == 0x40c0'0000);
    CHECK(end_of_budget(map, 0x4020'0000, 0x4060'0000, 0x40'0000) == 0x4000'0000);
    CHECK(end_of_budget(map, 0x4020'0000, 0x4060'0000, 0x3f'ffff) == 0);
    CHECK(end_of_budget(map, 0x4020'0000, 0x4060'0000, 0x1000'0000) == kAll);
    CHECK(end_of_budget(map, 0x4020'0000, 0x4060'0000, 0xfff'ffff) == 0x4fff'ffff);
}

TEST_CASE("regions in any order, overlapping ones once, only usable ones") {
    const std::array map{
        MemoryRegion{0x8000'0000, 0x1000'0000, MemoryKind::usable}, MemoryRegion{0x4000'0000, 0x100'0000, MemoryKind::usable},
        MemoryRegion{0x4080'0000, 0x100'0000, MemoryKind::usable}, MemoryRegion{0x6000'0000, 0x1000'0000, MemoryKind::reserved}};
    CHECK(end_of_budget(map, 0x4000'0000, 0x4010'0000, 0x200'0000) == 0x8080'0000);
    CHECK(end_of_budget(map, 0x4000'0000, 0x4010'0000, 0x100'0000) == 0x4100'0000);
    CHECK(end_of_budget(map, 0x4000'0000, 0x4010'0000, kAll) == kAll);
    // A size that runs over the end of all addresses.
    const std::array wild{MemoryRegion{0x4000'0000, kAll, MemoryKind::usable}};
    CHECK(end_of_budget(wild, 0x4000'0000, 0x4010'0000, 0x20'0000) == 0x4020'0000);
    CHECK(end_of_budget({}, 0x4000'0000, 0x4010'0000, 0x20'0000) == kAll);
}
