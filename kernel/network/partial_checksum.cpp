#include "kernel/network/partial_checksum.hpp"

namespace kernel {

namespace {

constexpr std::size_t kEthernetBytes = 14;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;

std::uint16_t big_endian(std::span<const std::uint8_t> bytes, std::size_t at) noexcept {
    return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

} // namespace

std::optional<PartialChecksum> prepare_partial_checksum(std::span<std::uint8_t> headers) noexcept {
    if (headers.size() < kEthernetBytes + 20 || big_endian(headers, 12) != 0x0800) return std::nullopt;
    const std::span<std::uint8_t> ip = headers.subspan(kEthernetBytes);
    const std::size_t ip_bytes = std::size_t{ip[0] & 15u} * 4;
    const std::uint16_t total = big_endian(ip, 2);
    if (ip[0] >> 4 != 4 || ip_bytes < 20 || total < ip_bytes) return std::nullopt;
    if ((big_endian(ip, 6) & 0x3fff) != 0) return std::nullopt; // a fragment: more to come, or not the first
    const std::uint8_t protocol = ip[9];
    if (protocol != kTcp && protocol != kUdp) return std::nullopt;
    const std::size_t offset = protocol == kTcp ? 16 : 6;
    if (ip.size() < ip_bytes + offset + 2) return std::nullopt;
    std::uint32_t sum = protocol + std::uint32_t{total} - static_cast<std::uint32_t>(ip_bytes);
    for (std::size_t at = 12; at < 20; at += 2) sum += big_endian(ip, at);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    ip[ip_bytes + offset] = static_cast<std::uint8_t>(sum >> 8);
    ip[ip_bytes + offset + 1] = static_cast<std::uint8_t>(sum);
    return PartialChecksum{static_cast<std::uint16_t>(kEthernetBytes + ip_bytes), static_cast<std::uint16_t>(offset)};
}

} // namespace kernel
