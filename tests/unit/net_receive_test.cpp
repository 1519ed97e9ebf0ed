// What the network driver makes of received buffers: honest ones, and every kind of lie.
#include "tests/unit/support/lan.hpp"

using namespace virtio;
using namespace lan;

namespace {

/// Afterwards no buffer is lost, and honest frames still arrive.
void still_works(Lan& lan) {
    lan.received.clear();
    const Bytes payload = frame(333, 9);
    REQUIRE(lan.deliver(payload));
    lan.card.poll();
    REQUIRE(lan.received.size() == 1);
    CHECK(lan.received[0].bytes == payload);
    CHECK(lan.card.posted() == lan.card.receive_buffers());
    lan.received.clear();
}

FeatureSet mergeable() { return with(usual(), NetFeature::mrg_rxbuf); }
/// An MTU that makes frames span several buffers (of a page).
FeatureSet jumbo() { return with(mergeable(), NetFeature::mtu); }

} // namespace

TEST_CASE("lengths: header <= length <= exact buffer, else dropped and counted (B3, B4, trap 11)") {
    for (const bool merge : {false, true}) {
        CAPTURE(merge);
        Lan lan{merge ? mergeable() : usual()};
        REQUIRE(lan.start());
        std::uint32_t capacity = 0;
        {
            const auto chain = lan.device.take(kRx);
            REQUIRE(chain);
            capacity = chain->writable[0].length;
            lan.device.use(kRx, *chain, 0);
            lan.card.poll();
        }
        std::uint64_t runts = 1, lengths = 0;
        for (std::uint32_t length = 0; length < 26; ++length, ++runts) REQUIRE(lan.claim({}, length));
        for (const std::uint32_t length : {capacity + 1, capacity + 2, 0x8000'0000u, 0xffff'ffffu}) {
            REQUIRE(lan.claim({}, length));
            ++lengths;
        }
        lan.card.poll();
        CHECK(lan.received.empty());
        CHECK(lan.card.counters().dropped_length == lengths);
        // Without a whole header the buffer count of a mergeable one is not looked at, so all of these are runts.
        CHECK(lan.card.counters().dropped_runt == runts);
        REQUIRE(lan.claim({}, 26)); // an Ethernet header and nothing else
        lan.card.poll();
        CHECK(lan.received.size() == 1);
        still_works(lan);
        CHECK(lan.card.receive_queue().lengths_clamped() == lengths);
    }
}

TEST_CASE("a frame longer than the MTU allows is dropped and counted") {
    Lan lan;
    REQUIRE(lan.start());
    REQUIRE(lan.deliver(frame(1518))); // with a VLAN tag
    lan.card.poll();
    CHECK(lan.received.size() == 1);
    REQUIRE(lan.deliver(frame(1519)));
    lan.card.poll();
    CHECK(lan.received.size() == 1);
    CHECK(lan.card.counters().dropped_too_long == 1);
    still_works(lan);
}

TEST_CASE("without MRG_RXBUF num_buffers may be garbage (trap 33, MLX5)") {
    Lan lan;
    REQUIRE(lan.start());
    for (const unsigned garbage : {0u, 2u, 17u, 255u, 256u, 0xffffu}) {
        Header header;
        header.buffers = static_cast<std::uint16_t>(garbage);
        REQUIRE(lan.deliver(frame(100), header, false));
        lan.card.poll();
        CHECK(lan.received.size() == 1);
        lan.received.clear();
    }
    CHECK(lan.card.counters().received_dropped() == 0);
    still_works(lan);
}

TEST_CASE("mergeable buffers: frames of every size are put together byte for byte, also across the poll budget") {
    Lan lan{jumbo(), config(20000)};
    REQUIRE(lan.start());
    for (std::size_t length = 14; length <= 20014; length += 97) {
        const Bytes payload = frame(length, static_cast<unsigned>(length));
        REQUIRE(lan.deliver(payload));
        for (unsigned i = 0; i < 8; ++i) lan.card.poll(1 + static_cast<unsigned>(length % 3)); // the budget ends inside a frame
        REQUIRE(lan.received.size() == 1);
        CHECK(lan.received[0].bytes == payload);
        lan.received.clear();
    }
    CHECK(lan.card.counters().received_dropped() == 0);
    still_works(lan);
    CHECK(lan.device.violations.empty());
}

TEST_CASE("num_buffers of 0, too many, or more than were used (B15, trap 33)") {
    for (const unsigned count : {0u, 1u, 2u, 5u, 6u, 17u, 18u, 63u, 64u, 65u, 255u, 65535u}) {
        for (unsigned used : {1u, 2u, 5u, 6u, 20u}) {
            CAPTURE(count);
            CAPTURE(used);
            Lan lan{jumbo(), config(20000)}; // at most 5 buffers per frame
            REQUIRE(lan.start());
            std::vector<std::pair<std::uint32_t, std::uint32_t>> elements;
            for (unsigned i = 0; i < used; ++i) {
                const auto chain = lan.device.take(kRx);
                REQUIRE(chain);
                Header header;
                header.buffers = i == 0 ? static_cast<std::uint16_t>(count) : std::uint16_t{1};
                chain->write(0, header.wire().data(), 12);
                elements.emplace_back(chain->head, chain->writable[0].length);
            }
            lan.device.use_batch(kRx, elements);
            lan.card.poll();
            const NetCounters& counters = lan.card.counters();
            const bool possible = count >= 1 && count <= 5;
            if (!possible) CHECK(counters.dropped_buffer_count >= 1);
            if (possible && used < count) CHECK(counters.dropped_incomplete == 1);
            if (possible && used >= count) CHECK((counters.received_frames >= 1 || counters.dropped_too_long >= 1));
            for (const auto& one : lan.received) CHECK(one.bytes.size() <= 20018);
            still_works(lan);
        }
    }
}

TEST_CASE("a fragment that is not full, empty, or longer than its buffer drops the whole frame and nothing else") {
    for (const int change : {-1, 1, 0}) { // too short, too long, empty last one
        Lan lan{jumbo(), config(20000)};
        REQUIRE(lan.start());
        std::vector<std::pair<std::uint32_t, std::uint32_t>> elements;
        for (unsigned i = 0; i < 4; ++i) {
            const auto chain = lan.device.take(kRx);
            REQUIRE(chain);
            Header header;
            header.buffers = 4;
            if (i == 0) chain->write(0, header.wire().data(), 12);
            std::uint32_t length = chain->writable[0].length;
            if (change != 0 && i == 1) length = static_cast<std::uint32_t>(static_cast<int>(length) + change);
            if (change == 0 && i == 3) length = 0;
            elements.emplace_back(chain->head, length);
        }
        lan.device.use_batch(kRx, elements);
        lan.card.poll();
        CHECK(lan.received.empty());
        CHECK(lan.card.counters().dropped_length == 1);
        CHECK(lan.card.counters().received_dropped() == 1);
        still_works(lan);
    }
}

TEST_CASE("a first fragment that does not fill its buffer drops the frame, and the rest passes by") {
    Lan lan{jumbo(), config(20000)};
    REQUIRE(lan.start());
    std::vector<std::pair<std::uint32_t, std::uint32_t>> elements;
    for (unsigned i = 0; i < 3; ++i) {
        const auto chain = lan.device.take(kRx);
        Header header;
        header.buffers = 3;
        if (i == 0) chain->write(0, header.wire().data(), 12);
        elements.emplace_back(chain->head, i == 0 ? 100 : chain->writable[0].length);
    }
    lan.device.use_batch(kRx, elements);
    lan.card.poll();
    CHECK(lan.received.empty());
    CHECK(lan.card.counters().received_dropped() == 1);
    still_works(lan);
}

TEST_CASE("receive checksum: flags go up only when they may be believed (B16, NET-073 .. NET-083)") {
    struct Row {
        const char* what;
        Header header;
        bool negotiated;
        std::optional<NetChecksum> expected; // nothing: dropped
    };
    const Row rows[] = {
        {"no flags", {}, true, NetChecksum::unknown},
        {"DATA_VALID", {.flags = 2}, true, NetChecksum::verified},
        {"DATA_VALID without GUEST_CSUM", {.flags = 2}, false, NetChecksum::unknown},
        {"NEEDS_CSUM", {.flags = 1, .start = 34, .offset = 16}, true, NetChecksum::partial},
        {"NEEDS_CSUM and DATA_VALID", {.flags = 3, .start = 34, .offset = 16}, true, NetChecksum::partial},
        {"NEEDS_CSUM without GUEST_CSUM (Firecracker)", {.flags = 1, .start = 34, .offset = 16}, false, std::nullopt},
        {"checksum ends with the frame", {.flags = 1, .start = 34, .offset = 64}, true, NetChecksum::partial},
        {"checksum one byte outside", {.flags = 1, .start = 34, .offset = 65}, true, std::nullopt},
        {"start outside", {.flags = 1, .start = 101, .offset = 0}, true, std::nullopt},
        {"sum of both wraps", {.flags = 1, .start = 0xffff, .offset = 0xffff}, true, std::nullopt},
        {"positions without NEEDS_CSUM", {.start = 0xffff, .offset = 0xffff}, true, NetChecksum::unknown},
        {"RSC_INFO: positions are something else", {.flags = 5, .start = 0xffff, .offset = 0xffff}, true, NetChecksum::partial},
        {"UDP_TUNNEL_CSUM with NEEDS_CSUM", {.flags = 9, .start = 34, .offset = 6}, true, std::nullopt},
        {"unknown flag bits", {.flags = 0xf0}, true, NetChecksum::unknown},
        {"unknown flag bits and DATA_VALID", {.flags = 0xf2}, true, NetChecksum::verified},
        {"hdr_len and gso_size are not believed", {.header_length = 0xffff, .gso_size = 0xffff}, true, NetChecksum::unknown},
        {"TCPV4", {.flags = 1, .gso = 1, .gso_size = 0, .start = 34, .offset = 16}, true, std::nullopt},
        {"UDP", {.gso = 3}, true, std::nullopt},
        {"TCPV6", {.gso = 4}, true, std::nullopt},
        {"UDP_L4", {.gso = 5}, true, std::nullopt},
        {"tunnel v4", {.flags = 1, .gso = 0x21, .start = 34, .offset = 16}, true, std::nullopt},
        {"both tunnels", {.gso = 0x60}, true, std::nullopt},
        {"ECN alone", {.gso = 0x80}, true, std::nullopt},
        {"all ones", {0xff, 0xff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff}, true, std::nullopt},
    };
    for (const Row& row : rows) {
        CAPTURE(row.what);
        Lan lan{row.negotiated ? usual() : without(usual(), NetFeature::guest_csum)};
        REQUIRE(lan.start());
        REQUIRE(lan.deliver(frame(100), row.header));
        lan.card.poll();
        CHECK(lan.received.size() == (row.expected ? 1 : 0));
        if (row.expected && !lan.received.empty()) CHECK(lan.received[0].checksum == *row.expected);
        CHECK(lan.card.counters().received_dropped() == (row.expected ? 0 : 1));
        still_works(lan);
    }
}

TEST_CASE("drops are counted by their reason") {
    Lan lan{without(usual(), NetFeature::guest_csum)};
    REQUIRE(lan.start());
    REQUIRE(lan.deliver(frame(60), {.flags = 1}));
    REQUIRE(lan.deliver(frame(60), {.gso = 1}));
    REQUIRE(lan.claim({}, 5));
    REQUIRE(lan.claim({}, 5000));
    lan.card.poll();
    const NetCounters& counters = lan.card.counters();
    CHECK(counters.dropped_unexpected == 1);
    CHECK(counters.dropped_segmentation == 1);
    CHECK(counters.dropped_runt == 1);
    CHECK(counters.dropped_length == 1);
    CHECK(counters.received_dropped() == 4);
    still_works(lan);
    CHECK(counters.received_frames == 1);
    CHECK(counters.received_bytes == 333);
}

TEST_CASE("lent buffers: none is written while it is lent, and all come back (R12, B50)") {
    Lan lan{usual(), config(), 16, 16};
    REQUIRE(lan.start());
    lan.hold = true;
    CHECK(lan.card.receive_buffers() == 16);
    std::vector<Bytes> payloads;
    for (unsigned i = 0; i < 40; ++i) {
        payloads.push_back(frame(100 + i, i));
        const bool delivered = lan.deliver(payloads.back());
        CHECK(delivered == (i < 16)); // the device has no more buffers: the flood stays outside
        lan.card.poll();
        CHECK(lan.card.posted() == 16 - std::min(i + 1, 16u));
    }
    REQUIRE(lan.received.size() == 16);
    for (unsigned i = 0; i < 16; ++i) CHECK(std::memcmp(lan.received[i].pieces[0].data, payloads[i].data(), payloads[i].size()) == 0);
    // Back in another order, some of them twice.
    for (unsigned i = 0; i < 16; ++i) {
        const std::uint32_t token = lan.received[(i * 7) % 16].pieces[0].token;
        lan.card.recycle(token);
        lan.card.recycle(token);
    }
    CHECK(lan.card.counters().bad_tokens == 16);
    CHECK(lan.card.posted() == 16);
    lan.card.flush();
    CHECK(lan.device.available(kRx) == 16);
    lan.received.clear();
    lan.hold = false;
    still_works(lan);
    CHECK(lan.device.violations.empty());
}

TEST_CASE("recycled buffers are published together, with one kick") {
    Lan lan;
    REQUIRE(lan.start());
    for (unsigned i = 0; i < 32; ++i) REQUIRE(lan.deliver(frame(60)));
    const unsigned before = lan.device.queues[kRx].kicks;
    lan.card.poll();
    CHECK(lan.received.size() == 32);
    CHECK(lan.device.queues[kRx].kicks <= before + 1);
    CHECK(lan.device.available(kRx) == 64);
    lan.device.want_kicks(kRx, false);
    REQUIRE(lan.deliver(frame(60)));
    lan.device.want_kicks(kRx, false);
    lan.card.poll();
    CHECK(lan.device.queues[kRx].kicks <= before + 1);
}

TEST_CASE("the budget bounds a poll, and what is left is not forgotten (R5)") {
    Lan lan;
    REQUIRE(lan.start());
    for (unsigned i = 0; i < 50; ++i) REQUIRE(lan.deliver(frame(60)));
    CHECK(lan.card.poll(8) == 8);
    CHECK(lan.received.size() == 8);
    unsigned rounds = 1;
    while (lan.received.size() < 50) {
        REQUIRE(lan.card.wait(lan.platform.clock_ns + 1)); // never asleep with work left
        lan.card.poll(8);
        REQUIRE(++rounds < 10);
    }
    static_cast<void>(lan.card.wait(lan.platform.clock_ns + 1));
    CHECK(lan.card.poll() == 0);
    CHECK(!lan.card.wait(lan.platform.clock_ns + 1000));
}

TEST_CASE("a frame used between the last look and the arming is found (trap 4, B19)") {
    for (const bool event_index : {true, false}) {
        FeatureSet features = usual();
        if (!event_index) features.erase(RingFeature::event_idx);
        Lan lan{features};
        REQUIRE(lan.start());
        REQUIRE(lan.deliver(frame(60)));
        while (lan.device.take(kRx)) {
        } // the device waits for the next buffer
        bool once = false;
        lan.device.on_notify = [&](unsigned queue) { // the kick for the recycled buffer comes after the last look
            if (queue != kRx || once) return;
            once = true;
            lan.device.drop_interrupts = true; // the device saw the old state of suppression
            CHECK(lan.deliver(frame(61)));
        };
        lan.card.poll();
        CHECK(once);
        CHECK(lan.received.size() == 1);
        CHECK(lan.card.wait(lan.platform.clock_ns + 1000));
        lan.card.poll();
        CHECK(lan.received.size() == 2);
        CHECK(lan.card.device().watchdog_rescues() == 0);
    }
}

TEST_CASE("a lost receive interrupt is healed by the watchdog, and counted: ticks do not hide it (R24)") {
    Lan lan;
    REQUIRE(lan.start());
    lan.device.drop_interrupts = true;
    REQUIRE(lan.send(frame(60), 1)); // a frame in flight makes the card wake often
    REQUIRE(lan.deliver(frame(61)));
    const std::uint64_t begin = lan.platform.clock_ns;
    while (lan.received.empty() && lan.platform.clock_ns - begin < 1'000'000'000) {
        static_cast<void>(lan.card.wait(begin + 1'000'000'000));
        lan.card.poll();
    }
    CHECK(lan.received.size() == 1);
    CHECK(lan.card.device().watchdog_rescues() == 1);
    CHECK(lan.platform.clock_ns - begin < 2 * Device::kWatchdogNs);
}

TEST_CASE("without a client frames are dropped, counted, and their buffers recycled") {
    Lan lan;
    lan.options.client = {};
    REQUIRE(lan.start());
    for (unsigned i = 0; i < 200; ++i) {
        REQUIRE(lan.deliver(frame(60)));
        lan.card.poll();
    }
    CHECK(lan.card.counters().dropped_no_client == 200);
    CHECK(lan.card.posted() == 64);
}

TEST_CASE("descriptors that the device rewrites change nothing (B6)") {
    Lan lan{usual(), config(), 16, 16};
    REQUIRE(lan.start());
    for (unsigned round = 0; round < 40; ++round) {
        const auto chain = lan.device.take(kRx);
        REQUIRE(chain);
        chain->write(0, Header{}.wire().data(), 12);
        REQUIRE(lan.card.transmit(as_bytes(frame(60))));
        lan.card.flush();
        const auto out = lan.device.take(kTx);
        REQUIRE(out);
        std::vector<std::byte> saved(16u * 16u);
        std::memcpy(saved.data(), lan.device.queues[kRx].descriptors, saved.size());
        lan.device.scribble_descriptors(kRx, 0xff);
        lan.device.scribble_descriptors(kTx, 0xff);
        lan.device.use(kRx, *chain, 72);
        lan.device.use(kTx, *out, 0xffff'ffff);
        lan.card.poll();
        CHECK(lan.received.size() == round + 1);
        // Receive descriptors keep what was lent for ever: give the device sound ones again, in a packed ring without the flags.
        const std::size_t bytes = lan.device.queues[kRx].packed ? 14 : 16;
        for (std::size_t at = 0; at < saved.size(); at += 16)
            std::memcpy(lan.device.queues[kRx].descriptors + at, saved.data() + at, bytes);
    }
    CHECK(lan.card.state() == Error::none);
    CHECK(lan.device.violations.empty());
}

TEST_CASE("small pool: fewer buffers where memory is short, but enough for the longest frame") {
    Lan lan{jumbo(), config(65535), 256, 16};
    lan.options.receive_memory = 1;
    REQUIRE(lan.start());
    CHECK(lan.card.receive_buffers() == 34); // twice what the longest frame needs
    for (unsigned i = 0; i < 20; ++i) {
        REQUIRE(lan.deliver(frame(65549, i)));
        lan.card.poll();
    }
    CHECK(lan.received.size() == 20);

    Lan tiny{jumbo(), config(65535), 4, 16}; // a ring too small for a frame in pieces takes whole ones
    REQUIRE(tiny.start());
    REQUIRE(tiny.deliver(frame(65549)));
    tiny.card.poll();
    CHECK(tiny.received.size() == 1);
}

TEST_CASE("random headers, lengths and buffer counts: no crash, no lost buffer, honest frames still arrive (R2)") {
    for (unsigned seed = 1; seed <= 6; ++seed) {
        CAPTURE(seed);
        std::mt19937 random{seed};
        FeatureSet features = seed % 2 == 0 ? jumbo() : usual();
        if (seed % 3 == 0) features.erase(NetFeature::guest_csum);
        if (seed >= 4) features.erase(RingFeature::event_idx);
        Lan lan{features, config(seed % 2 == 0 ? 20000 : 1500), 32, 32};
        REQUIRE(lan.start());
        const std::uint32_t edges[] = {0,    1,    11,   12,   13,   25,   26,   27,          1525,       1526,
                                       1533, 1534, 1535, 1536, 4093, 4094, 4095, 0x7fff'ffff, 0xffff'ffff};
        std::uint64_t claims = 0;
        for (unsigned step = 0; step < 30'000; ++step) {
            lan.hold = random() % 8 == 0;
            const auto batch = static_cast<unsigned>(1 + random() % 6);
            std::vector<std::pair<std::uint32_t, std::uint32_t>> elements;
            for (unsigned i = 0; i < batch; ++i) {
                const auto chain = lan.device.take(kRx);
                if (!chain) break;
                Header header;
                if (random() % 2 == 0) {
                    header.flags = static_cast<std::uint8_t>(random() % 2 == 0 ? random() % 4 : random());
                    header.gso = static_cast<std::uint8_t>(random() % 4 == 0 ? random() : 0);
                    header.start = static_cast<std::uint16_t>(random() % 2 == 0 ? random() % 100 : random());
                    header.offset = static_cast<std::uint16_t>(random() % 2 == 0 ? random() % 100 : random());
                    header.buffers = static_cast<std::uint16_t>(random() % 4 == 0 ? random() : random() % 8);
                }
                chain->write(0, header.wire().data(), 12);
                const std::uint32_t length =
                    random() % 2 == 0 ? edges[random() % std::size(edges)] : static_cast<std::uint32_t>(random() % 5000);
                elements.emplace_back(chain->head, random() % 3 == 0 ? chain->writable[0].length : length);
                ++claims;
            }
            lan.device.use_batch(kRx, elements);
            if (random() % 4 != 0) lan.card.poll(random() % 2 == 0 ? 64 : 1 + static_cast<unsigned>(random() % 4));
            if (lan.received.size() > 10 || random() % 4 == 0) {
                for (const auto& one : lan.received) {
                    CHECK(one.bytes.size() >= 14);
                    CHECK(one.bytes.size() <= lan.card.mtu() + 18u);
                    lan.give_back(one);
                }
                lan.received.clear();
            }
            REQUIRE(lan.card.state() == Error::none); // lies about frames never break the queue
            if (step % 1000 == 999) {
                lan.hold = false;
                for (const auto& one : lan.received) lan.give_back(one);
                lan.received.clear();
                while (lan.card.poll() != 0) {
                }
                lan.card.flush();
                still_works(lan);
            }
        }
        CHECK(claims > 10'000);
        CHECK(lan.card.counters().bad_tokens == 0);
        CHECK(lan.device.violations.empty());
    }
}
