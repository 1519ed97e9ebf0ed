// The network driver on a legacy device: a header of 10 or 12 bytes, with the frame or apart from it, chains or tables (VIRTIO 1.4,
// 5.1.6.1, 5.1.7; NET-146).
#include <array>

#include "tests/unit/support/lan.hpp"

using namespace virtio;
using namespace lan;

namespace {

struct Shape {
    bool mergeable, any_layout, indirect, event_index;
};

FeatureSet features(const Shape& shape) {
    FeatureSet set = FeatureSet::of(NetFeature::mac, NetFeature::status, NetFeature::csum, NetFeature::guest_csum);
    if (shape.mergeable) set.insert(NetFeature::mrg_rxbuf);
    if (shape.any_layout) set.insert(RingFeature::any_layout);
    if (shape.indirect) set.insert(RingFeature::indirect_desc);
    if (shape.event_index) set.insert(RingFeature::event_idx);
    return set;
}

struct LegacyLan : Lan {
    explicit LegacyLan(const Shape& shape, std::uint16_t mtu = 1500)
        : Lan(features(shape), config(mtu), 32, 16, QueueLayout::contiguous_whole) {
        header_bytes = shape.mergeable ? 12 : 10;
        apart = !shape.any_layout;
    }
};

template<class Use> void each_shape(Use use) {
    for (unsigned bits = 0; bits < 16; ++bits) use(Shape{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0});
}

} // namespace

TEST_CASE("legacy: frames arrive whole, whatever the header's length and place, more of them than the ring has places") {
    each_shape([](const Shape& shape) {
        LegacyLan lan{shape};
        REQUIRE(lan.start());
        for (unsigned i = 0; i < 100; ++i) {
            const Bytes payload = frame(60 + i * 14, i);
            REQUIRE(lan.deliver(payload, {}, shape.mergeable));
            lan.card.poll();
            REQUIRE(lan.received.size() == i + 1);
            CHECK(lan.received.back().bytes == payload);
        }
        // What the header says is understood: a partial sum, and a runt.
        Header header;
        header.flags = 1;
        header.start = 14;
        header.offset = 6;
        REQUIRE(lan.deliver(frame(80), header, shape.mergeable));
        lan.card.poll();
        CHECK(lan.received.back().checksum == NetChecksum::partial);
        REQUIRE(lan.claim({}, lan.header_bytes + 13));
        lan.card.poll();
        CHECK(lan.card.counters().dropped_runt == 1);
        CHECK(lan.received.size() == 101);
        CHECK(lan.card.posted() == lan.card.receive_buffers());
        CHECK(lan.device.violations == std::vector<std::string>{});
        CHECK(lan.device.queues[kRx].size == 32); // the device's own
    });
}

TEST_CASE("legacy: what is sent has the header that the device expects") {
    each_shape([](const Shape& shape) {
        LegacyLan lan{shape};
        REQUIRE(lan.start());
        unsigned sent = 0;
        const auto check = [&](const Bytes& payload, bool summed) {
            lan.card.flush();
            const auto out = lan.drain();
            REQUIRE(out.size() == 1);
            CHECK(out[0].frame == payload);
            CHECK(out[0].header[0] == (summed ? 1 : 0));
            CHECK(out[0].header[1] == 0);
            CHECK(out[0].header[6] == (summed ? 14 : 0));
            CHECK(out[0].header[8] == (summed ? 6 : 0));
            lan.card.poll();
            ++sent;
        };
        for (unsigned i = 0; i < 40; ++i) {
            const Bytes payload = frame(60 + 11 * i, i);
            REQUIRE(lan.card.transmit(as_bytes(payload))); // copied
            check(payload, false);
            REQUIRE(lan.card.transmit(as_bytes(payload), ChecksumRequest{14, 6}));
            check(payload, true);
            REQUIRE(lan.send(payload, i)); // lent
            check(payload, false);
            // With room in front of it, and in two fragments.
            Bytes roomy(kNetHeadroom + payload.size(), 0xee);
            std::copy(payload.begin(), payload.end(), roomy.begin() + kNetHeadroom);
            const std::array one{as_bytes(roomy).subspan(kNetHeadroom)};
            REQUIRE(lan.card.transmit({.fragments = one, .cookie = nullptr, .headroom = kNetHeadroom, .checksum = ChecksumRequest{14, 6}}));
            check(payload, true);
            const std::array two{one[0].first(33), one[0].subspan(33)};
            REQUIRE(lan.card.transmit({.fragments = two, .cookie = nullptr, .headroom = kNetHeadroom}));
            check(payload, false);
        }
        CHECK(lan.card.counters().transmitted_frames == sent);
        CHECK(lan.device.violations == std::vector<std::string>{});
    });
}

TEST_CASE("legacy: a queue that is full says so and goes on when there is room; nothing is lost by a reset") {
    each_shape([](const Shape& shape) {
        LegacyLan lan{shape};
        REQUIRE(lan.start());
        for (unsigned round = 0; round < 3; ++round) {
            unsigned sent = 0;
            while (lan.send(frame(100), sent)) ++sent;
            CHECK(sent >= 7); // chains of two in a ring of 16, or tables
            CHECK(sent <= 16);
            lan.card.flush();
            CHECK(lan.drain().size() == sent);
            lan.card.poll();
            CHECK(lan.transmitted.size() == sent);
            lan.transmitted.clear();
        }
        REQUIRE(lan.send(frame(100), 1));
        REQUIRE(lan.card.recover());
        CHECK(lan.transmitted.size() == 1);
        const Bytes payload = frame(500);
        REQUIRE(lan.deliver(payload, {}, shape.mergeable));
        lan.card.poll();
        CHECK(lan.received.back().bytes == payload);
        CHECK(lan.device.violations == std::vector<std::string>{});
    });
}

TEST_CASE("legacy: a large frame over several mergeable buffers, the header apart in each") {
    for (const bool any_layout : {false, true}) {
        Shape shape{true, any_layout, true, true};
        FeatureSet set = features(shape);
        set.insert(NetFeature::mtu);
        Lan lan{set, config(9000), 32, 16, QueueLayout::contiguous_whole};
        lan.apart = !any_layout;
        REQUIRE(lan.start());
        for (unsigned i = 0; i < 20; ++i) {
            const Bytes payload = frame(9000 - i, i);
            REQUIRE(lan.deliver(payload));
            lan.card.poll();
            REQUIRE(lan.received.size() == i + 1);
            CHECK(lan.received.back().bytes == payload);
            CHECK(lan.received.back().bytes.size() > 4096);
        }
        CHECK(lan.device.violations == std::vector<std::string>{});
    }
}
