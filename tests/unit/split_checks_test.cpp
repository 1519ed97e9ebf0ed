// What a caller of a split queue gets wrong on the short ways in, which look at everything at once.
#include <doctest/doctest.h>

#include "libvirtio/virtqueue.hpp"
#include "tests/unit/support/split_bench.hpp"

using namespace virtio;

namespace {

/// Why it failed; a value is no failure.
Error why(const Result<>& result) { return result ? Error::none : result.error(); }

const FeatureSet kInOrder = FeatureSet::of(RingFeature::in_order, RingFeature::indirect_desc);

} // namespace

TEST_CASE("one segment, the short way: a request that is in flight, a segment of no bytes") {
    for (const FeatureSet& features : {FeatureSet{}, FeatureSet::of(RingFeature::in_order)}) {
        SplitBench bench{8, features};
        Request& request = bench.request();
        const Segment segment = bench.segment(&bench.bytes[0], 16);
        CHECK(why(bench.queue.add_readable({segment.address, 0}, request)) == Error::invalid_argument);
        CHECK(why(bench.queue.add_writable({segment.address, 0}, request)) == Error::invalid_argument);
        REQUIRE(bench.queue.add_readable(segment, request));
        CHECK(why(bench.queue.add_readable(segment, request)) == Error::request_in_flight);
        CHECK(why(bench.queue.add_writable(segment, request)) == Error::request_in_flight);
        CHECK(bench.queue.in_flight() == 1);
    }
}

TEST_CASE("a fixed slot that there is not is not written (R31)") {
    SplitBench bench{4, FeatureSet{}, {}}; // no ring of fixed slots: its descriptors are the chains'
    Request request;
    const Segment lent = bench.segment(&bench.bytes[0], 16);
    REQUIRE(bench.queue.add({}, {&lent, 1}, request));
    for (std::uint16_t slot = 0; slot < 4; ++slot) bench.queue.fix_readable(slot, bench.segment(&bench.bytes[64], 8));
    bench.queue.kick();
    const auto chain = bench.device.take(0);
    REQUIRE(chain);
    CHECK(chain->readable.empty());
    CHECK(chain->writable_bytes() == 16);
    SplitBench fixed{4, FeatureSet{}, {.fixed = true}};
    fixed.queue.fix_readable(0xffff, fixed.segment(&fixed.bytes[0], 8));
    CHECK(fixed.queue.add_fixed(0xffff, request).error() == Error::invalid_argument);
}

TEST_CASE("presets: no data, too much of it, a request that is in flight, slots that do not exist, no descriptor left") {
    for (const FeatureSet& features : {FeatureSet{}, kInOrder}) {
        SplitBench bench{16, features, {.presets = 4, .indirect_entries = 4}};
        const std::uint16_t slots = bench.queue.preset_count();
        REQUIRE(slots >= 2);
        for (std::uint16_t slot = 0; slot < slots; ++slot)
            CHECK(bench.queue.preset(slot, bench.segment(&bench.bytes[slot * 16u], 16), bench.segment(&bench.bytes[1024u + slot], 1)));
        // One more would overwrite what general chains stand in, or memory behind the tables.
        CHECK_FALSE(bench.queue.preset(slots, bench.segment(&bench.bytes[0], 16), bench.segment(&bench.bytes[1024], 1)));
        CHECK_FALSE(bench.queue.preset(0xffff, bench.segment(&bench.bytes[0], 16), bench.segment(&bench.bytes[1024], 1)));
        CHECK_FALSE(bench.queue.preset(0, bench.segment(&bench.bytes[0], 16), {{1024}, 65'535}));
        Request& request = bench.request();
        const Segment data = bench.segment(&bench.bytes[2048], 512);
        CHECK(why(bench.queue.add_preset(slots, data, true, request)) == Error::invalid_argument);
        CHECK(why(bench.queue.add_preset(0, {data.address, 0}, true, request)) == Error::invalid_argument);
        CHECK(why(bench.queue.add_preset(0, {data.address, 0xffff'ffff}, true, request)) == Error::invalid_argument); // and its status
        CHECK(bench.queue.in_flight() == 0);
        REQUIRE(bench.queue.add_preset(0, data, true, request));
        CHECK(why(bench.queue.add_preset(1, data, true, request)) == Error::request_in_flight);
        CHECK(bench.queue.in_flight() == 1);
        bench.queue.kick();
        const auto chain = bench.device.take(0);
        REQUIRE(chain);
        CHECK(chain->writable_bytes() == 513);
        bench.device.use(0, *chain, 513);
        CHECK(bench.queue.poll(8) == 1);
        CHECK(request.length == 513);
        CHECK(bench.device.violations.empty());
    }
    SplitBench full{4, kInOrder, {.presets = 4, .indirect_entries = 4}};
    REQUIRE(full.queue.preset_count() >= 1);
    CHECK(full.queue.preset(0, full.segment(&full.bytes[0], 16), full.segment(&full.bytes[1024], 1)));
    std::vector<Request>& requests = full.requests(5);
    std::size_t sent = 0;
    while (sent < 4 && full.add_out(requests[sent])) ++sent;
    REQUIRE(full.queue.room() == 0);
    CHECK(why(full.queue.add_preset(0, full.segment(&full.bytes[2048], 512), true, requests[4])) == Error::ring_full);
    CHECK(full.queue.in_flight() == sent);
}
