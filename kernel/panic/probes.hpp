// Boot probes: each does one thing that the memory protection must stop. A probe that returns has found a hole.
// Task context; called by the self-test image for `probe=NAME` on the command line. The expected end is a panic (status 101).
//
//     if (auto name = kernel::command_line_value("probe")) kernel::run_probe(*name);      // comes back only on failure
#pragma once

#include <span>
#include <string_view>

#include "libvirtio/base.hpp"

namespace kernel {

struct Probe {
    std::string_view name;
    std::string_view expected; ///< words that the panic must contain
    void (*run)();
};

/// write-text, write-rodata, execute-heap, execute-stack, read-null, execute-null, stack-overflow, smash-canary
[[nodiscard]] std::span<const Probe> probes() noexcept;

/// not_found for an unknown name; io_error if the probe came back (the protection has a hole).
[[nodiscard]] virtio::Result<> run_probe(std::string_view name);

} // namespace kernel
