// A NetDevice, the fake device under it, and a client above it: what the tests of the network driver share. The device's side knows
// the packet header as 12 bytes and shares no definition with the driver.
#pragma once

#include <doctest/doctest.h>

#include <array>
#include <list>
#include <random>

#include "drivers/net/net.hpp"
#include "tests/unit/support/fake_device.hpp"

namespace lan {

using virtio::FeatureSet;
using virtio::NetDevice;
using virtio::NetFeature;
using virtio::RingFeature;

using Bytes = std::vector<std::uint8_t>;
inline constexpr unsigned kRx = 0, kTx = 1;

/// The header as the device writes or finds it.
struct Header {
    std::uint8_t flags = 0, gso = 0;
    std::uint16_t header_length = 0, gso_size = 0, start = 0, offset = 0, buffers = 1;

    [[nodiscard]] std::array<std::uint8_t, 12> wire() const {
        const auto low = [](unsigned v) { return static_cast<std::uint8_t>(v); };
        const auto high = [](unsigned v) { return static_cast<std::uint8_t>(v >> 8); };
        return {flags,      gso,         low(header_length), high(header_length), low(gso_size), high(gso_size),
                low(start), high(start), low(offset),        high(offset),        low(buffers),  high(buffers)};
    }
};

inline Bytes frame(std::size_t length, unsigned seed = 1) {
    Bytes bytes(length);
    std::minstd_rand random{seed + 1};
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    return bytes;
}
inline std::span<const std::byte> as_bytes(const Bytes& bytes) { return std::as_bytes(std::span{bytes}); }

/// Configuration space of a network device: 52:54:00:12:34:56, link up, MTU 1500, 10000 Mbit/s, full duplex.
inline Bytes config(std::uint16_t mtu = 1500) {
    Bytes c(28);
    c[0] = 0x52, c[1] = 0x54, c[2] = 0x00, c[3] = 0x12, c[4] = 0x34, c[5] = 0x56;
    c[6] = 1;
    c[8] = 1;
    c[10] = static_cast<std::uint8_t>(mtu), c[11] = static_cast<std::uint8_t>(mtu >> 8);
    c[12] = 0x10, c[13] = 0x27;
    c[16] = 1;
    return c;
}

inline FeatureSet usual() {
    return FeatureSet::of(NetFeature::mac, NetFeature::status, NetFeature::csum, NetFeature::guest_csum, RingFeature::version_1,
                          RingFeature::event_idx, RingFeature::indirect_desc);
}
inline FeatureSet without(FeatureSet set, NetFeature feature) {
    set.erase(feature);
    return set;
}
inline FeatureSet with(FeatureSet set, NetFeature feature) {
    set.insert(feature);
    return set;
}

struct Sent {
    std::array<std::uint8_t, 12> header;
    Bytes frame;
    fake::Chain chain;
};
struct Received {
    Bytes bytes;
    virtio::NetChecksum checksum;
    std::vector<virtio::NetPiece> pieces;
};

struct Lan {
    explicit Lan(FeatureSet features = usual(), Bytes configuration = config(), std::uint16_t rx = 64, std::uint16_t tx = 64,
                 virtio::QueueLayout layout = virtio::QueueLayout::free)
        : device({.type = 1, .features = features, .config = std::move(configuration), .queue_sizes = {rx, tx}, .layout = layout}) {
        options.client = {this, &on_received, &on_transmitted, &on_link};
        device.firewall = &platform.firewall;
    }
    ~Lan() {
        static_cast<void>(card.stop());
        for (const Received& one : received) give_back(one);
    }

    virtio::Result<> start() { return card.start(platform, device, options); }

    static void on_received(void* context, const virtio::NetFrame& frame) noexcept {
        Lan& lan = *static_cast<Lan*>(context);
        Received one{{}, frame.checksum, {frame.pieces.begin(), frame.pieces.end()}};
        for (const auto& piece : frame.pieces) {
            const auto* first = reinterpret_cast<const std::uint8_t*>(piece.data);
            one.bytes.insert(one.bytes.end(), first, first + piece.length);
        }
        CHECK(one.bytes.size() == frame.length);
        lan.received.push_back(one);
        if (!lan.hold) lan.recycle_last();
        if (lan.in_received) lan.in_received();
    }
    static void on_transmitted(void* context, void* cookie) noexcept {
        Lan& lan = *static_cast<Lan*>(context);
        lan.transmitted.push_back(reinterpret_cast<std::uintptr_t>(cookie));
        if (lan.in_transmitted) lan.in_transmitted();
    }
    static void on_link(void* context) noexcept { ++static_cast<Lan*>(context)->link_events; }

    void recycle_last() {
        give_back(received.back());
        received.back().pieces.clear();
    }
    void give_back(const Received& one) {
        for (const auto& piece : one.pieces) card.recycle(piece.token);
    }

    // --- the device's side ---

    /// One frame into as many buffers as it needs, all shown together. False: not enough buffers.
    bool deliver(const Bytes& payload, Header header = {}, bool set_count = true) {
        std::vector<fake::Chain> chains;
        std::size_t room = 0;
        while (room < payload.size() + header_bytes) {
            auto chain = device.take(kRx);
            if (!chain) return false;
            if (apart) CHECK((chain->writable.size() >= 2 && chain->writable[0].length == header_bytes)); // NET-146
            room += chain->writable_bytes();
            chains.push_back(*chain);
        }
        if (set_count) header.buffers = static_cast<std::uint16_t>(chains.size());
        const auto wire = header.wire();
        Bytes all(wire.begin(), wire.begin() + header_bytes);
        all.insert(all.end(), payload.begin(), payload.end());
        std::vector<std::pair<std::uint32_t, std::uint32_t>> used;
        std::size_t done = 0;
        for (const fake::Chain& chain : chains) {
            const std::size_t now = chain.write(0, all.data() + done, std::min(chain.writable_bytes(), all.size() - done));
            used.emplace_back(chain.head, static_cast<std::uint32_t>(now));
            done += now;
        }
        device.use_batch(kRx, used);
        return true;
    }
    /// One buffer with a header of our choice and any claim of length.
    bool claim(const Header& header, std::uint32_t length) {
        const auto chain = device.take(kRx);
        if (!chain) return false;
        const auto wire = header.wire();
        chain->write(0, wire.data(), wire.size());
        device.use(kRx, *chain, length);
        return true;
    }
    std::vector<Sent> drain(bool complete = true) {
        std::vector<Sent> all;
        while (auto chain = device.take(kTx)) {
            Sent sent{{}, {}, *chain};
            CHECK(chain->writable.empty());
            REQUIRE(chain->readable_bytes() >= header_bytes);
            if (apart) CHECK((chain->readable.size() >= 2 && chain->readable[0].length == header_bytes)); // NET-146
            chain->read(0, sent.header.data(), header_bytes);
            sent.frame.resize(chain->readable_bytes() - header_bytes);
            chain->read(header_bytes, sent.frame.data(), sent.frame.size());
            all.push_back(sent);
            if (complete) device.use(kTx, *chain, 0);
        }
        return all;
    }
    void set_link(bool up) {
        device.config[6] = up ? 1 : 0;
        device.config_changed();
    }

    virtio::Result<> send(const Bytes& payload, std::uintptr_t cookie, std::optional<virtio::ChecksumRequest> checksum = {}) {
        lent.push_back(payload); // lent memory lives as long as the bench
        const std::span<const std::byte> fragment = as_bytes(lent.back());
        virtio::NetTransmit request;
        request.fragments = {&fragment, 1};
        request.cookie = reinterpret_cast<void*>(cookie);
        request.checksum = checksum;
        return card.transmit(request);
    }
    /// Nothing is lost: every buffer is with the device, with us, or (after a stop) idle.
    [[nodiscard]] std::size_t held() const {
        std::size_t pieces = 0;
        for (const Received& one : received) pieces += one.pieces.size();
        return pieces;
    }

    fake::HostPlatform platform;
    fake::FakeDevice device;
    NetDevice card;
    NetDevice::Options options;
    std::list<Bytes> lent;
    std::vector<Received> received;
    std::vector<std::uintptr_t> transmitted;
    std::function<void()> in_received, in_transmitted;
    unsigned link_events = 0;
    bool hold = false;
    std::uint32_t header_bytes = 12; // a legacy device's is shorter without MRG_RXBUF
    bool apart = false;              // it wants the header in a descriptor of its own
};

inline void random_bytes(std::span<std::uint8_t> out) noexcept {
    for (auto& byte : out) byte = 0xff;
}

} // namespace lan
