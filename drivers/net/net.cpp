#include "drivers/net/net.hpp"

#include "libvirtio/memory.hpp"

namespace virtio {
namespace {

constexpr std::array kNetFeatureNames{
    FeatureName{0, "CSUM"},
    FeatureName{1, "GUEST_CSUM"},
    FeatureName{2, "CTRL_GUEST_OFFLOADS"},
    FeatureName{3, "MTU"},
    FeatureName{5, "MAC"},
    FeatureName{6, "GSO"},
    FeatureName{7, "GUEST_TSO4"},
    FeatureName{8, "GUEST_TSO6"},
    FeatureName{9, "GUEST_ECN"},
    FeatureName{10, "GUEST_UFO"},
    FeatureName{11, "HOST_TSO4"},
    FeatureName{12, "HOST_TSO6"},
    FeatureName{13, "HOST_ECN"},
    FeatureName{14, "HOST_UFO"},
    FeatureName{15, "MRG_RXBUF"},
    FeatureName{16, "STATUS"},
    FeatureName{17, "CTRL_VQ"},
    FeatureName{18, "CTRL_RX"},
    FeatureName{19, "CTRL_VLAN"},
    FeatureName{20, "CTRL_RX_EXTRA"},
    FeatureName{21, "GUEST_ANNOUNCE"},
    FeatureName{22, "MQ"},
    FeatureName{23, "CTRL_MAC_ADDR"},
    FeatureName{50, "DEVICE_STATS"},
    FeatureName{51, "HASH_TUNNEL"},
    FeatureName{52, "VQ_NOTF_COAL"},
    FeatureName{53, "NOTF_COAL"},
    FeatureName{54, "GUEST_USO4"},
    FeatureName{55, "GUEST_USO6"},
    FeatureName{56, "HOST_USO"},
    FeatureName{57, "HASH_REPORT"},
    FeatureName{59, "GUEST_HDRLEN"},
    FeatureName{60, "RSS"},
    FeatureName{61, "RSC_EXT"},
    FeatureName{62, "STANDBY"},
    FeatureName{63, "SPEED_DUPLEX"},
    FeatureName{64, "RSS_CONTEXT"},
    FeatureName{65, "GUEST_UDP_TUNNEL_GSO"},
    FeatureName{66, "GUEST_UDP_TUNNEL_GSO_CSUM"},
    FeatureName{67, "HOST_UDP_TUNNEL_GSO"},
    FeatureName{68, "HOST_UDP_TUNNEL_GSO_CSUM"},
    FeatureName{69, "OUT_NET_HEADER"},
    FeatureName{70, "IPSEC"},
};

constexpr std::uint16_t kReceiveQueue = 0; // VIRTIO 1.4, 5.1.2
constexpr std::uint16_t kTransmitQueue = 1;

/// A station's own address: not the group bit, not all zeros.
bool usable(const NetDevice::MacAddress& mac) noexcept {
    unsigned any = 0;
    for (const std::uint8_t byte : mac) any |= byte;
    return (any != 0 || mutant(403)) && ((mac[0] & 1) == 0 || mutant(404));
}

} // namespace

std::span<const FeatureName> NetDevice::feature_names() noexcept { return kNetFeatureNames; }

Result<> NetDevice::start(Platform& platform, Transport& transport, const Options& options) noexcept {
    if (device_.started() && !mutant(400)) return fail(Error::already_started);
    platform_ = &platform;
    transport_ = &transport;
    options_ = options;
    const Result<> up = bring_up();
    if (!up) {
        refuse(Error::not_started);
        device_.abort();
        release_receive();
        release_transmit();
        return up;
    }
    return {};
}

Result<> NetDevice::bring_up() noexcept {
    if (const Result<> done = device_.begin(*platform_, *transport_, kNetType); !done) return done;
    const Result<Policy> policy = inspect();
    if (!policy) return fail(policy.error());
    // No feature of the policy depends on another one (VIRTIO 1.4, 5.1.3.1).
    if (const Result<> done = device_.negotiate(*policy, {}); !done) return done;
    domain_ = &device_.domain();
    const FeatureSet& features = device_.features();
    mergeable_ = features.has(NetFeature::mrg_rxbuf);
    checksum_out_ = features.has(NetFeature::csum);
    checksum_in_ = features.has(NetFeature::guest_csum);
    const bool legacy = transport_->legacy();
    header_missing_ = legacy && !mergeable_ ? std::uint8_t{sizeof(NetHeader::buffer_count)} : std::uint8_t{0};
    header_apart_ = legacy && !features.has(RingFeature::any_layout); // NET-146
    framed_otherwise_ = header_missing_ != 0 || header_apart_;
    link_up_ = true; // NET-005
    speed_ = {};
    full_duplex_ = {};
    if (const Result<> done = read_link(); !done) return done;

    device_.connect_interrupts(2);
    QueueOptions receive_options;
    receive_options.maximum_size = options_.receive_queue;
    receive_options.fixed = !header_apart_; // else a buffer is a chain of two
    if (const Result<> done = device_.add_queue(kReceiveQueue, receive_, receive_options); !done) return done;
    QueueOptions transmit_options;
    transmit_options.maximum_size = options_.transmit_queue;
    transmit_options.indirect_entries = kMostSegments;
    // With indirect tables every frame is one descriptor, and its slot's; without them, chains.
    transmit_options.fixed = features.has(RingFeature::indirect_desc);
    transmit_options.lazy = true;
    if (const Result<> done = device_.add_queue(kTransmitQueue, transmit_, transmit_options); !done) return done;
    if (const Result<> done = create_receive(); !done) return done;
    if (const Result<> done = create_transmit(); !done) return done;
    quiet_interrupts();
    if (const Result<> done = device_.run(); !done) return done;
    update_state();
    announced_up_ = link_up_;
    return {};
}

// Configuration of what is offered may be read before FEATURES_OK: a value that makes no sense takes its feature out of the bargain.
Result<Policy> NetDevice::inspect() noexcept {
    const Config& config = device_.config();
    Policy policy;
    policy.wanted =
        FeatureSet::of(NetFeature::csum, NetFeature::guest_csum, NetFeature::mrg_rxbuf, NetFeature::status, NetFeature::speed_duplex);
    mtu_ = kEthernetMtu;
    if (device_.offered().has(NetFeature::mtu)) { // NET-007
        const Result<std::uint16_t> mtu = config.read(net_config::kMtu);
        if (!mtu) return fail(mtu.error());
        if (*mtu >= net_config::kLeastMtu || mutant(402)) {
            mtu_ = *mtu;
            policy.wanted.insert(NetFeature::mtu);
        } else {
            platform_->log(LogLevel::warning, "net: MTU below 68 ignored");
        }
    }
    bool given = false;
    if (device_.offered().has(NetFeature::mac)) { // NET-002
        MacAddress mac{};
        if (const Result<> read = config.read(net_config::kMac, mac); !read) return fail(read.error());
        given = usable(mac);
        if (given) {
            mac_ = mac; // NET-003
            random_mac_ = false;
            policy.wanted.insert(NetFeature::mac);
        } else if (options_.random == nullptr && !mutant(405)) {
            return fail(Error::bad_config);
        } else {
            platform_->log(LogLevel::warning, "net: MAC address of the device is not a station's, ignored");
        }
    } else if (options_.random == nullptr && !mutant(406)) {
        policy.required.insert(NetFeature::mac); // the refusal names the bit
        return policy;
    }
    if (!given && !random_mac_) { // NET-004; kept over a recover
        options_.random(mac_);
        mac_[0] = static_cast<std::uint8_t>((mac_[0] & 0xfeu) | 0x02u);
        random_mac_ = true;
    }
    return policy;
}

Result<> NetDevice::read_link() noexcept {
    const Config& config = device_.config();
    if (device_.features().has(NetFeature::status)) {
        const Result<std::uint16_t> status = config.read(net_config::kStatus);
        if (!status) return fail(status.error());
        link_up_ = (*status & net_config::kStatusLinkUp) != 0; // NET-006
    }
    if (device_.features().has(NetFeature::speed_duplex)) {
        const Result<std::uint32_t> speed = config.read(net_config::kSpeed);
        if (!speed) return fail(speed.error());
        speed_ = *speed <= 0x7fff'ffffu || mutant(407) ? std::optional{*speed} : std::nullopt; // NET-011
        const Result<std::uint8_t> duplex = config.read(net_config::kDuplex);
        if (!duplex) return fail(duplex.error());
        full_duplex_ = *duplex <= 1 || mutant(408) ? std::optional{*duplex == 1} : std::nullopt; // NET-012
    }
    return {};
}

void NetDevice::configuration_changed() noexcept {
    const Result<std::uint8_t> status = transport_->status();
    if (!status) return refuse(status.error());
    if ((*status & status::kNeedsReset) != 0 && !mutant(409)) {
        platform_->log(LogLevel::error, "net: device needs a reset");
        return refuse(Error::needs_reset);
    }
    if (const Result<> read = read_link(); !read) { // NET-013
        if (read.error() == Error::device_gone) refuse(read.error());
        return; // a configuration that does not stand still announces itself again
    }
    update_state();
    // QEMU (7.2) drops what a queue holds when it is told of it while the link is down, and leaves a packed ring with notifications off.
    // Told of it now it asks for them again, but, if it finds nothing to send, where the ring was before: so it is told of the next frame,
    // too (flush()). Nothing would be sent again else. The link may have gone and come back since somebody looked.
    if (link_up_) {
        transmit_.kick_always();
        tell_of_frame_ = true;
    }
    announce_link(announced_up_);
}

void NetDevice::announce_link(bool known) noexcept {
    announced_up_ = link_up_;
    if (link_up_ == known && !mutant(410)) return;
    ++counters_.link_changes;
    if (options_.client.link_changed != nullptr || mutant(411)) options_.client.link_changed(options_.client.context);
}

void NetDevice::refuse(Error error) noexcept {
    fault_ = error;
    refuse_ = error;
}

void NetDevice::update_state() noexcept {
    if (fault_ == Error::none) refuse_ = link_up_ ? Error::none : Error::link_down;
}

void NetDevice::look_for_faults() noexcept {
    if (fault_ != Error::none || ((!receive_.broken() || mutant(412)) && (!transmit_.broken() || mutant(413)))) [[likely]]
        return;
    platform_->log(LogLevel::error, receive_.broken() ? "net: receive queue broken:" : "net: transmit queue broken:");
    platform_->log(LogLevel::error, message(receive_.broken() ? receive_.fault() : transmit_.fault()));
    refuse(Error::queue_broken);
}

unsigned NetDevice::poll(unsigned budget) noexcept {
    if (polling_ && !mutant(414)) return 0;
    const bool told = device_.event().take() != 0 || device_.interrupt_mode() == InterruptMode::polled;
    if (fault_ != Error::none && !mutant(415)) return 0; // the mark is taken all the same: whoever sleeps on it would not sleep
    polling_ = true;
    unsigned work = 0;
    unsigned buffers = 0;
    if (device_.take_config_change()) {
        configuration_changed();
        ++work;
    }
    work += reclaim();
    if (told) { // else the receive queue is armed: a look at it would only hide a lost interrupt from the watchdog
        receive_.suppress_interrupts();
        buffers = receive_.poll(budget);
        if (buffers < budget) drop_incomplete();
    }
    flush();
    look_for_faults();
    // Whatever came in after the last look must not wait for the next interrupt.
    if (told && fault_ == Error::none && (buffers == budget || receive_.arm_interrupts()))
        device_.event().mark(Device::queue_bit(kReceiveQueue));
    polling_ = false;
    return work + buffers;
}

bool NetDevice::wait(std::uint64_t deadline_ns) noexcept {
    flush();
    if (frames_lent_ == 0) return device_.wait(deadline_ns);
    // Transmit completions do not interrupt: the memory of the last frames is given back by this tick's poll().
    const std::uint64_t now = platform_->now_ns();
    const bool tick = now < deadline_ns && deadline_ns - now > kReclaimNs;
    return device_.wait(tick ? now + kReclaimNs : deadline_ns) || tick;
}

Result<> NetDevice::stop() noexcept {
    if (transport_ == nullptr) return {}; // removed, or never started
    refuse(Error::not_started);
    const Result<> stopped = device_.stop(Error::device_reset);
    release_receive();
    release_transmit();
    return stopped;
}

Result<> NetDevice::remove() noexcept {
    const Result<> stopped = stop();
    refuse(Error::device_gone);
    link_up_ = announced_up_ = false;
    device_.forget();
    transport_ = nullptr;
    return stopped;
}

Result<> NetDevice::recover() noexcept {
    if (transport_ == nullptr && !mutant(416)) return fail(fault_);
    if (device_.started())
        if (const Result<> stopped = stop(); !stopped) return stopped;
    const bool known = announced_up_;
    const Result<> started = start(*platform_, *transport_, options_);
    if (started) announce_link(known); // it may have changed meanwhile
    return started;
}

} // namespace virtio
