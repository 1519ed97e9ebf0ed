// The split ring where the order of descriptors matters: taken in ring order while that is possible, and always with IN_ORDER.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "tests/unit/support/split_bench.hpp"

using namespace virtio;

namespace {

const FeatureSet kInOrder = FeatureSet::of(RingFeature::in_order);
const FeatureSet kEvent = FeatureSet::of(RingFeature::event_idx);
const FeatureSet kIndirect = FeatureSet::of(RingFeature::indirect_desc);

template<class T> T word(const std::byte* at) {
    T value{};
    std::memcpy(&value, at, sizeof(T));
    return value;
}
struct RawDescriptor {
    std::uint64_t address = 0;
    std::uint32_t length = 0;
    std::uint16_t flags = 0, next = 0;
};
RawDescriptor descriptor(const SplitBench& bench, std::uint32_t number) {
    return word<RawDescriptor>(bench.device.queues[0].descriptors + 16 * std::size_t{number});
}

/// IN_ORDER: one used element, with the last chain's id, for a batch of `count`.
void use_in_order(SplitBench& bench, std::uint32_t last_id, std::uint32_t length, unsigned count) {
    auto& queue = bench.device.queues[0];
    std::byte* const element = queue.device + 4 + std::size_t{8} * (queue.used % queue.size);
    std::memcpy(element, &last_id, 4);
    std::memcpy(element + 4, &length, 4);
    bench.device.poke_used_index(0, static_cast<std::uint16_t>(queue.used + count));
}

std::vector<fake::Chain> take_all(SplitBench& bench) {
    std::vector<fake::Chain> chains;
    while (auto chain = bench.device.take(0)) chains.push_back(*chain);
    return chains;
}

} // namespace

TEST_CASE("SPLIT-004: with IN_ORDER descriptors are used in ring order, and next is the one after, 0 behind the last") {
    SplitBench bench{8, kInOrder};
    std::uint32_t expected = 0;
    for (int round = 0; round < 50; ++round) {
        const std::size_t parts = 1 + static_cast<std::size_t>(round) % 5;
        Request& request = bench.request();
        const std::vector<Segment> segments(parts, bench.segment(&bench.bytes[0], 4));
        REQUIRE(bench.queue.add({}, segments, request));
        bench.queue.kick();
        const auto chains = take_all(bench);
        REQUIRE(chains.size() == 1);
        CHECK(chains[0].head == expected);
        for (std::size_t i = 0; i + 1 < parts; ++i) {
            const RawDescriptor its = descriptor(bench, (expected + i) % 8);
            CHECK((its.flags & 1) == 1);
            CHECK(its.next == (expected + i + 1) % 8);
        }
        CHECK((descriptor(bench, (expected + parts - 1) % 8).flags & 1) == 0);
        expected = static_cast<std::uint32_t>((expected + parts) % 8);
        use_in_order(bench, chains[0].head, static_cast<std::uint32_t>(4 * parts), 1);
        CHECK(bench.queue.poll(8) == 1);
        CHECK(request.length == 4 * parts);
        CHECK(bench.queue.room() == 8);
    }
    CHECK(bench.device.violations.empty());
}

TEST_CASE("SPLIT-009: with IN_ORDER a table's entries follow each other") {
    SplitBench bench{8, kInOrder | kIndirect, {.indirect_entries = 4}};
    const std::vector<Segment> segments(4, bench.segment(&bench.bytes[0], 4));
    REQUIRE(bench.queue.add({}, segments, bench.request()));
    const RawDescriptor head = descriptor(bench, 0);
    REQUIRE(head.flags == 4);
    REQUIRE(head.length == 64);
    for (std::uint16_t i = 0; i < 4; ++i) {
        const auto entry = word<RawDescriptor>(reinterpret_cast<const std::byte*>(head.address) + 16 * std::size_t{i});
        CHECK(entry.flags == (i < 3 ? 3 : 2));
        CHECK(entry.next == (i < 3 ? i + 1 : 0));
    }
}

TEST_CASE("IN_ORDER: one used element for a batch; those passed over are used completely") {
    for (const bool direct : {false, true}) {
        SplitBench bench{16, kInOrder | kEvent};
        std::mt19937 random{3};
        std::vector<Request>& requests = bench.requests(16);
        unsigned done = 0;
        while (done < 140'000) { // past the wrap of every index (B28)
            const std::size_t count = 1 + random() % 5;
            std::vector<std::uint32_t> lent;
            for (std::size_t i = 0; i < count; ++i) {
                const std::size_t parts = direct ? 1 + random() % 3 : 1;
                const std::vector<Segment> segments(parts, bench.segment(&bench.bytes[2048], static_cast<std::uint32_t>(8 + i)));
                lent.push_back(static_cast<std::uint32_t>(parts * (8 + i)));
                REQUIRE(bench.queue.add({}, segments, requests[i]));
            }
            bench.queue.kick();
            const auto chains = take_all(bench);
            REQUIRE(chains.size() == count);
            use_in_order(bench, chains.back().head, 3, static_cast<unsigned>(count));
            // Not always all at once: the rest of a batch waits for the next poll().
            const unsigned first = bench.queue.poll(static_cast<unsigned>(1 + random() % 5));
            REQUIRE(first + bench.queue.poll(16) == count);
            for (std::size_t i = 0; i < count; ++i) {
                REQUIRE(requests[i].done());
                REQUIRE(requests[i].length == (i + 1 == count ? 3 : lent[i]));
            }
            REQUIRE(bench.queue.room() == 16);
            done += static_cast<unsigned>(count);
        }
        CHECK(bench.queue.lengths_clamped() == 0);
        CHECK(bench.device.violations.empty());
    }
}

TEST_CASE("IN_ORDER: an id that is not among the requests in flight, or beyond what the index covers, breaks the queue (B2, B12)") {
    const auto faulty = [](std::size_t count, std::size_t parts, std::uint32_t id, unsigned used, RingFault fault, unsigned good = 0) {
        CAPTURE(count);
        CAPTURE(parts);
        CAPTURE(id);
        SplitBench bench{16, kInOrder};
        std::vector<Request>& requests = bench.requests(count);
        const std::vector<Segment> segments(parts, bench.segment(&bench.bytes[2048], 8));
        for (Request& request : requests) REQUIRE(bench.queue.add({}, segments, request));
        bench.queue.kick();
        if (good != 0) {
            use_in_order(bench, static_cast<std::uint32_t>((good - 1) * parts), 0, good);
            REQUIRE(bench.queue.poll(16) == good);
        }
        use_in_order(bench, id, 0, used);
        CHECK(bench.queue.poll(16) == 0);
        CHECK(bench.queue.fault() == fault);
        CHECK(bench.queue.poll(16) == 0);
        CHECK(std::none_of(requests.begin() + good, requests.end(), [](const Request& request) { return request.done(); }));
        bench.queue.destroy(Error::queue_broken);
        CHECK(std::all_of(requests.begin() + good, requests.end(),
                          [](const Request& request) { return request.error == Error::queue_broken; }));
    };
    faulty(4, 1, 16, 1, RingFault::used_id_out_of_range);
    faulty(4, 1, 0xffff'ffff, 4, RingFault::used_id_out_of_range);
    faulty(4, 1, 0x1'0000, 1, RingFault::used_id_out_of_range);
    faulty(4, 1, 4, 4, RingFault::out_of_order); // never lent
    faulty(4, 1, 1, 1, RingFault::out_of_order); // the second, but the index covers only the first
    faulty(4, 1, 3, 2, RingFault::out_of_order);
    faulty(4, 1, 0, 2, RingFault::out_of_order, 2); // completed already
    faulty(4, 3, 3, 1, RingFault::out_of_order);    // direct chains: the second's head
    faulty(4, 3, 1, 4, RingFault::out_of_order);    // no head
    faulty(4, 3, 12, 4, RingFault::out_of_order);   // never lent
    faulty(4, 3, 0, 2, RingFault::out_of_order, 1); // completed already
    faulty(4, 1, 3, 5, RingFault::used_index_jump);
}

TEST_CASE("IN_ORDER: the last length of a batch is at most what was lent (B3)") {
    for (const std::uint32_t claimed : {0u, 15u, 16u, 17u, 0xffff'ffffu}) {
        SplitBench bench{8, kInOrder};
        std::vector<Request>& requests = bench.requests(2);
        for (Request& request : requests) REQUIRE(bench.add_in(request));
        bench.queue.kick();
        use_in_order(bench, 1, claimed, 2);
        CHECK(bench.queue.poll(8) == 2);
        CHECK(requests[0].length == 16);
        CHECK(requests[1].length == std::min(claimed, 16u));
        CHECK(requests[1].length_clamped == (claimed > 16));
    }
}

TEST_CASE("IN_ORDER: presets are indirect tables of their own, next to general chains") {
    SplitBench bench{16, kInOrder | kIndirect, {.presets = 4, .indirect_entries = 4}};
    REQUIRE(bench.queue.preset_count() == 4);
    CHECK(bench.queue.room() == 16); // none is set aside
    for (std::uint16_t slot = 0; slot < 4; ++slot)
        CHECK(bench.queue.preset(slot, bench.segment(&bench.bytes[slot * 16u], 16), bench.segment(&bench.bytes[1024u + slot], 1)));
    std::vector<Request>& requests = bench.requests(4);
    Request& general = bench.request();
    Request& late = bench.request();
    std::uint32_t next = 0;
    for (int round = 0; round < 100; ++round) {
        CAPTURE(round);
        for (std::uint16_t slot = 0; slot < 4; ++slot)
            REQUIRE(bench.queue.add_preset(slot, bench.segment(&bench.bytes[2048], 512), (slot & 1) != 0, requests[slot]));
        CHECK(bench.queue.add_preset(3, bench.segment(&bench.bytes[0], 1), true, late).error() == Error::request_in_flight);
        CHECK(bench.queue.add_preset(4, bench.segment(&bench.bytes[0], 1), true, late).error() == Error::invalid_argument);
        CHECK(bench.queue.add_preset(0, {{}, 0}, true, late).error() == Error::invalid_argument);
        // In later rounds a direct chain ends the alignment.
        const std::vector<Segment> parts(round < 50 ? 1 : 2, bench.segment(&bench.bytes[2048], 16));
        REQUIRE(bench.queue.add({}, parts, general));
        bench.queue.kick();
        const auto chains = take_all(bench);
        REQUIRE(chains.size() == 5);
        for (std::uint32_t slot = 0; slot < 4; ++slot) CHECK(chains[slot].head == (next + slot) % 16);
        CHECK(chains[0].readable.size() == 2);
        CHECK(chains[0].writable_bytes() == 1);
        CHECK(chains[1].readable.size() == 1);
        CHECK(chains[1].writable_bytes() == 513);
        CHECK(reinterpret_cast<std::uint8_t*>(chains[1].readable[0].data) == &bench.bytes[16]);
        use_in_order(bench, chains[4].head, 2, 5);
        CHECK(bench.queue.poll(16) == 5);
        CHECK(requests[0].length == 1);
        CHECK(requests[1].length == 513);
        CHECK(general.length == 2);
        next = static_cast<std::uint32_t>((next + 4 + parts.size()) % 16);
        CHECK(bench.queue.room() == 16);
    }
    // Without room there is no preset either.
    std::vector<Request>& fill = bench.requests(16);
    for (Request& request : fill) REQUIRE(bench.add_in(request));
    CHECK(bench.queue.add_preset(0, bench.segment(&bench.bytes[0], 1), true, late).error() == Error::ring_full);
    CHECK(bench.device.violations.empty());
}

TEST_CASE("IN_ORDER: without indirect tables there are no presets") {
    SplitBench bench{16, kInOrder, {.presets = 4}};
    CHECK(bench.queue.preset_count() == 0);
    CHECK(bench.queue.add_preset(0, bench.segment(&bench.bytes[0], 1), true, bench.request()).error() == Error::invalid_argument);
}

TEST_CASE("fixed slots, in turn and out of turn, with IN_ORDER and without") {
    for (const bool in_order : {false, true}) {
        CAPTURE(in_order);
        SplitBench bench{8, in_order ? kInOrder | kIndirect : kIndirect, {.indirect_entries = 2, .fixed = true}};
        std::vector<Request>& requests = bench.requests(8);
        for (std::uint16_t slot = 0; slot < 8; ++slot) bench.queue.fix_writable(slot, bench.segment(&bench.bytes[slot * 64u], 10u + slot));
        Request& late = bench.request();
        CHECK(bench.queue.add_fixed(8, late).error() == Error::invalid_argument);
        CHECK(bench.add_in(late).error() == Error::too_many_segments); // no chains here
        std::mt19937 random{5};
        std::vector<std::uint16_t> order{0, 1, 2, 3, 4, 5, 6, 7};
        for (int round = 0; round < 300; ++round) {
            if (round > 20) std::shuffle(order.begin(), order.end(), random);
            for (const std::uint16_t slot : order) {
                REQUIRE(bench.queue.add_fixed(slot, requests[slot]));
                CHECK(bench.queue.add_fixed(slot, late).error() == Error::request_in_flight);
            }
            bench.queue.kick();
            auto chains = take_all(bench);
            REQUIRE(chains.size() == 8);
            for (std::size_t i = 0; i < 8; ++i) {
                REQUIRE(chains[i].writable.size() == 1);
                CHECK(chains[i].writable_bytes() == 10u + order[i]);
                CHECK(reinterpret_cast<std::uint8_t*>(chains[i].writable[0].data) == &bench.bytes[order[i] * 64u]);
            }
            if (in_order) {
                use_in_order(bench, chains[7].head, 100, 8);
            } else {
                std::shuffle(chains.begin(), chains.end(), random);
                for (const auto& chain : chains) bench.device.use(0, chain, 100);
            }
            CHECK(bench.queue.poll(16) == 8);
            for (std::uint16_t slot = 0; slot < 8; ++slot) CHECK(requests[slot].length == 10u + slot);
        }
        // A slot's table, and what a table may not be.
        const std::vector<Segment> parts(3, bench.segment(&bench.bytes[0], 4));
        CHECK(bench.queue.fix_table(8, std::span(parts).first(1)).error() == Error::invalid_argument);
        CHECK(bench.queue.fix_table(0, {}).error() == Error::invalid_argument);
        CHECK(bench.queue.fix_table(0, parts).error() == Error::too_many_segments);
        CHECK(bench.queue.fix_table(0, std::vector<Segment>(1)).error() == Error::invalid_argument);
        REQUIRE(bench.queue.fix_table(5, std::span(parts).first(2)));
        REQUIRE(bench.queue.add_fixed(5, requests[5]));
        bench.queue.kick();
        const auto chain = bench.device.take(0);
        REQUIRE(chain);
        CHECK(chain->readable.size() == 2);
        bench.device.use(0, *chain, 7);
        CHECK(bench.queue.poll(1) == 1);
        CHECK(requests[5].length == 0);
        CHECK(bench.device.violations.empty());
    }
}

TEST_CASE("a ring of fixed slots that breaks or closes lends nothing more, and gives everything back") {
    for (const bool in_order : {false, true}) {
        SplitBench bench{8, in_order ? kInOrder : FeatureSet{}, {.fixed = true}};
        std::vector<Request>& requests = bench.requests(8);
        for (std::uint16_t slot = 0; slot < 8; ++slot) bench.queue.fix_writable(slot, bench.segment(&bench.bytes[0], 16));
        for (std::uint16_t slot = 0; slot < 4; ++slot) REQUIRE(bench.queue.add_fixed(slot, requests[slot]));
        bench.queue.kick();
        bench.device.use(0, 6u, 0);
        CHECK(bench.queue.poll(8) == 0);
        CHECK(bench.queue.fault() == (in_order ? RingFault::out_of_order : RingFault::used_id_not_in_flight));
        for (std::uint16_t slot = 0; slot < 8; ++slot) CHECK(bench.queue.add_fixed(slot, requests[7]).error() == Error::queue_broken);
        bench.queue.destroy(Error::closed);
        CHECK(std::count_if(requests.begin(), requests.end(), [](const Request& r) { return r.error == Error::closed; }) == 4);
    }
}

TEST_CASE("descriptors are taken in turn until that is impossible, and nothing is lost when it ends") {
    SplitBench bench{8, kEvent};
    std::vector<Request>& requests = bench.requests(16);
    // In turn: entry i holds i.
    for (int lap = 0; lap < 3; ++lap)
        for (std::uint16_t i = 0; i < 8; ++i) {
            REQUIRE(bench.add_in(requests[i]));
            bench.queue.kick();
            const auto chain = bench.device.take(0);
            REQUIRE(chain);
            CHECK(chain->head == i);
            bench.device.use(0, *chain, 1);
            CHECK(bench.queue.poll(1) == 1);
        }
    // Full, and completed backwards: the next request's descriptor is in flight still.
    for (int i = 0; i < 8; ++i) REQUIRE(bench.add_in(requests[i]));
    CHECK(bench.add_in(requests[8]).error() == Error::ring_full);
    bench.queue.kick();
    auto chains = take_all(bench);
    REQUIRE(chains.size() == 8);
    bench.device.use(0, chains[7], 1);
    CHECK(bench.queue.poll(8) == 1);
    REQUIRE(bench.add_in(requests[8]));
    bench.queue.kick();
    const auto again = bench.device.take(0);
    REQUIRE(again);
    CHECK(again->head == 7);
    // All the others, two of them before it, and the completions add more.
    for (int i = 0; i < 7; ++i) bench.device.use(0, chains[i], 1);
    bench.device.use(0, *again, 1);
    CHECK(bench.queue.poll(16) == 8);
    CHECK(bench.queue.room() == 8);
    const std::vector<Segment> parts(8, bench.segment(&bench.bytes[0], 4));
    REQUIRE(bench.queue.add({}, parts, requests[9]));
    bench.queue.kick();
    const auto longest = bench.device.take(0);
    REQUIRE(longest);
    CHECK(longest->writable.size() == 8);
    CHECK(bench.device.violations.empty());
}

TEST_CASE("a completion that adds a chain of several parts ends the turn in the middle of a poll") {
    static SplitBench* its = nullptr;
    for (const FeatureSet& features : {FeatureSet{}, kInOrder}) {
        SplitBench bench{16, features};
        its = &bench;
        std::vector<Request>& requests = bench.requests(8);
        static Request* chain = nullptr;
        chain = &bench.request();
        requests[2].complete = [](Request&) noexcept {
            const std::array parts{its->segment(&its->bytes[0], 4), its->segment(&its->bytes[8], 4)};
            REQUIRE(its->queue.add({}, parts, *chain));
        };
        for (Request& request : requests) REQUIRE(bench.add_in(request));
        bench.queue.kick();
        const auto chains = take_all(bench);
        REQUIRE(chains.size() == 8);
        if (features == kInOrder)
            use_in_order(bench, chains[7].head, 16, 8);
        else
            for (const auto& one : chains) bench.device.use(0, one, 16);
        CHECK(bench.queue.poll(16) == 8);
        for (const Request& request : requests) CHECK((request.done() && request.length == 16));
        CHECK(bench.queue.room() == 14);
        bench.queue.kick();
        const auto last = bench.device.take(0);
        REQUIRE(last);
        CHECK(last->writable.size() == 2);
        use_in_order(bench, last->head, 8, 1);
        CHECK(bench.queue.poll(16) == 1);
        CHECK(chain->length == 8);
        CHECK(bench.queue.room() == 16);
        CHECK(bench.device.violations.empty());
    }
}

TEST_CASE("a length of 4 GiB less one byte, the longest there is") {
    SplitBench bench{4};
    Request& request = bench.request();
    REQUIRE(bench.add_in(request, 0xffff'ffffu));
    bench.queue.kick();
    bench.device.use(0, bench.device.take(0)->head, 0xffff'ffffu);
    CHECK(bench.queue.poll(4) == 1);
    CHECK(request.length == 0xffff'ffffu);
    CHECK_FALSE(request.length_clamped);
    CHECK(bench.queue.room() == 4);
}
