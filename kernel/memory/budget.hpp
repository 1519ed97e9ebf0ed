// A budget of memory: how much of the machine's RAM the kernel may use, image included. Pure arithmetic over the memory map.
//
//     const auto bytes = kernel::parse_size("24M");
//     const std::uint64_t end = kernel::end_of_budget(memory_map(), image_begin, image_end, *bytes);     // RAM from there on is left alone
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>

#include "kernel/boot_info.hpp"

namespace kernel {

/// "24M", "65536K", "1G", "0x1000000" (bytes); nothing if it is not of that form, is 0 or does not fit.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text) noexcept;

/// Where usable memory must end so that the image and all usable memory below make no more than `budget` bytes; the largest number if
/// all of it fits, 0 if not even the image does.
[[nodiscard]] std::uint64_t end_of_budget(std::span<const MemoryRegion> map, std::uint64_t image_begin, std::uint64_t image_end,
                                          std::uint64_t budget) noexcept;

} // namespace kernel
