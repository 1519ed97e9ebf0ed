// Where an MMIO device is, as the command line says it in Linux's words: virtio_mmio.device=<size>@<base>:<irq>[:<id>], with
// numbers in any of C's bases and the suffixes K, M and G. Pure parsing of outside input; any context.
#pragma once

#include <cstdint>
#include <string_view>

#include "libvirtio/base.hpp"

namespace virtio {

struct MmioSlot {
    std::uint64_t base = 0;
    std::uint64_t size = 0;
    std::uint32_t interrupt = 0; // the platform's number: a GSI on x86-64

    friend constexpr bool operator==(const MmioSlot&, const MmioSlot&) noexcept = default;
};

/// Parses what stands after "virtio_mmio.device=". Errors: invalid_argument (not of that form, or not 4-byte aligned),
/// out_of_range (a number that does not fit, or a block that ends beyond the address space).
[[nodiscard]] Result<MmioSlot> parse_mmio_slot(std::string_view text) noexcept;

} // namespace virtio
