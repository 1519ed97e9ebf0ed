// The network device as it stands on the wire (VIRTIO 1.4, 5.1): type, features, configuration, packet header. Constants and
// wire structs only; a unit test compares them with the system's headers and with the specification's sections.
#pragma once

#include <cstddef>
#include <cstdint>

#include "libvirtio/base.hpp"
#include "libvirtio/config.hpp"
#include "libvirtio/feature.hpp"

namespace virtio {

inline constexpr std::uint32_t kNetType = 1; // VIRTIO 1.4, 5.1.1

enum class NetFeature : std::uint8_t { // VIRTIO 1.4, 5.1.3
    csum = 0,
    guest_csum = 1,
    ctrl_guest_offloads = 2,
    mtu = 3,
    mac = 5,
    gso = 6, // legacy only
    guest_tso4 = 7,
    guest_tso6 = 8,
    guest_ecn = 9,
    guest_ufo = 10,
    host_tso4 = 11,
    host_tso6 = 12,
    host_ecn = 13,
    host_ufo = 14,
    mrg_rxbuf = 15,
    status = 16,
    ctrl_vq = 17,
    ctrl_rx = 18,
    ctrl_vlan = 19,
    ctrl_rx_extra = 20,
    guest_announce = 21,
    mq = 22,
    ctrl_mac_addr = 23,
    device_stats = 50,
    hash_tunnel = 51,
    vq_notf_coal = 52,
    notf_coal = 53,
    guest_uso4 = 54,
    guest_uso6 = 55,
    host_uso = 56,
    hash_report = 57,
    guest_hdrlen = 59,
    rss = 60,
    rsc_ext = 61,
    standby = 62,
    speed_duplex = 63,
    rss_context = 64,
    guest_udp_tunnel_gso = 65,
    guest_udp_tunnel_gso_csum = 66,
    host_udp_tunnel_gso = 67,
    host_udp_tunnel_gso_csum = 68,
    out_net_header = 69,
    ipsec = 70,
};

/// Device configuration (VIRTIO 1.4, 5.1.4). The driver writes none of it (NET-001).
struct NetConfig {
    std::uint8_t mac[6];
    Le16 status;
    Le16 max_virtqueue_pairs;
    Le16 mtu;
    Le32 speed; // in units of 1 Mbit/s
    std::uint8_t duplex;
    std::uint8_t rss_max_key_size;
    Le16 rss_max_indirection_table_length;
    Le32 supported_hash_types;
    Le32 supported_tunnel_types;
};
static_assert(sizeof(NetConfig) == 28 && offsetof(NetConfig, mtu) == 10 && offsetof(NetConfig, duplex) == 16);

namespace net_config {
inline constexpr Field<std::uint8_t> kMac{.offset = 0, .feature = static_cast<std::uint8_t>(NetFeature::mac)};
inline constexpr Field<std::uint16_t> kStatus{.offset = 6, .feature = static_cast<std::uint8_t>(NetFeature::status)};
inline constexpr Field<std::uint16_t> kMtu{.offset = 10, .feature = static_cast<std::uint8_t>(NetFeature::mtu)};
inline constexpr Field<std::uint32_t> kSpeed{.offset = 12, .feature = static_cast<std::uint8_t>(NetFeature::speed_duplex)};
inline constexpr Field<std::uint8_t> kDuplex{.offset = 16, .feature = static_cast<std::uint8_t>(NetFeature::speed_duplex)};
inline constexpr std::uint16_t kStatusLinkUp = 1;
inline constexpr std::uint16_t kStatusAnnounce = 2;
inline constexpr std::uint16_t kLeastMtu = 68; // VIRTIO 1.4, 5.1.4.1
} // namespace net_config

/// What stands in front of every frame, both ways (VIRTIO 1.4, 5.1.6). 12 bytes for every device that negotiated VERSION_1 and none
/// of HASH_REPORT, UDP_TUNNEL_GSO, OUT_NET_HEADER and IPSEC, which is all that this driver does (NET-019, NET-068). On a legacy
/// device without MRG_RXBUF it ends before num_buffers: 10 bytes.
struct NetHeader {
    std::uint8_t flags = 0;
    std::uint8_t gso_type = 0;
    Le16 header_length;
    Le16 gso_size;
    Le16 checksum_start;
    Le16 checksum_offset;
    Le16 buffer_count; // num_buffers
};
static_assert(sizeof(NetHeader) == 12 && alignof(NetHeader) == 2);

namespace net_header {
inline constexpr std::uint8_t kNeedsChecksum = 1;     // VIRTIO_NET_HDR_F_NEEDS_CSUM
inline constexpr std::uint8_t kDataValid = 2;         // VIRTIO_NET_HDR_F_DATA_VALID
inline constexpr std::uint8_t kRscInfo = 4;           // VIRTIO_NET_HDR_F_RSC_INFO
inline constexpr std::uint8_t kUdpTunnelChecksum = 8; // VIRTIO_NET_HDR_F_UDP_TUNNEL_CSUM
inline constexpr std::uint8_t kSecurity = 16;         // VIRTIO_NET_HDR_F_SECURITY
inline constexpr std::uint8_t kSecurityError = 32;    // VIRTIO_NET_HDR_F_SECURITY_ERR
inline constexpr std::uint8_t kGsoNone = 0;           // VIRTIO_NET_HDR_GSO_NONE
inline constexpr std::uint8_t kGsoTcpV4 = 1;          // VIRTIO_NET_HDR_GSO_TCPV4
inline constexpr std::uint8_t kGsoUdp = 3;            // VIRTIO_NET_HDR_GSO_UDP
inline constexpr std::uint8_t kGsoTcpV6 = 4;          // VIRTIO_NET_HDR_GSO_TCPV6
inline constexpr std::uint8_t kGsoUdpL4 = 5;          // VIRTIO_NET_HDR_GSO_UDP_L4
inline constexpr std::uint8_t kGsoUdpTunnelV4 = 0x20; // VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV4
inline constexpr std::uint8_t kGsoUdpTunnelV6 = 0x40; // VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV6
inline constexpr std::uint8_t kGsoEcn = 0x80;         // VIRTIO_NET_HDR_GSO_ECN
} // namespace net_header

inline constexpr std::uint32_t kEthernetHeader = 14;
inline constexpr std::uint32_t kVlanTag = 4;
inline constexpr std::uint16_t kEthernetMtu = 1500;

} // namespace virtio
