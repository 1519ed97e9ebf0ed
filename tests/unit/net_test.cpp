// The network driver's life cycle and sending: negotiation, link, MTU, checksums, ring full, resets.
#include <algorithm>
#include <set>

#include "tests/unit/support/crooked_domain.hpp"
#include "tests/unit/support/lan.hpp"

using namespace virtio;
using namespace lan;

TEST_CASE("nothing is acknowledged that is not implemented, and what is offered and implemented is taken (trap 12, NET-002, NET-007)") {
    FeatureSet everything;
    for (unsigned bit = 0; bit < 128; ++bit)
        if (bit != 33) everything.insert(bit); // ACCESS_PLATFORM needs a domain of its own
    Lan lan{everything};
    REQUIRE(lan.start());
    const FeatureSet expected =
        FeatureSet::of(NetFeature::csum, NetFeature::guest_csum, NetFeature::mtu, NetFeature::mac, NetFeature::mrg_rxbuf,
                       NetFeature::status, NetFeature::speed_duplex, RingFeature::version_1) |
        (kRingFeatures - FeatureSet::of(RingFeature::access_platform));
    CHECK(lan.device.accepted == expected);
    CHECK(lan.card.mac() == NetDevice::MacAddress{0x52, 0x54, 0x00, 0x12, 0x34, 0x56});
    CHECK(lan.card.mtu() == 1500);
    CHECK(lan.card.link_up());
    CHECK(lan.card.speed() == 10000);
    CHECK(lan.card.full_duplex() == true);
    CHECK(lan.device.config == config()); // NET-001
    CHECK(lan.device.violations.empty());
    CHECK(lan.platform.log_lines.empty());
}

TEST_CASE("fields are read only with their feature bits (trap 33: STATUS and MAC)") {
    // A device without any feature, and without a configuration space.
    Lan lan{FeatureSet::of(RingFeature::version_1), {}};
    lan.options.random = &random_bytes;
    REQUIRE(lan.start());
    CHECK(lan.device.config_reads == 0);
    CHECK(lan.card.link_up()); // NET-005
    CHECK(lan.card.mtu() == 1500);
    CHECK(!lan.card.speed());
    CHECK(lan.card.mac()[0] == 0xfe); // locally administered, no group (NET-004)
    REQUIRE(lan.card.transmit(as_bytes(frame(60))));
    lan.card.flush();
    CHECK(lan.drain().size() == 1);
    CHECK(lan.deliver(frame(60), {}, false));
    lan.card.poll();
    CHECK(lan.received.size() == 1);
    CHECK(lan.device.violations.empty());
}

TEST_CASE("MAC address: given, or random, or refused with the bit's name") {
    {
        Lan lan{without(usual(), NetFeature::mac)};
        auto started = lan.start();
        REQUIRE(!started);
        CHECK(started.error() == Error::feature_missing);
        CHECK(lan.card.device().refusal().bit == 5);
        CHECK(lan.platform.live.empty());
    }
    for (const std::uint8_t first : std::initializer_list<std::uint8_t>{0x00, 0x01, 0x33}) { // all zeros, and groups
        Lan lan;
        std::fill_n(lan.device.config.begin(), 6, first);
        auto started = lan.start();
        REQUIRE(!started);
        CHECK(started.error() == Error::bad_config);
        lan.options.random = &random_bytes;
        REQUIRE(lan.start());
        CHECK(!lan.device.accepted.has(NetFeature::mac));
        CHECK(lan.card.mac() == NetDevice::MacAddress{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff});
        lan.options.random = nullptr;
        const auto before = lan.card.mac();
        REQUIRE(lan.card.recover());
        CHECK(lan.card.mac() == before);
    }
}

TEST_CASE("link events: down refuses frames, up lets them flow; what is received meanwhile is not lost (NET-006)") {
    Lan lan;
    REQUIRE(lan.start());
    CHECK(lan.card.state() == Error::none);
    lan.set_link(false);
    lan.card.poll();
    CHECK(!lan.card.link_up());
    CHECK(lan.link_events == 1);
    CHECK(lan.card.transmit(as_bytes(frame(60))).error() == Error::link_down);
    CHECK(lan.send(frame(60), 1).error() == Error::link_down);
    lan.device.config_changed(); // without a change
    lan.card.poll();
    CHECK(lan.link_events == 1);
    lan.set_link(true);
    lan.card.poll();
    CHECK(lan.link_events == 2);
    CHECK(lan.card.counters().link_changes == 2);
    REQUIRE(lan.card.transmit(as_bytes(frame(60))));
    lan.card.flush();
    CHECK(lan.drain().size() == 1);
    CHECK(lan.device.violations.empty());
}

TEST_CASE("a link that comes up: the device hears of the transmit queue, whatever it asked for while the link was down") {
    Lan lan;
    REQUIRE(lan.start());
    lan.device.want_kicks(kTx, false);
    const unsigned before = lan.device.queues[kTx].kicks;
    lan.set_link(false);
    lan.card.poll(64);
    CHECK(lan.device.queues[kTx].kicks == before);
    lan.set_link(true);
    lan.card.poll(64);
    CHECK(lan.device.queues[kTx].kicks == before + 1);
    // And of the first frame after that: what it asked for may have been out of date even then.
    for (unsigned frames = 0; frames < 3; ++frames) {
        REQUIRE(lan.card.transmit(as_bytes(frame(60))));
        lan.card.flush();
        CHECK(lan.device.queues[kTx].kicks == before + 2);
    }
}

TEST_CASE("a link that went down and came up again before anybody looked: the device hears of the transmit queue all the same") {
    Lan lan;
    REQUIRE(lan.start());
    lan.device.want_kicks(kTx, false);
    const unsigned before = lan.device.queues[kTx].kicks;
    lan.set_link(false);
    lan.set_link(true);
    lan.card.poll(64);
    CHECK(lan.link_events == 0);
    CHECK(lan.device.queues[kTx].kicks == before + 1);
    REQUIRE(lan.card.transmit(as_bytes(frame(60))));
    lan.card.flush();
    CHECK(lan.device.queues[kTx].kicks == before + 2);
}

TEST_CASE("a link that is down from the start") {
    Lan lan;
    lan.device.config[6] = 0;
    REQUIRE(lan.start());
    CHECK(lan.card.state() == Error::link_down);
    lan.set_link(true);
    lan.card.poll();
    CHECK(lan.card.state() == Error::none);
}

TEST_CASE("speed and duplex: unknown values are unknown, and both follow the device (NET-011 .. NET-013)") {
    Lan lan{with(usual(), NetFeature::speed_duplex)};
    lan.device.config[15] = 0x80;
    lan.device.config[16] = 2;
    REQUIRE(lan.start());
    CHECK(!lan.card.speed());
    CHECK(!lan.card.full_duplex());
    lan.device.config[15] = 0;
    lan.device.config[16] = 0;
    lan.device.config_changed();
    lan.card.poll();
    CHECK(lan.card.speed() == 10000);
    CHECK(lan.card.full_duplex() == false);
}

TEST_CASE("MTU: nonsense is ignored, a large or a small one holds both ways (NET-008, NET-009)") {
    {
        Lan lan{with(usual(), NetFeature::mtu), config(67)};
        REQUIRE(lan.start());
        CHECK(!lan.device.accepted.has(NetFeature::mtu));
        CHECK(lan.card.mtu() == 1500);
    }
    for (const bool mergeable : {false, true}) {
        for (const std::uint16_t mtu : std::initializer_list<std::uint16_t>{68, 1280, 1500, 9000, 65535}) {
            CAPTURE(mergeable);
            CAPTURE(mtu);
            FeatureSet features = with(usual(), NetFeature::mtu);
            if (mergeable) features.insert(NetFeature::mrg_rxbuf);
            Lan lan{features, config(mtu)};
            REQUIRE(lan.start());
            CHECK(lan.card.mtu() == mtu);
            const Bytes longest = frame(mtu + 14u);
            for (unsigned round = 0; round < 50; ++round) { // more than there are buffers
                REQUIRE(lan.deliver(longest));
                lan.card.poll();
                REQUIRE(lan.received.size() == 1);
                CHECK(lan.received[0].bytes == longest);
                lan.received.clear();
            }
            CHECK(lan.card.counters().received_dropped() == 0);
            REQUIRE(lan.card.transmit(as_bytes(longest)));
            REQUIRE(lan.send(longest, 7));
            lan.card.flush();
            const auto sent = lan.drain();
            REQUIRE(sent.size() == 2);
            CHECK(sent[0].frame == longest);
            CHECK(sent[1].frame == longest);
            const Bytes longer = frame(mtu + 15u);
            CHECK(lan.card.transmit(as_bytes(longer)).error() == Error::frame_too_long);
            CHECK(lan.send(longer, 8).error() == Error::frame_too_long);
            CHECK(lan.device.violations.empty());
        }
    }
}

TEST_CASE("a copied frame is one descriptor: 12 bytes of header, then the frame (trap 33: header length; NET-019, NET-020)") {
    for (const bool mergeable : {false, true}) {
        Lan lan{mergeable ? with(usual(), NetFeature::mrg_rxbuf) : usual()};
        REQUIRE(lan.start());
        Bytes payload = frame(60);
        REQUIRE(lan.card.transmit(as_bytes(payload)));
        const Bytes original = payload;
        std::fill(payload.begin(), payload.end(), std::uint8_t{0}); // the caller's memory is free at once
        lan.card.flush();
        const auto sent = lan.drain();
        REQUIRE(sent.size() == 1);
        CHECK(sent[0].chain.readable.size() == 1);
        CHECK(sent[0].header == std::array<std::uint8_t, 12>{});
        CHECK(sent[0].frame == original);
        CHECK(lan.card.counters().transmitted_frames == 1);
        CHECK(lan.card.counters().transmitted_bytes == 60);
        lan.card.poll();
        CHECK(lan.transmitted.empty()); // nobody lent anything
    }
}

TEST_CASE("a lent frame is not copied; with headroom it is one descriptor") {
    Lan lan;
    REQUIRE(lan.start());
    Bytes memory = frame(12 + 100);
    const Bytes payload(memory.begin() + 12, memory.end());
    const std::span<const std::byte> fragment = as_bytes(memory).subspan(12);
    NetTransmit request;
    request.fragments = {&fragment, 1};
    request.headroom = 12;
    request.cookie = &memory;
    REQUIRE(lan.card.transmit(request));
    request.headroom = 11; // not enough: the header goes elsewhere
    REQUIRE(lan.card.transmit(request));
    lan.card.flush();
    const auto sent = lan.drain();
    REQUIRE(sent.size() == 2);
    CHECK(sent[0].frame == payload);
    REQUIRE(sent[0].chain.readable.size() == 1);
    const bool moved = !lan.platform.in_place(); // the device sees a copy
    CHECK((moved || static_cast<void*>(sent[0].chain.readable[0].data) == memory.data()));
    CHECK(sent[1].frame == payload);
    REQUIRE(sent[1].chain.readable.size() == 2);
    CHECK(sent[1].chain.readable[0].length == 12);
    CHECK((moved || static_cast<void*>(sent[1].chain.readable[1].data) == memory.data() + 12));
    CHECK(lan.transmitted.empty());
    lan.card.poll();
    CHECK(lan.transmitted == std::vector{reinterpret_cast<std::uintptr_t>(&memory), reinterpret_cast<std::uintptr_t>(&memory)});
}

TEST_CASE("frames in fragments, with and without indirect tables") {
    for (const bool indirect : {false, true}) {
        FeatureSet features = usual();
        if (!indirect) features.erase(RingFeature::indirect_desc);
        Lan lan{features};
        REQUIRE(lan.start());
        const Bytes payload = frame(1514);
        for (unsigned parts = 1; parts <= NetDevice::kMostSegments + 2; ++parts) {
            std::vector<std::span<const std::byte>> fragments;
            for (unsigned i = 0; i < parts; ++i) {
                const std::size_t from = payload.size() * i / parts, to = payload.size() * (i + 1) / parts;
                fragments.push_back(as_bytes(payload).subspan(from, to - from));
            }
            NetTransmit request;
            request.fragments = fragments;
            request.cookie = reinterpret_cast<void*>(std::uintptr_t{parts});
            const auto queued = lan.card.transmit(request);
            CHECK(queued.has_value() == (parts + 1 <= NetDevice::kMostSegments));
            if (!queued) {
                CHECK(queued.error() == Error::too_many_segments);
                continue;
            }
            lan.card.flush();
            const auto sent = lan.drain();
            REQUIRE(sent.size() == 1);
            CHECK(sent[0].frame == payload);
            lan.card.poll();
            CHECK(lan.transmitted.back() == parts);
        }
        for (unsigned i = 0; i < 100; ++i) { // more often than there are slots
            const std::vector<std::span<const std::byte>> fragments(NetDevice::kMostSegments, as_bytes(payload).first(20));
            NetTransmit request;
            request.fragments = fragments;
            CHECK(lan.card.transmit(request).error() == Error::too_many_segments);
        }
        CHECK(lan.card.transmit_queue().room() == 64); // no slot or descriptor leaked (B10)
        unsigned fitting = 0;
        while (lan.send(payload, 1)) ++fitting;
        CHECK(fitting == (indirect ? 64 : 32)); // two descriptors each, or one for a table
        CHECK(lan.device.violations.empty());
    }
}

TEST_CASE("memory that is contiguous for the device only in parts is split, never sent wrong (B48)") {
    for (const std::size_t limit : {64u, 256u, 4096u}) {
        Lan lan;
        REQUIRE(lan.start());
        lan.platform.contiguous_limit = limit;
        for (unsigned round = 0; round < 200; ++round) {
            const Bytes payload = frame(800 + round, round);
            const auto queued = lan.send(payload, round);
            if (!queued) {
                CHECK(queued.error() == Error::too_many_segments);
                continue;
            }
            lan.card.flush();
            const auto sent = lan.drain();
            REQUIRE(sent.size() == 1);
            CHECK(sent[0].frame == payload);
            for (const auto& part : sent[0].chain.readable) {
                const auto first = reinterpret_cast<std::uintptr_t>(part.data);
                if (part.length != 12 && lan.platform.in_place()) CHECK(first / limit == (first + part.length - 1) / limit);
            }
            lan.card.poll();
        }
        CHECK(lan.card.transmit_queue().room() == 64);
        CHECK(lan.card.transmit_queue().in_flight() == 0);
    }
}

TEST_CASE("a domain that maps by adding an offset: the shortest way, with the same result") {
    class DirectPlatform final : public Platform {
    public:
        explicit DirectPlatform(fake::HostPlatform& host) : domain_(host), host_(host) {}
        void* dma_allocate(std::size_t bytes, std::size_t alignment) noexcept override { return host_.dma_allocate(bytes, alignment); }
        void dma_free(void* memory, std::size_t bytes) noexcept override { host_.dma_free(memory, bytes); }
        DmaAddress dma_address(const void* memory) noexcept override { return host_.dma_address(memory); }
        std::uint64_t now_ns() noexcept override { return host_.now_ns(); }
        Result<DmaDomain*> dma_domain(const DeviceIdentity&, bool) noexcept override {
            host_.firewall.open();
            return &domain_;
        }

    private:
        class Domain final : public DmaDomain {
        public:
            explicit Domain(fake::HostPlatform& host) : DmaDomain(std::uint64_t{0}), host_(host) {}
            Result<DmaMemory> allocate(std::size_t bytes, std::size_t alignment) noexcept override {
                void* memory = host_.dma_allocate(bytes, alignment);
                if (memory == nullptr) return fail(Error::out_of_memory);
                return DmaMemory{static_cast<std::byte*>(memory), bytes, host_.dma_address(memory)};
            }
            void free(const DmaMemory& memory) noexcept override { host_.dma_free(memory.data, memory.size); }

        private:
            fake::HostPlatform& host_;
        };
        Domain domain_;
        fake::HostPlatform& host_;
    };
    for (const bool indirect : {true, false}) {
        FeatureSet features = usual();
        if (!indirect) features.erase(RingFeature::indirect_desc);
        Lan lan{features};
        DirectPlatform platform{lan.platform};
        REQUIRE(lan.card.start(platform, lan.device, lan.options));
        Bytes memory = frame(12 + 300);
        const Bytes payload(memory.begin() + 12, memory.end());
        for (unsigned round = 0; round < 1000; ++round) {
            const std::span<const std::byte> whole = as_bytes(memory).subspan(12);
            const std::array<std::span<const std::byte>, 3> parts{whole.first(14), whole.subspan(14, 100), whole.subspan(114)};
            NetTransmit request;
            request.cookie = reinterpret_cast<void*>(std::uintptr_t{round});
            const unsigned how = round % 4;
            request.headroom = how < 2 ? 12 : 0;
            request.fragments = how % 2 == 0 ? std::span{&whole, 1} : std::span{parts};
            if (round % 3 == 0) request.checksum = ChecksumRequest{34, 6};
            REQUIRE(lan.card.transmit(request));
            lan.card.flush();
            const auto sent = lan.drain();
            REQUIRE(sent.size() == 1);
            REQUIRE(sent[0].frame == payload);
            REQUIRE(sent[0].header[0] == (round % 3 == 0 ? 1 : 0));
            REQUIRE(sent[0].chain.readable.size() == (how == 0 ? 1 : how == 1 ? 3 : how == 2 ? 2 : 4));
            REQUIRE(lan.deliver(payload));
            lan.card.poll();
            REQUIRE(lan.transmitted.back() == round);
            REQUIRE(lan.received.back().bytes == payload);
        }
        CHECK(lan.transmitted.size() == 1000);
        CHECK(lan.device.violations.empty());
        REQUIRE(lan.card.stop());
        CHECK(lan.platform.live.empty());
    }
}

TEST_CASE("transmit checksum: the request reaches the header; without CSUM or out of bounds it is refused (NET-021, NET-047)") {
    Lan lan;
    REQUIRE(lan.start());
    CHECK(lan.card.transmits_checksums());
    REQUIRE(lan.send(frame(60), 1, ChecksumRequest{34, 16}));
    REQUIRE(lan.card.transmit(as_bytes(frame(60)), ChecksumRequest{34, 24})); // the last two bytes
    lan.card.flush();
    const auto sent = lan.drain();
    REQUIRE(sent.size() == 2);
    CHECK(sent[0].header == std::array<std::uint8_t, 12>{1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0});
    CHECK(sent[1].header == std::array<std::uint8_t, 12>{1, 0, 0, 0, 0, 0, 34, 0, 24, 0, 0, 0});
    CHECK(lan.send(frame(60), 1, ChecksumRequest{34, 25}).error() == Error::invalid_argument);
    CHECK(lan.send(frame(60), 1, ChecksumRequest{0xffff, 0xffff}).error() == Error::invalid_argument);
    // A header used for a checksum is clean again for the next frame.
    for (unsigned i = 0; i < 200; ++i) {
        REQUIRE(lan.send(frame(60), i));
        REQUIRE(lan.card.transmit(as_bytes(frame(60))));
        lan.card.flush();
        for (const auto& one : lan.drain()) CHECK(one.header == std::array<std::uint8_t, 12>{});
    }

    Lan plain{without(usual(), NetFeature::csum)};
    REQUIRE(plain.start());
    CHECK(!plain.card.transmits_checksums());
    CHECK(plain.send(frame(60), 1, ChecksumRequest{34, 16}).error() == Error::unsupported_request);
}

TEST_CASE("a caller's mistakes are errors before anything is sent (R31)") {
    Lan lan;
    CHECK(lan.card.transmit(as_bytes(frame(60))).error() == Error::not_started);
    CHECK(lan.card.recover().error() == Error::not_started);
    CHECK(lan.card.poll() == 0);
    lan.card.flush();
    lan.card.recycle(0);
    REQUIRE(lan.start());
    CHECK(lan.start().error() == Error::already_started);
    CHECK(lan.card.transmit(std::span<const std::byte>{}).error() == Error::invalid_argument);
    CHECK(lan.card.transmit(as_bytes(frame(13))).error() == Error::invalid_argument);
    CHECK(lan.card.transmit(NetTransmit{}).error() == Error::invalid_argument);
    const Bytes payload = frame(60);
    const std::array<std::span<const std::byte>, 2> fragments{as_bytes(payload), {}};
    NetTransmit request;
    request.fragments = fragments;
    CHECK(lan.card.transmit(request).error() == Error::invalid_argument);
    const std::array<std::span<const std::byte>, 2> huge{std::span{reinterpret_cast<const std::byte*>(payload.data()), SIZE_MAX / 2},
                                                         std::span{reinterpret_cast<const std::byte*>(payload.data()), SIZE_MAX / 2 + 61}};
    request.fragments = huge; // the sum wraps to 60
    CHECK(lan.card.transmit(request).error() == Error::frame_too_long);
    lan.card.recycle(0);
    lan.card.recycle(0xffff'ffff);
    CHECK(lan.card.counters().bad_tokens == 3);
    CHECK(lan.drain().empty());
    CHECK(lan.card.counters().transmitted_frames == 0);
    CHECK(lan.card.transmit_queue().room() == 64);
    CHECK(lan.device.queues[kTx].kicks == 0);
}

TEST_CASE("one publish and one kick for a batch; none when the device looks by itself") {
    Lan lan;
    REQUIRE(lan.start());
    const unsigned before = lan.device.queues[kTx].kicks;
    for (unsigned i = 0; i < 32; ++i) REQUIRE(lan.card.transmit(as_bytes(frame(60))));
    CHECK(lan.device.available(kTx) == 0); // nothing published yet
    lan.card.flush();
    CHECK(lan.device.available(kTx) == 32);
    CHECK(lan.device.queues[kTx].kicks == before + 1);
    lan.card.flush(); // nothing new
    CHECK(lan.device.queues[kTx].kicks == before + 1);
    CHECK(lan.drain().size() == 32);
    lan.device.want_kicks(kTx, false);
    REQUIRE(lan.card.transmit(as_bytes(frame(60))));
    lan.card.flush();
    CHECK(lan.device.queues[kTx].kicks == before + 1);
    CHECK(lan.drain().size() == 1);
}

TEST_CASE("ring full: nothing is queued in software, and one interrupt tells when there is room") {
    for (const bool event_index : {true, false}) {
        CAPTURE(event_index);
        FeatureSet features = usual();
        if (!event_index) features.erase(RingFeature::event_idx);
        Lan lan{features, config(), 16, 16};
        REQUIRE(lan.start());
        struct Waiter : RoomWaiter {
            unsigned called = 0;
        } waiter;
        waiter.on_room = [](RoomWaiter& self) noexcept { ++static_cast<Waiter&>(self).called; };
        const Bytes payload = frame(100);
        for (unsigned round = 0; round < 3; ++round) {
            unsigned queued = 0;
            Result<> last;
            while ((last = lan.card.transmit(as_bytes(payload)))) ++queued;
            CHECK(last.error() == Error::ring_full);
            CHECK(queued == 16);
            lan.card.when_room(waiter);
            lan.card.flush();
            lan.card.poll(); // finds nothing, and forgets nothing
            const unsigned interrupts = lan.device.queues[kTx].interrupts;
            CHECK(waiter.called == round);
            // The device finishes them one by one; with EVENT_IDX the interrupt waits for most of them.
            unsigned finished = 0;
            while (auto chain = lan.device.take(kTx)) {
                lan.device.use(kTx, *chain, 0);
                if (++finished == 11 && event_index) CHECK(lan.device.queues[kTx].interrupts == interrupts);
            }
            CHECK(finished == 16);
            CHECK(lan.device.queues[kTx].interrupts > interrupts);
            if (event_index) CHECK(lan.device.queues[kTx].interrupts == interrupts + 1);
            CHECK(lan.card.device().event().pending());
            lan.card.poll();
            CHECK(waiter.called == round + 1);
        }
        // And it is silent again.
        const unsigned interrupts = lan.device.queues[kTx].interrupts;
        for (unsigned i = 0; i < 100; ++i) {
            REQUIRE(lan.card.transmit(as_bytes(payload)));
            lan.card.flush();
            lan.drain();
            lan.card.poll();
        }
        CHECK(lan.device.queues[kTx].interrupts == interrupts);
        CHECK(waiter.called == 3);
        CHECK(lan.card.transmit_queue().counters().ring_full == 3);
        CHECK(lan.device.violations.empty());
    }
}

TEST_CASE("when_room after the device has already finished: the wake-up is not lost (trap 4)") {
    Lan lan{usual(), config(), 16, 16};
    REQUIRE(lan.start());
    struct Waiter : RoomWaiter {
        unsigned called = 0;
    } waiter;
    waiter.on_room = [](RoomWaiter& self) noexcept { ++static_cast<Waiter&>(self).called; };
    lan.card.when_room(waiter); // there is room already
    CHECK(waiter.called == 1);
    while (lan.card.transmit(as_bytes(frame(100)))) {
    }
    lan.card.flush();
    lan.drain();
    lan.card.when_room(waiter);
    CHECK(lan.card.device().event().pending());
    lan.card.poll();
    CHECK(waiter.called == 2);
}

TEST_CASE("70,000 frames each way, past the index wrap, without a transmit interrupt or a rescue (B28, B23)") {
    for (const bool event_index : {true, false}) {
        CAPTURE(event_index);
        FeatureSet features = usual();
        if (!event_index) features.erase(RingFeature::event_idx);
        Lan lan{features};
        REQUIRE(lan.start());
        const Bytes out = frame(60, 1), in = frame(90, 2);
        std::uint64_t sent = 0, got = 0, cookie = 0;
        while (sent < 70'000) {
            const unsigned burst = 1 + static_cast<unsigned>(sent % 31);
            for (unsigned i = 0; i < burst; ++i) REQUIRE((i % 2 == 0 ? lan.send(out, ++cookie) : lan.card.transmit(as_bytes(out))));
            lan.card.flush();
            for (const auto& one : lan.drain()) REQUIRE(one.frame == out);
            sent += burst;
            for (unsigned i = 0; i < burst; ++i) REQUIRE(lan.deliver(in));
            REQUIRE(lan.card.wait(lan.platform.clock_ns + 1'000'000));
            lan.card.poll();
            for (const auto& one : lan.received) REQUIRE(one.bytes == in);
            got += lan.received.size();
            lan.received.clear();
        }
        CHECK(got == sent);
        REQUIRE(lan.transmitted.size() == cookie);
        for (std::uint64_t i = 0; i < cookie; ++i) REQUIRE(lan.transmitted[i] == i + 1);
        CHECK(lan.device.queues[kTx].interrupts == 0);
        CHECK(lan.card.device().watchdog_rescues() == 0);
        CHECK(lan.card.counters().received_dropped() == 0);
        CHECK(lan.device.violations.empty());
    }
}

TEST_CASE("transmit completions in any order: every cookie comes back once (trap 7, B12)") {
    Lan lan;
    REQUIRE(lan.start());
    std::mt19937 random{20261122};
    std::vector<fake::Chain> open;
    std::multiset<std::uintptr_t> outstanding;
    std::uintptr_t cookie = 0;
    std::map<std::uint16_t, std::uintptr_t> by_head;
    const Bytes payload = frame(200);
    for (unsigned step = 0; step < 20'000; ++step) {
        if (random() % 2 == 0) {
            const auto queued = lan.send(payload, cookie + 1);
            if (queued) outstanding.insert(++cookie);
            if (!queued) CHECK(queued.error() == Error::ring_full);
            lan.card.flush();
            while (auto chain = lan.device.take(kTx)) open.push_back(*chain);
        } else if (!open.empty()) {
            const std::size_t which = random() % open.size();
            lan.device.use(kTx, open[which], 0);
            open.erase(open.begin() + static_cast<std::ptrdiff_t>(which));
        }
        if (random() % 8 == 0) lan.card.poll();
        for (const auto done : lan.transmitted) {
            const auto found = outstanding.find(done);
            REQUIRE(found != outstanding.end());
            outstanding.erase(found);
        }
        lan.transmitted.clear();
    }
    for (const auto& chain : open) lan.device.use(kTx, chain, 0);
    lan.card.poll();
    for (const auto done : lan.transmitted) outstanding.erase(outstanding.find(done));
    CHECK(outstanding.empty());
    CHECK(lan.card.transmit_queue().room() == 64);
    CHECK(lan.device.violations.empty());
}

TEST_CASE("a sent frame's memory comes back without any further activity, without an interrupt and without a rescue") {
    Lan lan;
    REQUIRE(lan.start());
    REQUIRE(lan.send(frame(60), 42));
    const std::uint64_t begin = lan.platform.clock_ns;
    lan.platform.on_wait = [&] { lan.drain(); };
    while (lan.transmitted.empty()) {
        REQUIRE(lan.card.wait(begin + 10'000'000'000));
        lan.card.poll();
    }
    CHECK(lan.transmitted == std::vector<std::uintptr_t>{42});
    CHECK(lan.platform.clock_ns - begin < 2 * NetDevice::kReclaimNs);
    CHECK(lan.card.device().watchdog_rescues() == 0);
    CHECK(lan.device.queues[kTx].interrupts == 0);
    // With nothing lent there is no tick: the second is slept through in the watchdog's pieces.
    lan.platform.waits = 0;
    const std::uint64_t deadline = lan.platform.clock_ns + 1'000'000'000;
    while (lan.card.wait(deadline)) REQUIRE(lan.platform.waits < 20);
    CHECK(lan.card.device().watchdog_rescues() == 0);
}

TEST_CASE("the client may send, recycle and flush from its callbacks; a nested poll does nothing") {
    Lan lan{usual(), config(), 16, 16};
    REQUIRE(lan.start());
    unsigned echoed = 0;
    lan.in_received = [&] {
        CHECK(lan.card.poll() == 0);
        if (lan.send(lan.received.back().bytes, ++echoed)) lan.card.flush();
    };
    unsigned again = 0;
    lan.in_transmitted = [&] {
        if (again < 500) {
            ++again;
            static_cast<void>(lan.card.transmit(as_bytes(frame(70))));
        }
    };
    for (unsigned i = 0; i < 300; ++i) {
        REQUIRE(lan.deliver(frame(80, i)));
        lan.card.poll();
        lan.drain();
    }
    lan.card.poll();
    CHECK(lan.received.size() == 300);
    CHECK(echoed == 300);
    CHECK(again >= 200);
    CHECK(lan.device.violations.empty());
}

TEST_CASE("callbacks never nest, whatever they do") {
    Lan lan{usual(), config(), 16, 16};
    REQUIRE(lan.start());
    unsigned depth = 0, deepest = 0;
    const auto inside = [&](const auto& body) {
        deepest = std::max(deepest, ++depth);
        body();
        --depth;
    };
    lan.in_transmitted = [&] {
        inside([&] {
            while (lan.send(frame(60), 1)) {
            }
        });
    };
    lan.in_received = [&] {
        inside([&] {
            lan.device.interrupt_queue(kRx);
            CHECK(lan.card.poll() == 0);
        });
    };
    for (unsigned round = 0; round < 20; ++round) {
        while (lan.send(frame(60), 1)) {
        }
        lan.card.flush();
        lan.drain();
        for (unsigned i = 0; i < 4; ++i) REQUIRE(lan.deliver(frame(70)));
        lan.card.poll();
    }
    CHECK(lan.received.size() == 80);
    CHECK(deepest == 1);
}

TEST_CASE("completions that nobody waits for are no lost interrupts") {
    Lan lan;
    REQUIRE(lan.start());
    for (unsigned i = 0; i < 10; ++i) REQUIRE(lan.card.transmit(as_bytes(frame(60))));
    lan.card.flush();
    CHECK(lan.drain().size() == 10);
    const std::uint64_t deadline = lan.platform.clock_ns + 5 * Device::kWatchdogNs;
    while (lan.card.wait(deadline)) {
    }
    CHECK(lan.card.device().watchdog_rescues() == 0);
    CHECK(lan.device.queues[kTx].interrupts == 0);
}

TEST_CASE("reset in flight: every cookie comes back once, lent pieces stay readable, and it works again (B37, R14)") {
    for (const bool mergeable : {false, true}) {
        Lan lan{mergeable ? with(usual(), NetFeature::mrg_rxbuf) : usual()};
        REQUIRE(lan.start());
        lan.hold = true;
        const Bytes kept = frame(500);
        REQUIRE(lan.deliver(kept));
        lan.card.poll();
        REQUIRE(lan.received.size() == 1);
        for (std::uintptr_t i = 1; i <= 20; ++i) REQUIRE(lan.send(frame(60), i));
        lan.card.flush();
        lan.drain(false);
        // A client that sends from its completion is refused, not served.
        lan.in_transmitted = [&] { CHECK(lan.send(frame(60), 99).error() == Error::not_started); };
        REQUIRE(lan.card.recover());
        lan.in_transmitted = nullptr;
        std::sort(lan.transmitted.begin(), lan.transmitted.end());
        CHECK(lan.transmitted.size() == 20);
        CHECK(std::adjacent_find(lan.transmitted.begin(), lan.transmitted.end()) == lan.transmitted.end());
        CHECK(std::memcmp(lan.received[0].pieces[0].data, kept.data(), kept.size()) == 0);
        CHECK(lan.card.posted() == 63); // all but the one that is lent
        lan.hold = false;
        lan.recycle_last();
        CHECK(lan.card.posted() == 64);
        REQUIRE(lan.deliver(kept));
        lan.card.poll();
        CHECK(lan.received.back().bytes == kept);
        REQUIRE(lan.card.transmit(as_bytes(kept)));
        lan.card.flush();
        CHECK(lan.drain().size() == 1);
        CHECK(lan.device.violations.empty());
    }
}

TEST_CASE("stop: memory is freed with the last lent piece, and a start before that uses it again") {
    Lan lan;
    REQUIRE(lan.start());
    lan.hold = true;
    REQUIRE(lan.deliver(frame(500)));
    lan.card.poll();
    REQUIRE(lan.card.stop());
    CHECK(lan.platform.live.size() == 2); // buffers and their slots
    REQUIRE(lan.start());
    REQUIRE(lan.card.stop());
    lan.recycle_last();
    CHECK(lan.platform.live.empty());
    REQUIRE(lan.start());
    CHECK(lan.card.posted() == 64);

    // Larger buffers are needed now, and the old ones are still out.
    Lan big{with(usual(), NetFeature::mtu)};
    REQUIRE(big.start());
    big.hold = true;
    REQUIRE(big.deliver(frame(500)));
    big.card.poll();
    REQUIRE(big.card.stop());
    big.device.config = config(9000);
    CHECK(big.start().error() == Error::busy);
    big.recycle_last();
    REQUIRE(big.start());
}

TEST_CASE("a device that lies breaks its queue: an error, no spin, and recover heals (B1, B2, B7, B40)") {
    const auto break_it = [](Lan& lan, unsigned how) {
        switch (how) {
        case 0: lan.device.use(kRx, 64, 100); break;
        case 1: lan.device.use(kRx, 0xffff'ffff, 100); break;
        case 2: lan.device.poke_used_index(kRx, static_cast<std::uint16_t>(lan.device.used_index(kRx) + 100)); break;
        case 3: lan.device.use(kTx, 3, 0); break; // nothing was sent
        default: lan.device.poke_used_index(kTx, static_cast<std::uint16_t>(lan.device.used_index(kTx) - 1)); break;
        }
    };
    for (unsigned how = 0; how < 5; ++how) {
        CAPTURE(how);
        Lan lan;
        REQUIRE(lan.start());
        REQUIRE(lan.deliver(frame(60)));
        lan.card.poll();
        break_it(lan, how);
        lan.device.interrupt_queue(kRx);
        lan.card.poll();
        CHECK(lan.card.state() == Error::queue_broken);
        CHECK(lan.card.transmit(as_bytes(frame(60))).error() == Error::queue_broken);
        CHECK(lan.platform.log_lines.size() == 2);
        static_cast<void>(lan.card.device().event().take());
        CHECK(lan.card.poll() == 0);
        CHECK(!lan.card.device().event().pending());
        CHECK(!lan.card.wait(lan.platform.clock_ns + 1000));
        CHECK(lan.card.device().needs_reset());
        REQUIRE(lan.card.recover());
        CHECK(lan.card.state() == Error::none);
        REQUIRE(lan.deliver(frame(60)));
        lan.card.poll();
        CHECK(lan.received.size() == 2);
    }
}

TEST_CASE("NEEDS_RESET stops the card with an error, and recover heals (B40)") {
    Lan lan;
    REQUIRE(lan.start());
    REQUIRE(lan.send(frame(60), 5));
    lan.device.needs_reset();
    lan.card.poll();
    CHECK(lan.card.state() == Error::needs_reset);
    CHECK(lan.card.transmit(as_bytes(frame(60))).error() == Error::needs_reset);
    REQUIRE(lan.card.recover());
    CHECK(lan.transmitted == std::vector<std::uintptr_t>{5});
    REQUIRE(lan.card.transmit(as_bytes(frame(60))));
    CHECK(lan.link_events == 0);
    lan.device.needs_reset();
    lan.card.poll();
    lan.device.config[6] = 0; // the link goes down while nobody looks
    REQUIRE(lan.card.recover());
    CHECK(lan.link_events == 1);
    CHECK(lan.card.state() == Error::link_down);
    // It comes up while a recovery fails: told by the one that succeeds.
    lan.device.needs_reset();
    lan.card.poll();
    lan.device.config[6] = 1;
    lan.platform.allocations_until_failure = 1;
    CHECK(lan.card.recover().error() == Error::out_of_memory);
    lan.platform.allocations_until_failure = -1;
    CHECK(lan.link_events == 1);
    REQUIRE(lan.card.recover());
    CHECK(lan.link_events == 2);
    CHECK(lan.card.state() == Error::none);
}

TEST_CASE("a vanished device: every call answers, nothing loops (B41)") {
    for (const bool can_cut_off : {true, false}) {
        Lan lan;
        REQUIRE(lan.start());
        lan.hold = true;
        REQUIRE(lan.deliver(frame(60)));
        lan.card.poll();
        REQUIRE(lan.send(frame(60), 5));
        lan.card.flush();
        lan.device.gone = true;
        lan.device.can_cut_off = can_cut_off;
        lan.device.config_changed();
        lan.card.poll();
        CHECK(lan.card.state() != Error::none);
        CHECK(!lan.card.transmit(as_bytes(frame(60))));
        CHECK(!lan.card.stop());
        // Memory that the device may still reach is never given back (B37, R16).
        CHECK(lan.transmitted.size() == (can_cut_off ? 1 : 0));
        const std::byte* lent = lan.received.back().pieces[0].data;
        lan.recycle_last();
        CHECK(lan.platform.live.empty() == can_cut_off);
        CHECK(lan.platform.firewall.admits(lent, 1, fake::Firewall::Access::write) ==
              !can_cut_off); // the whole pool, though this piece of it was not with the device
        CHECK(!lan.card.recover());
        lan.device.gone = false;
        REQUIRE(lan.card.recover());
        REQUIRE(lan.deliver(frame(60)));
        lan.card.poll();
        CHECK(lan.received.size() == 2);
    }
}

TEST_CASE("vanishing at any step of the start ends with an error and no leak (B41)") {
    for (unsigned at = 0; at < 12; ++at) {
        Lan lan;
        unsigned step = 0;
        lan.device.on_status = [&](std::uint8_t) { lan.device.gone = lan.device.gone || step++ == at; };
        lan.device.on_config_read = [&] { lan.device.gone = lan.device.gone || step++ == at; };
        lan.device.can_cut_off = true;
        if (!lan.start()) CHECK(lan.platform.live.empty());
        lan.card.poll();
        static_cast<void>(lan.card.transmit(as_bytes(frame(60))));
    }
}

TEST_CASE("every allocation failing: an error or a smaller start, no leak, and it starts afterwards (B49, R13)") {
    unsigned failures = 0;
    for (long n = 0; n < 20; ++n) {
        Lan lan;
        lan.platform.allocations_until_failure = n;
        const auto started = lan.start();
        if (!started) {
            ++failures;
            CHECK(started.error() == Error::out_of_memory);
            CHECK(lan.platform.live.empty());
        }
        lan.platform.allocations_until_failure = -1;
        if (!started) REQUIRE(lan.start());
        REQUIRE(lan.deliver(frame(60)));
        lan.card.poll();
        CHECK(lan.received.size() == 1);
        REQUIRE(lan.card.stop());
        CHECK(lan.platform.live.empty());
        CHECK(lan.device.violations.empty());
    }
    CHECK(failures >= 7); // two rings with slots, tables, pool with slots, transmit slots, headers, copies
}

TEST_CASE("interrupts at any time are harmless (B25, B27)") {
    Lan lan;
    lan.card.on_interrupt();
    unsigned raised = 0;
    lan.device.on_status = [&](std::uint8_t) {
        ++raised;
        lan.card.on_interrupt(static_cast<std::uint16_t>(raised % 4));
        if (lan.device.queues[0].enabled) lan.device.interrupt_queue(0);
    };
    REQUIRE(lan.start());
    for (std::uint16_t vector = 0; vector < 100; ++vector) lan.card.on_interrupt(vector);
    for (unsigned i = 0; i < 10; ++i) lan.card.poll();
    CHECK(lan.received.empty());
    CHECK(lan.link_events == 0);
    CHECK(lan.card.state() == Error::none);
    REQUIRE(lan.card.stop());
    lan.card.on_interrupt();
    CHECK(raised > 4);
}

TEST_CASE("works with one message, a line, and without any interrupt (trap 23, 30)") {
    struct Row {
        std::uint16_t messages;
        bool line;
        InterruptMode mode;
    };
    for (const Row row :
         {Row{8, true, InterruptMode::message_per_queue}, Row{2, true, InterruptMode::two_messages},
          Row{1, true, InterruptMode::shared_message}, Row{0, true, InterruptMode::line}, Row{0, false, InterruptMode::polled}}) {
        Lan lan;
        fake::FakeDevice device{
            {.type = 1, .features = usual(), .config = config(), .queue_sizes = {64, 64}, .messages = row.messages, .line = row.line}};
        static constinit NetDevice card; // constant-initialised, and used again after a stop
        unsigned got = 0;
        const auto take = [](void* context, const NetFrame& frame) noexcept {
            ++*static_cast<unsigned*>(context);
            for (const NetPiece& piece : frame.pieces) card.recycle(piece.token);
        };
        const NetClient client{&got, take, nullptr, nullptr};
        REQUIRE(card.start(lan.platform, device, {.client = client}));
        CHECK(card.device().interrupt_mode() == row.mode);
        lan.platform.on_wait = [&] {
            if (auto chain = device.take(kRx)) {
                chain->write(0, Header{}.wire().data(), 12);
                device.use(kRx, *chain, 72);
            }
        };
        for (unsigned i = 0; i < 20; ++i) {
            card.wait(lan.platform.clock_ns + 1'000'000);
            card.poll();
        }
        CHECK(got >= 15);
        CHECK(card.device().watchdog_rescues() == 0);
        REQUIRE(card.stop());
    }
}

TEST_CASE("without copy slots only lent frames are sent, as many as the ring holds") {
    Lan lan;
    lan.options.copy_slots = 0;
    REQUIRE(lan.start());
    CHECK(lan.card.transmit(as_bytes(frame(60))).error() == Error::unsupported_request);
    for (unsigned round = 0; round < 3; ++round) {
        unsigned fitting = 0;
        while (lan.send(frame(60), fitting)) ++fitting;
        CHECK(fitting == 64);
        lan.card.flush();
        CHECK(lan.drain().size() == 64);
        lan.card.poll();
    }
    CHECK(lan.transmitted.size() == 192);
    CHECK(lan.device.violations.empty());
}

TEST_CASE("what the device writes shares no line with anything else") {
    Lan lan;
    REQUIRE(lan.start());
    std::set<std::uintptr_t> lines;
    while (auto chain = lan.device.take(kRx)) {
        REQUIRE(chain->writable.size() == 1);
        const auto first = reinterpret_cast<std::uintptr_t>(chain->writable[0].data);
        CHECK(chain->writable[0].length >= 1526); // NET-066
        for (auto line = first / 128; line <= (first + chain->writable[0].length - 1) / 128; ++line) CHECK(lines.insert(line).second);
        CHECK((first + 12 + 14) % 4 == 0); // the IP header
    }
    CHECK(lan.device.queues[kRx].next_available == 64);
    REQUIRE(lan.card.transmit(as_bytes(frame(60))));
    REQUIRE(lan.send(frame(60), 1));
    lan.card.flush();
    for (const auto& sent : lan.drain())
        for (const auto& part : sent.chain.readable) CHECK(!lines.contains(reinterpret_cast<std::uintptr_t>(part.data) / 128));
}

TEST_CASE("another type of device is not touched") {
    Lan lan;
    fake::FakeDevice disk{{.type = 2, .features = usual(), .queue_sizes = {16}}};
    CHECK(lan.card.start(lan.platform, disk, lan.options).error() == Error::no_device);
    CHECK(disk.status_writes.empty());
    REQUIRE(lan.start());
}

TEST_CASE("misuse: what was never started, second starts, clients who want no news") {
    NetDevice never;
    CHECK(never.recover().error() == Error::not_started);
    CHECK(never.poll() == 0);
    never.flush();
    never.recycle(0);
    CHECK(never.counters().bad_tokens == 1);
    struct Waiter : RoomWaiter {
        unsigned calls = 0;
    } waiter;
    waiter.on_room = [](RoomWaiter& its) noexcept { ++static_cast<Waiter&>(its).calls; };
    never.when_room(waiter);
    CHECK(waiter.calls == 1); // the next transmit() says why not
    CHECK(never.transmit(as_bytes(frame(60))).error() == Error::not_started);

    Lan lan;
    REQUIRE(lan.start());
    CHECK(lan.start().error() == Error::already_started);
    CHECK(lan.card.state() == Error::none); // it did no harm
    lan.card.when_room(waiter);
    CHECK(waiter.calls == 2); // there is room
    REQUIRE(lan.deliver(frame(60)));
    lan.card.poll();
    CHECK(lan.received.size() == 1);

    Lan deaf{with(usual(), NetFeature::status)};
    deaf.options.client.link_changed = nullptr;
    deaf.options.client.transmitted = nullptr;
    REQUIRE(deaf.start());
    REQUIRE(deaf.send(frame(60), 1));
    deaf.card.flush();
    CHECK(deaf.drain().size() == 1);
    deaf.card.poll();
    CHECK(deaf.card.transmit_queue().in_flight() == 0);
    deaf.device.config[6] = 0; // the link goes down
    deaf.device.config_changed();
    deaf.card.poll();
    CHECK(deaf.card.state() == Error::link_down);
    CHECK(deaf.device.violations.empty());
}

TEST_CASE("buffers of an earlier life that are still lent stay where they are: not for another platform, not after a lost reset") {
    Lan lan;
    REQUIRE(lan.start());
    lan.hold = true;
    REQUIRE(lan.deliver(frame(500)));
    lan.card.poll();
    REQUIRE(lan.card.stop());
    fake::HostPlatform other;
    CHECK(lan.card.start(other, lan.device, lan.options).error() == Error::busy);
    CHECK(other.live.empty());
    REQUIRE(lan.start());
    lan.device.reset_reads = ~std::uint64_t{0};
    CHECK(lan.card.stop().error() == Error::reset_timeout);
    lan.device.reset_reads = 0;
    CHECK(lan.start().error() == Error::busy); // the device may still write there
    lan.recycle_last();
    REQUIRE(lan.start());
}

namespace {
/// The host's platform with another domain, or another platform with the host's domain.
struct Relay final : Platform {
    Relay(fake::HostPlatform& host, DmaDomain& domain) : host_(host), domain_(&domain) {}
    void* dma_allocate(std::size_t bytes, std::size_t alignment) noexcept override { return host_.dma_allocate(bytes, alignment); }
    void dma_free(void* memory, std::size_t bytes) noexcept override { host_.dma_free(memory, bytes); }
    DmaAddress dma_address(const void* memory) noexcept override { return host_.dma_address(memory); }
    std::uint64_t now_ns() noexcept override { return host_.now_ns(); }
    Result<DmaDomain*> dma_domain(const DeviceIdentity&, bool) noexcept override { return domain_; }
    fake::HostPlatform& host_;
    DmaDomain* domain_;
};
} // namespace

TEST_CASE("buffers that are still lent are not taken over by another platform, another domain, or a start that needs more of them") {
    Lan lan;
    lan.device.firewall = nullptr;
    fake::CrookedPlatform first{lan.platform}, second{lan.platform};
    Relay relay{lan.platform, first.domain}, other{lan.platform, first.domain};
    lan.options.receive_queue = 4;
    REQUIRE(lan.card.start(relay, lan.device, lan.options));
    lan.hold = true;
    REQUIRE(lan.deliver(frame(500)));
    lan.card.poll();
    REQUIRE(lan.card.stop());
    CHECK(lan.card.start(other, lan.device, lan.options).error() == Error::busy);
    relay.domain_ = &second.domain;
    CHECK(lan.card.start(relay, lan.device, lan.options).error() == Error::busy);
    relay.domain_ = &first.domain;
    lan.options.receive_queue = 64;
    CHECK(lan.card.start(relay, lan.device, lan.options).error() == Error::busy);
    lan.options.receive_queue = 4;
    REQUIRE(lan.card.start(relay, lan.device, lan.options));
    lan.recycle_last();
    CHECK(lan.card.stop());
    CHECK(lan.platform.live.empty());
}

TEST_CASE("a device that asked for a reset is left alone until it was recovered") {
    Lan lan;
    REQUIRE(lan.start());
    lan.hold = true;
    REQUIRE(lan.deliver(frame(60)));
    lan.card.poll();
    for (std::uintptr_t i = 1; i <= 4; ++i) REQUIRE(lan.send(frame(60), i));
    lan.card.flush();
    const auto sent = lan.drain(false);
    REQUIRE(sent.size() == 4);
    REQUIRE(lan.send(frame(60), 5)); // not flushed
    lan.device.needs_reset();
    const unsigned kicks = lan.device.queues[kTx].kicks;
    const std::uint32_t posted = lan.card.posted();
    lan.device.want_kicks(kTx, true);
    lan.card.poll();
    CHECK(lan.card.state() == Error::needs_reset);
    const unsigned after = lan.device.queues[kTx].kicks;
    CHECK(after == kicks); // not even what was queued
    REQUIRE(lan.device.queues[kTx].enabled);
    for (const auto& one : sent) lan.device.use(kTx, one.chain, 0);
    CHECK(lan.card.poll() == 0);
    CHECK(lan.transmitted.empty());
    lan.recycle_last();
    CHECK(lan.card.posted() == posted); // it stays with us
    struct Waiter : RoomWaiter {
        unsigned calls = 0;
    } waiter;
    waiter.on_room = [](RoomWaiter& its) noexcept { ++static_cast<Waiter&>(its).calls; };
    lan.card.when_room(waiter);
    CHECK(waiter.calls == 1);
    lan.card.flush();
    CHECK(lan.device.queues[kTx].kicks == after);
    REQUIRE(lan.card.recover());
    CHECK(lan.transmitted.size() == 5);
    CHECK(lan.card.counters().transmit_ended == 5);
    CHECK(lan.card.counters().received_dropped() == 0); // buffers that a reset ends are no frames
    CHECK(lan.card.posted() == 64);
}

TEST_CASE("one bad count of buffers costs one frame, not those behind it") {
    for (const std::uint16_t count : {std::uint16_t{0}, std::uint16_t{65}, std::uint16_t{0xffff}}) {
        Lan lan{with(usual(), NetFeature::mrg_rxbuf)};
        REQUIRE(lan.start());
        Header header;
        header.buffers = count;
        REQUIRE(lan.deliver(frame(60), header, false));
        REQUIRE(lan.deliver(frame(70)));
        lan.card.poll();
        CHECK(lan.card.counters().dropped_buffer_count == 1);
        CHECK(lan.received.size() == 1);
    }
}

TEST_CASE("a first buffer that is said to be more than full drops the frame") {
    Lan lan{with(with(usual(), NetFeature::mrg_rxbuf), NetFeature::mtu), config(9000)};
    REQUIRE(lan.start());
    const auto first = lan.device.take(kRx);
    const auto second = lan.device.take(kRx);
    REQUIRE((first && second));
    Header header;
    header.buffers = 2;
    first->write(0, header.wire().data(), 12);
    lan.device.use_batch(kRx, {{first->head, static_cast<std::uint32_t>(first->writable_bytes() + 1)}, {second->head, 100}});
    lan.card.poll();
    CHECK(lan.card.counters().dropped_length == 1);
    CHECK(lan.received.empty());
}

TEST_CASE("a reset that is never confirmed: what is being sent stays readable (B37, R16)") {
    Lan lan;
    REQUIRE(lan.start());
    REQUIRE(lan.card.transmit(as_bytes(frame(60))));
    lan.card.flush();
    const auto sent = lan.drain(false);
    REQUIRE(sent.size() == 1);
    lan.device.reset_reads = ~std::uint64_t{0};
    CHECK(lan.card.stop().error() == Error::reset_timeout);
    for (const auto& part : sent[0].chain.readable)
        CHECK(lan.platform.firewall.admits(part.data, part.length, fake::Firewall::Access::read));
}

TEST_CASE("a platform that maps nothing or too much of a frame is not believed") {
    Lan lan;
    fake::CrookedPlatform platform{lan.platform};
    REQUIRE(lan.card.start(platform, lan.device, lan.options));
    for (const auto lengths : {+[](unsigned, std::size_t) { return std::size_t{0}; },
                               +[](unsigned map, std::size_t bytes) { return map == 1 ? bytes + 1 : std::size_t{100}; }}) {
        platform.domain.lengths = lengths;
        platform.domain.maps = platform.domain.unmaps = 0;
        const Result<> sent = lan.send(frame(100), 1);
        REQUIRE_FALSE(sent);
        CHECK(sent.error() == Error::dma_map_failed);
        CHECK(platform.domain.maps == platform.domain.unmaps);
    }
    CHECK(lan.card.transmit_queue().room() == 64);
    CHECK(lan.card.stop());
}
