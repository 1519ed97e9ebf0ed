// What is measured: a ring, a shape of request, a batch. Nothing here is timed or counted by itself; rig.hpp runs it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace bench {

enum class Ring : std::uint8_t { split, packed };
inline constexpr std::array kRings{Ring::split, Ring::packed};
inline constexpr std::array<std::string_view, 2> kRingNames{"split", "packed"};

enum class Shape : std::uint8_t {
    one,      // one descriptor that the device writes
    slot,     // the same, from a fixed slot whose descriptor stands already
    inorder,  // the same as `one`, with IN_ORDER
    block,    // header, data, status: a preset chain whose data alone changes
    three,    // the same three parts, each time anew, as a direct chain
    indirect, // the same through an indirect table
};
inline constexpr std::array kShapes{Shape::one, Shape::slot, Shape::inorder, Shape::block, Shape::three, Shape::indirect};
inline constexpr std::array<std::string_view, 6> kShapeNames{"one", "slot", "inorder", "block", "three", "indirect"};

inline constexpr std::array<unsigned, 3> kBatches{1, 16, 32};
inline constexpr unsigned kQueueSize = 256;
inline constexpr unsigned kCounted = 8192; // operations, a whole number of laps for every batch

[[nodiscard]] constexpr std::string_view name(Ring ring) noexcept { return kRingNames[static_cast<std::size_t>(ring)]; }
[[nodiscard]] constexpr std::string_view name(Shape shape) noexcept { return kShapeNames[static_cast<std::size_t>(shape)]; }

} // namespace bench
