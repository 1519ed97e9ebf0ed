// The network device's constants and layouts, compared with the system's header; what is newer than that header is compared with a
// table that names the section of VIRTIO 1.4.
#include <doctest/doctest.h>

#include <cstdio>

#include "drivers/net/net.hpp"

#include <linux/virtio_ids.h>
#define class class_ // the header is C and names a field so
#include <linux/virtio_net.h>
#undef class

using namespace virtio;

namespace {
constexpr unsigned bit(NetFeature feature) { return static_cast<unsigned>(feature); }
} // namespace

TEST_CASE("network constants and layouts equal the system's (trap 34)") {
    struct Pair {
        const char* what;
        unsigned long long ours, theirs;
    };
    const Pair pairs[] = {
        {"device type", kNetType, VIRTIO_ID_NET},
        {"CSUM", bit(NetFeature::csum), VIRTIO_NET_F_CSUM},
        {"GUEST_CSUM", bit(NetFeature::guest_csum), VIRTIO_NET_F_GUEST_CSUM},
        {"CTRL_GUEST_OFFLOADS", bit(NetFeature::ctrl_guest_offloads), VIRTIO_NET_F_CTRL_GUEST_OFFLOADS},
        {"MTU", bit(NetFeature::mtu), VIRTIO_NET_F_MTU},
        {"MAC", bit(NetFeature::mac), VIRTIO_NET_F_MAC},
        {"GSO", bit(NetFeature::gso), VIRTIO_NET_F_GSO},
        {"GUEST_TSO4", bit(NetFeature::guest_tso4), VIRTIO_NET_F_GUEST_TSO4},
        {"GUEST_TSO6", bit(NetFeature::guest_tso6), VIRTIO_NET_F_GUEST_TSO6},
        {"GUEST_ECN", bit(NetFeature::guest_ecn), VIRTIO_NET_F_GUEST_ECN},
        {"GUEST_UFO", bit(NetFeature::guest_ufo), VIRTIO_NET_F_GUEST_UFO},
        {"HOST_TSO4", bit(NetFeature::host_tso4), VIRTIO_NET_F_HOST_TSO4},
        {"HOST_TSO6", bit(NetFeature::host_tso6), VIRTIO_NET_F_HOST_TSO6},
        {"HOST_ECN", bit(NetFeature::host_ecn), VIRTIO_NET_F_HOST_ECN},
        {"HOST_UFO", bit(NetFeature::host_ufo), VIRTIO_NET_F_HOST_UFO},
        {"MRG_RXBUF", bit(NetFeature::mrg_rxbuf), VIRTIO_NET_F_MRG_RXBUF},
        {"STATUS", bit(NetFeature::status), VIRTIO_NET_F_STATUS},
        {"CTRL_VQ", bit(NetFeature::ctrl_vq), VIRTIO_NET_F_CTRL_VQ},
        {"CTRL_RX", bit(NetFeature::ctrl_rx), VIRTIO_NET_F_CTRL_RX},
        {"CTRL_VLAN", bit(NetFeature::ctrl_vlan), VIRTIO_NET_F_CTRL_VLAN},
        {"CTRL_RX_EXTRA", bit(NetFeature::ctrl_rx_extra), VIRTIO_NET_F_CTRL_RX_EXTRA},
        {"GUEST_ANNOUNCE", bit(NetFeature::guest_announce), VIRTIO_NET_F_GUEST_ANNOUNCE},
        {"MQ", bit(NetFeature::mq), VIRTIO_NET_F_MQ},
        {"CTRL_MAC_ADDR", bit(NetFeature::ctrl_mac_addr), VIRTIO_NET_F_CTRL_MAC_ADDR},
        {"NOTF_COAL", bit(NetFeature::notf_coal), VIRTIO_NET_F_NOTF_COAL},
        {"HASH_REPORT", bit(NetFeature::hash_report), VIRTIO_NET_F_HASH_REPORT},
        {"RSS", bit(NetFeature::rss), VIRTIO_NET_F_RSS},
        {"RSC_EXT", bit(NetFeature::rsc_ext), VIRTIO_NET_F_RSC_EXT},
        {"STANDBY", bit(NetFeature::standby), VIRTIO_NET_F_STANDBY},
        {"SPEED_DUPLEX", bit(NetFeature::speed_duplex), VIRTIO_NET_F_SPEED_DUPLEX},
        {"S_LINK_UP", net_config::kStatusLinkUp, VIRTIO_NET_S_LINK_UP},
        {"S_ANNOUNCE", net_config::kStatusAnnounce, VIRTIO_NET_S_ANNOUNCE},
        {"config.mac", offsetof(NetConfig, mac), offsetof(virtio_net_config, mac)},
        {"config.status", offsetof(NetConfig, status), offsetof(virtio_net_config, status)},
        {"config.max_virtqueue_pairs", offsetof(NetConfig, max_virtqueue_pairs), offsetof(virtio_net_config, max_virtqueue_pairs)},
        {"config.mtu", offsetof(NetConfig, mtu), offsetof(virtio_net_config, mtu)},
        {"config.speed", offsetof(NetConfig, speed), offsetof(virtio_net_config, speed)},
        {"config.duplex", offsetof(NetConfig, duplex), offsetof(virtio_net_config, duplex)},
        {"config.rss_max_key_size", offsetof(NetConfig, rss_max_key_size), offsetof(virtio_net_config, rss_max_key_size)},
        {"config.rss_max_indirection_table_length", offsetof(NetConfig, rss_max_indirection_table_length),
         offsetof(virtio_net_config, rss_max_indirection_table_length)},
        {"config.supported_hash_types", offsetof(NetConfig, supported_hash_types), offsetof(virtio_net_config, supported_hash_types)},
        {"field mac", net_config::kMac.offset, offsetof(virtio_net_config, mac)},
        {"field status", net_config::kStatus.offset, offsetof(virtio_net_config, status)},
        {"field mtu", net_config::kMtu.offset, offsetof(virtio_net_config, mtu)},
        {"field speed", net_config::kSpeed.offset, offsetof(virtio_net_config, speed)},
        {"field duplex", net_config::kDuplex.offset, offsetof(virtio_net_config, duplex)},
        {"sizeof header", sizeof(NetHeader), sizeof(virtio_net_hdr_v1)},
        {"header.flags", offsetof(NetHeader, flags), offsetof(virtio_net_hdr_v1, flags)},
        {"header.gso_type", offsetof(NetHeader, gso_type), offsetof(virtio_net_hdr_v1, gso_type)},
        {"header.hdr_len", offsetof(NetHeader, header_length), offsetof(virtio_net_hdr_v1, hdr_len)},
        {"header.gso_size", offsetof(NetHeader, gso_size), offsetof(virtio_net_hdr_v1, gso_size)},
        {"header.csum_start", offsetof(NetHeader, checksum_start), offsetof(virtio_net_hdr_v1, csum_start)},
        {"header.csum_offset", offsetof(NetHeader, checksum_offset), offsetof(virtio_net_hdr_v1, csum_offset)},
        {"header.num_buffers", offsetof(NetHeader, buffer_count), offsetof(virtio_net_hdr_v1, num_buffers)},
        {"HDR_F_NEEDS_CSUM", net_header::kNeedsChecksum, VIRTIO_NET_HDR_F_NEEDS_CSUM},
        {"HDR_F_DATA_VALID", net_header::kDataValid, VIRTIO_NET_HDR_F_DATA_VALID},
        {"HDR_F_RSC_INFO", net_header::kRscInfo, VIRTIO_NET_HDR_F_RSC_INFO},
        {"HDR_GSO_NONE", net_header::kGsoNone, VIRTIO_NET_HDR_GSO_NONE},
        {"HDR_GSO_TCPV4", net_header::kGsoTcpV4, VIRTIO_NET_HDR_GSO_TCPV4},
        {"HDR_GSO_UDP", net_header::kGsoUdp, VIRTIO_NET_HDR_GSO_UDP},
        {"HDR_GSO_TCPV6", net_header::kGsoTcpV6, VIRTIO_NET_HDR_GSO_TCPV6},
        {"HDR_GSO_ECN", net_header::kGsoEcn, VIRTIO_NET_HDR_GSO_ECN},
    };
    for (const Pair& pair : pairs) CHECK_MESSAGE(pair.ours == pair.theirs, pair.what);

    struct Newer {
        const char* what;
        unsigned long long ours, value;
        const char* section;
    };
    const Newer newer[] = {
        {"DEVICE_STATS", bit(NetFeature::device_stats), 50, "5.1.3"},
        {"HASH_TUNNEL", bit(NetFeature::hash_tunnel), 51, "5.1.3"},
        {"VQ_NOTF_COAL", bit(NetFeature::vq_notf_coal), 52, "5.1.3"},
        {"GUEST_USO4", bit(NetFeature::guest_uso4), 54, "5.1.3"},
        {"GUEST_USO6", bit(NetFeature::guest_uso6), 55, "5.1.3"},
        {"HOST_USO", bit(NetFeature::host_uso), 56, "5.1.3"},
        {"GUEST_HDRLEN", bit(NetFeature::guest_hdrlen), 59, "5.1.3"},
        {"RSS_CONTEXT", bit(NetFeature::rss_context), 64, "5.1.3"},
        {"GUEST_UDP_TUNNEL_GSO", bit(NetFeature::guest_udp_tunnel_gso), 65, "5.1.3"},
        {"GUEST_UDP_TUNNEL_GSO_CSUM", bit(NetFeature::guest_udp_tunnel_gso_csum), 66, "5.1.3"},
        {"HOST_UDP_TUNNEL_GSO", bit(NetFeature::host_udp_tunnel_gso), 67, "5.1.3"},
        {"HOST_UDP_TUNNEL_GSO_CSUM", bit(NetFeature::host_udp_tunnel_gso_csum), 68, "5.1.3"},
        {"OUT_NET_HEADER", bit(NetFeature::out_net_header), 69, "5.1.3"},
        {"IPSEC", bit(NetFeature::ipsec), 70, "5.1.3"},
        {"config.supported_tunnel_types", offsetof(NetConfig, supported_tunnel_types), 24, "5.1.4"},
        {"least MTU", net_config::kLeastMtu, 68, "5.1.4.1"},
        {"HDR_F_UDP_TUNNEL_CSUM", net_header::kUdpTunnelChecksum, 8, "5.1.6"},
        {"HDR_F_SECURITY", net_header::kSecurity, 16, "5.1.6"},
        {"HDR_F_SECURITY_ERR", net_header::kSecurityError, 32, "5.1.6"},
        {"HDR_GSO_UDP_L4", net_header::kGsoUdpL4, 5, "5.1.6"},
        {"HDR_GSO_UDP_TUNNEL_IPV4", net_header::kGsoUdpTunnelV4, 0x20, "5.1.6"},
        {"HDR_GSO_UDP_TUNNEL_IPV6", net_header::kGsoUdpTunnelV6, 0x40, "5.1.6"},
    };
    for (const Newer& entry : newer) CHECK_MESSAGE(entry.ours == entry.value, entry.what << ", VIRTIO 1.4, " << entry.section);
    std::printf("abi net: %zu constants and layouts equal the system's header, %zu newer ones the specification's\n", std::size(pairs),
                std::size(newer));
}

TEST_CASE("every feature bit of the device has a name, once") {
    FeatureSet named;
    for (const FeatureName& entry : NetDevice::feature_names()) {
        CHECK(!named.has(entry.bit));
        named.insert(entry.bit);
    }
    for (unsigned number = 0; number < 128; ++number) {
        const bool ours = number <= 23 ? number != 4 : number >= 50 && number <= 70 && number != 58;
        CHECK_MESSAGE(named.has(number) == ours, number);
    }
    CHECK(std::string_view{feature_name(bit(NetFeature::mrg_rxbuf), NetDevice::feature_names())} == "MRG_RXBUF");
}
