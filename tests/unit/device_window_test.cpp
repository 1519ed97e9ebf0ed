// Registers beyond a 32-bit processor's addresses, in the window kept for them.
#include <doctest/doctest.h>

#include "kernel/memory/device_window.hpp"

namespace {
constexpr std::uint64_t kBegin = 0xe0000000, kEnd = 0xe1000000, kReach = kBegin, kFar = 0x8000000000, kMiB = 1 << 20;
}

TEST_CASE("the same registers appear at the same place, neighbours beside them") {
    kernel::DeviceWindow window(kBegin, kEnd, kReach);
    CHECK(window.place(kFar + 0x3000, 0x1000) == kBegin + 0x3000);
    CHECK(window.place(kFar + 0x3000, 0x1000) == kBegin + 0x3000);
    CHECK(window.place(kFar + 0x4000, 0x4000) == kBegin + 0x4000);
    CHECK(window.place(kFar + 0x5004, 4) == kBegin + 0x5004);
    CHECK(window.place(kFar + 7 * kMiB, 0x1000) == kBegin + kMiB); // another piece
}

TEST_CASE("many devices of a few pages each do not use it up") {
    kernel::DeviceWindow window(kBegin, kEnd, kReach);
    for (std::uint64_t i = 0; i < 2048; ++i) REQUIRE(window.place(kFar + i * 0x1000, 0x1000) == kBegin + i * 0x1000);
}

TEST_CASE("what reaches across pieces gets one that is large enough; what does not fit gets none, and nothing else is hurt") {
    kernel::DeviceWindow window(kBegin, kEnd, kReach);
    CHECK(window.place(kFar + kMiB - 0x1000, 0x2000) == kBegin + kMiB - 0x1000);
    CHECK(window.place(kFar + kMiB, 0x1000) == kBegin + kMiB);
    CHECK(window.place(kFar + kMiB + 0x1000, 2 * kMiB) == kBegin + 2 * kMiB + 0x1000);
    CHECK(window.place(kFar + 100 * kMiB, 12 * kMiB) == 0);
    CHECK(window.place(kFar + 100 * kMiB, ~std::uint64_t{0} - kFar - 100 * kMiB) == 0);
    CHECK(window.place(kFar + 100 * kMiB, 11 * kMiB) == kEnd - 11 * kMiB);
    CHECK(window.place(kFar + 200 * kMiB, 1) == 0);
    CHECK(window.place(kFar + kMiB, 0x1000) == kBegin + kMiB);
}

TEST_CASE("what lies within reach stays where it is; what begins there and ends beyond goes into the window as a whole") {
    kernel::DeviceWindow window(kBegin, kEnd, kReach);
    CHECK(window.place(0x1000'0000, 0x1000) == 0x1000'0000);
    CHECK(window.place(kReach - 0x1000, 0x1000) == kReach - 0x1000);
    CHECK(window.place(kReach - 0x1000, 0x2000) == kBegin + kMiB - 0x1000);
    CHECK(window.place(kReach - 0x1000, 0x1000) == kReach - 0x1000);
    CHECK(window.place(kReach, 0x1000) == kBegin + kMiB); // the second half of that piece
    CHECK(window.place(0x1000, ~std::uint64_t{0} - 0x1000) == 0);
    // Beyond the reach of 38 bits the window is where addresses are sign-extended.
    constexpr std::uint64_t kHalf = std::uint64_t{1} << 38;
    kernel::DeviceWindow high(std::uint64_t{0} - kHalf, std::uint64_t{0} - 0x4000'0000, kHalf);
    CHECK(high.place(kHalf - kMiB, kMiB) == kHalf - kMiB);
    CHECK(high.place(kHalf - kMiB, 2 * kMiB) == std::uint64_t{0} - kHalf);
}
