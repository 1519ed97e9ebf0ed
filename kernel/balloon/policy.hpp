// How many pages the balloon takes or gives next: a pure function of what the host wants and what the kernel has, so that it can be
// tested with any nonsense. No context.
//
//     const BalloonStep step = next_balloon_step({.target = device.target(), .pages = ..., .free = ..., .floor = ..., .low = ...});
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace kernel {

struct BalloonSituation {
    std::uint64_t target = 0;   // what the host asks for, in pages: any number
    std::uint64_t pages = 0;    // in the balloon
    std::uint64_t free = 0;     // pages that can be allocated
    std::uint64_t floor = 0;    // free pages that the kernel keeps
    std::uint64_t low = 0;      // below this the kernel is short of memory
    std::uint64_t needed = 0;   // an allocation that failed needs so many
    bool may_take_back = false; // DEFLATE_ON_OOM: even though the host wants them (BALLOON-008, BALLOON-009)
};

struct BalloonStep {
    enum class Kind : std::uint8_t { rest, give, take_back };
    Kind kind = Kind::rest;
    std::size_t count = 0;
};

/// Pages per request: one request is what a page of numbers holds, so a step never takes long and the target is looked at again.
inline constexpr std::size_t kBalloonBatch = 256;

[[nodiscard]] constexpr BalloonStep next_balloon_step(const BalloonSituation& now) noexcept {
    const auto batch = [](std::uint64_t count) { return static_cast<std::size_t>(std::min<std::uint64_t>(count, kBalloonBatch)); };
    if (now.pages > now.target) return {BalloonStep::Kind::take_back, batch(now.pages - now.target)};
    // Short of memory: back to the floor. Giving starts only above the floor, so the two never chase each other.
    const bool short_of_memory = now.free < now.low || now.needed != 0;
    if (short_of_memory && now.may_take_back && now.pages != 0) {
        const std::uint64_t wanted = now.needed + (now.free < now.floor ? now.floor - now.free : 0);
        return {BalloonStep::Kind::take_back, batch(std::min(std::max<std::uint64_t>(wanted, 1), now.pages))};
    }
    if (now.pages < now.target && now.free > now.floor)
        return {BalloonStep::Kind::give, batch(std::min(now.target - now.pages, now.free - now.floor))};
    return {};
}

} // namespace kernel
