// What a device tree hands over at boot, as kernel::BootInfo: memory, what of it is reserved, the command line, the initial RAM disk,
// the tree itself. Before there is memory: nothing but the tree and the storage given is touched. Pure functions over hostile bytes.
//
//     auto ok = kernel::read_boot(tree, physical_address_of_tree, info, strings);     // else a message
#pragma once

#include <expected>
#include <span>

#include "kernel/boot_info.hpp"
#include "kernel/firmware/device_tree.hpp"

namespace kernel {

/// Fills `info`, whose command line will point into `strings` (cut off if it does not fit). The error is a sentence: no memory in the tree, or
/// more reserved ranges than can be kept (using one as memory would overwrite somebody).
[[nodiscard]] std::expected<void, const char*> read_boot(const DeviceTree& tree, std::uint64_t address, BootInfo& info,
                                                         std::span<char> strings) noexcept;

} // namespace kernel
