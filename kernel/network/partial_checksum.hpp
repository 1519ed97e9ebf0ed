// The half of a TCP or UDP checksum that stays with the guest when the device completes it (VIRTIO_NET_F_CSUM; VIRTIO 1.4, 5.1.6.2):
// the sum of the pseudo header goes into the checksum field. Works on a frame's first bytes; pure, any context.
//
//     if (auto partial = kernel::prepare_partial_checksum(headers)) { frame.checksum_start = partial->start; ... }
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace kernel {

struct PartialChecksum {
    std::uint16_t start = 0;  // from the Ethernet header
    std::uint16_t offset = 0; // from start
};

/// `headers` begins with the Ethernet header and holds everything up to the end of the TCP or UDP header. Writes the pseudo header's sum.
/// Nothing for anything else: another protocol, a fragment, headers that are not all there.
[[nodiscard]] std::optional<PartialChecksum> prepare_partial_checksum(std::span<std::uint8_t> headers) noexcept;

} // namespace kernel
