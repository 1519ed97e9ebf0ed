// The packed ring engine against a device that walks it with its own code, and against one that lies.
#include <array>
#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <random>

#include "libvirtio/virtqueue.hpp"
#include "tests/unit/support/fake_device.hpp"

using namespace virtio;

namespace {

const FeatureSet kPacked = FeatureSet::of(RingFeature::ring_packed);
const FeatureSet kEvent = FeatureSet::of(RingFeature::event_idx);
const FeatureSet kIndirect = FeatureSet::of(RingFeature::indirect_desc);
const FeatureSet kInOrder = FeatureSet::of(RingFeature::in_order);

/// One packed queue on a started device, without a front end.
struct Bench {
    explicit Bench(std::uint16_t size, FeatureSet more = {}, QueueOptions options = {}, bool notification_data = false)
        : features(kPacked | more), device{{.type = 2,
                                            .features = features | FeatureSet::of(RingFeature::version_1),
                                            .config = std::vector<std::uint8_t>(64),
                                            .queue_sizes = {size}}} {
        options.maximum_size = 32768;
        device.accepted = features;
        REQUIRE(queue.create(platform, *domain(), 0, size, features, options));
        REQUIRE(queue.kind() == RingKind::packed);
        REQUIRE(device.set_status(1));
        REQUIRE(device.set_status(3));
        REQUIRE(device.set_status(11));
        const auto grant = device.queue_enable(0, {queue.size(), queue.descriptor_address(), queue.driver_address(), queue.device_address(),
                                                   kNoVector, notification_data, false});
        REQUIRE(grant);
        queue.connect(grant->doorbell, kNoVector);
        REQUIRE(device.set_status(15));
        queue.start();
    }
    ~Bench() {
        queue.destroy(Error::closed);
        CHECK(platform.live.empty());
        for (const auto& violation : device.violations) FAIL_CHECK(violation);
    }
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;
    DmaDomain* domain() { return *platform.dma_domain({}, false); }
    Segment segment(std::size_t at, std::uint32_t length) {
        return {DmaAddress{reinterpret_cast<std::uintptr_t>(bytes.data() + at)}, length};
    }
    Result<> add_out(Request& request, std::uint32_t length = 16) { return queue.add_readable(segment(0, length), request); }
    Result<> add_in(Request& request, std::uint32_t length = 16) { return queue.add_writable(segment(2048, length), request); }
    Result<> add_parts(Request& request, std::size_t parts, std::uint32_t length = 4) {
        const std::vector<Segment> segments(parts, segment(2048, length));
        return queue.add({}, segments, request);
    }
    fake::Chain take() {
        auto chain = device.take(0);
        REQUIRE(chain);
        return *chain;
    }
    void use(const fake::Chain& chain, std::uint32_t written = 0) { device.use(0, chain, written); }
    void use(std::uint32_t id, std::uint32_t written = 0) { device.use(0, id, written); }

    /// Puts a used descriptor where the driver looks next, as it stands.
    void scribble_used(std::uint16_t id, std::uint32_t length, std::uint16_t flags) {
        std::byte* at = device.queues[0].descriptors + std::size_t{16} * device.queues[0].used_at.slot;
        std::memcpy(at + 8, &length, 4);
        std::memcpy(at + 12, &id, 2);
        std::memcpy(at + 14, &flags, 2);
    }
    /// Lets the device ask for the kick at `slot` in the lap of `wrap`.
    void device_event(unsigned slot, bool wrap, std::uint16_t flags = 2) {
        const auto position = static_cast<std::uint16_t>(slot | (wrap ? 0x8000u : 0u));
        std::memcpy(device.queues[0].device, &position, 2);
        std::memcpy(device.queues[0].device + 2, &flags, 2);
    }
    [[nodiscard]] unsigned kicks() const { return device.queues[0].kicks; }
    [[nodiscard]] std::uint16_t event_position() const {
        std::uint16_t position;
        std::memcpy(&position, device.queues[0].driver, 2);
        return position;
    }
    [[nodiscard]] std::uint16_t event_flags() const {
        std::uint16_t flags;
        std::memcpy(&flags, device.queues[0].driver + 2, 2);
        return flags;
    }
    /// Moves the ring on by single requests.
    void turn(unsigned slots) {
        Request& one = request();
        for (unsigned i = 0; i < slots; ++i) {
            REQUIRE(add_out(one));
            queue.kick();
            use(take());
            REQUIRE(queue.poll(1) == 1);
        }
    }

    FeatureSet features;
    fake::HostPlatform platform;
    fake::FakeDevice device;
    Virtqueue queue;
    std::vector<std::uint8_t> bytes = std::vector<std::uint8_t>(4096);

    // Requests live as long as the bench: some are still in flight when its destructor ends them.
    Request& request() { return requests(1)[0]; }
    std::vector<Request>& requests(std::size_t count) { return pool.emplace_back(count); }
    std::deque<std::vector<Request>> pool;
};

const FeatureSet kAllKinds[] = {{}, kEvent, kIndirect, kEvent | kIndirect};

} // namespace

TEST_CASE("packed: a chain reaches the device as it was given: order, direction, lengths, NEXT on all but the last (B13)") {
    for (const bool indirect : {false, true}) {
        Bench bench{16, indirect ? kIndirect : FeatureSet{}, {.indirect_entries = 8}};
        for (unsigned round = 0; round < 20; ++round) { // through the ring's end, at every offset
            const Segment out[] = {bench.segment(0, 3), bench.segment(100, 5)};
            const Segment in[] = {bench.segment(200, 7), bench.segment(300, 11), bench.segment(400, 1)};
            Request& request = bench.request();
            REQUIRE(bench.queue.add(out, in, request));
            CHECK_FALSE(bench.device.take(0)); // nothing is visible before publish()
            CHECK(bench.queue.room() == (indirect ? 15 : 11));
            bench.queue.kick();
            const auto chain = bench.take();
            REQUIRE(chain.readable.size() == 2);
            REQUIRE(chain.writable.size() == 3);
            CHECK(chain.readable[0].length == 3);
            CHECK(chain.readable[1].length == 5);
            CHECK(chain.writable[0].length == 7);
            CHECK(chain.writable[1].length == 11);
            CHECK(chain.writable[2].length == 1);
            CHECK(reinterpret_cast<std::uint8_t*>(chain.readable[1].data) == &bench.bytes[100]);
            CHECK(reinterpret_cast<std::uint8_t*>(chain.writable[1].data) == &bench.bytes[300]);
            bench.use(chain, 18);
            CHECK(bench.queue.poll(10) == 1);
            CHECK(request.done());
            CHECK(request.length == 18);
            CHECK_FALSE(request.length_clamped);
            CHECK(bench.queue.room() == 16);
            CHECK(bench.queue.in_flight() == 0);
        }
    }
}

TEST_CASE("packed: bad requests are refused before anything is written (R31)") {
    Bench bench{4};
    Request& request = bench.request();
    CHECK(bench.queue.add({}, {}, request).error() == Error::empty_request);
    CHECK(bench.add_out(request, 0).error() == Error::invalid_argument);
    CHECK(bench.add_in(request, 0).error() == Error::invalid_argument);
    CHECK(bench.add_parts(request, 2, 0).error() == Error::invalid_argument);
    const std::vector<Segment> empty_second{bench.segment(0, 1), bench.segment(0, 0)};
    CHECK(bench.queue.add(empty_second, {}, request).error() == Error::invalid_argument);
    CHECK(bench.add_parts(request, 5).error() == Error::too_many_segments);
    const std::vector<Segment> huge(2, bench.segment(0, 0x8000'0000u));
    CHECK(bench.queue.add(huge, {}, request).error() == Error::invalid_argument); // B47: 4 GiB in all
    CHECK(bench.queue.add({huge.data(), 1}, {huge.data(), 1}, request).error() == Error::invalid_argument);
    CHECK(request.state == Request::State::idle);
    REQUIRE(bench.add_out(request));
    CHECK(bench.add_out(request).error() == Error::request_in_flight);
    CHECK(bench.add_in(request).error() == Error::request_in_flight);
    CHECK(bench.add_parts(request, 2).error() == Error::request_in_flight);
    bench.queue.kick();
    CHECK(bench.device.available(0) == 1);
    CHECK(bench.queue.room() == 3);
}

TEST_CASE("packed: every size, chains of exactly N, and the wrap at every position (B13)") {
    for (const int wanted : {1, 2, 3, 4, 5, 7, 256, 1000, 32768}) {
        const auto size = static_cast<std::uint16_t>(wanted);
        Bench bench{size, kEvent};
        REQUIRE(bench.queue.size() == size); // also what is no power of two
        CHECK(bench.queue.room() == size);
        const unsigned rounds = size > 1000 ? 1 : size > 100 ? 5 : 4u * size + 3;
        for (unsigned round = 0; round < rounds; ++round) {
            // A chain that fills the ring, wherever it begins.
            Request& whole = bench.request();
            REQUIRE(bench.add_parts(whole, size));
            CHECK(bench.queue.room() == 0);
            Request& late = bench.request();
            CHECK(bench.add_out(late).error() == Error::ring_full);
            bench.queue.kick();
            CHECK(bench.queue.in_flight() == 1);
            CHECK(bench.queue.poll(4) == 0);
            const auto chain = bench.take();
            CHECK(chain.writable.size() == size);
            CHECK_FALSE(bench.device.take(0));
            bench.use(chain, 4u * size);
            CHECK(bench.queue.poll(4) == 1);
            CHECK(whole.length == 4u * size);
            CHECK(bench.queue.room() == size);
            // As many single ones, used the other way round.
            std::vector<Request>& singles = bench.requests(size);
            for (Request& request : singles) REQUIRE(bench.add_in(request));
            CHECK(bench.add_in(late).error() == Error::ring_full);
            bench.queue.kick();
            std::vector<fake::Chain> chains;
            while (auto next = bench.device.take(0)) chains.push_back(*next);
            REQUIRE(chains.size() == size);
            if (size <= 1000) std::reverse(chains.begin(), chains.end()); // the device's own search makes it slow
            for (std::size_t i = 0; i < chains.size(); ++i)
                bench.use(chains[i], static_cast<std::uint32_t>((size <= 1000 ? chains.size() - 1 - i : i) % 17));
            CHECK(bench.queue.poll(40'000) == size);
            for (std::size_t i = 0; i < singles.size(); ++i) REQUIRE(singles[i].length == i % 17);
            bench.turn(1); // the next round begins one slot further on
            CHECK_FALSE(bench.queue.broken());
        }
    }
}

TEST_CASE("packed: the wrap counter starts as 1 and both sides keep theirs: 70,000 operations (trap 14, B28)") {
    for (const FeatureSet& more : {FeatureSet{}, kEvent, kInOrder, kEvent | kInOrder}) {
        for (const std::uint16_t size : {std::uint16_t{7}, std::uint16_t{8}}) {
            for (const unsigned batch : {1u, 3u, 7u}) {
                Bench bench{size, more};
                std::vector<Request>& requests = bench.requests(size);
                unsigned handled = 0;
                // A device that sleeps until it is kicked, and then empties the ring: a lost kick would stop everything.
                bench.device.on_notify = [&](unsigned) {
                    do {
                        while (auto chain = bench.device.take(0)) {
                            ++handled;
                            bench.use(*chain);
                        }
                        bench.device.want_kicks(0, true);
                    } while (bench.device.available(0) != 0);
                };
                unsigned done = 0;
                while (done < 70'000) {
                    for (unsigned i = 0; i < batch; ++i) REQUIRE(bench.add_out(requests[i]));
                    bench.queue.kick();
                    const unsigned now = bench.queue.poll(64);
                    REQUIRE(now == batch);
                    done += now;
                }
                CHECK(handled == done);
                CHECK(bench.kicks() == bench.queue.counters().kicks);
            }
        }
    }
}

TEST_CASE("packed: completions in any order, chains of any length: buffer ids come back whole (trap 7, B12, B13)") {
    std::mt19937 random{7};
    for (const FeatureSet& more : kAllKinds) {
        for (const std::uint16_t size : {std::uint16_t{3}, std::uint16_t{32}, std::uint16_t{33}}) {
            Bench bench{size, more, {.indirect_entries = 4}};
            std::vector<Request>& requests = bench.requests(size);
            for (int round = 0; round < 200; ++round) {
                std::vector<Request*> lent;
                for (Request& request : requests) {
                    if (!bench.add_parts(request, 1 + random() % std::min<unsigned>(4, size), 8)) break;
                    lent.push_back(&request);
                }
                bench.queue.kick();
                std::vector<fake::Chain> chains;
                while (auto chain = bench.device.take(0)) chains.push_back(*chain);
                REQUIRE(chains.size() == lent.size());
                std::shuffle(chains.begin(), chains.end(), random);
                std::vector<std::pair<std::uint32_t, std::uint32_t>> batch;
                for (const auto& chain : chains) batch.emplace_back(chain.head, 5);
                bench.device.use_batch(0, batch);
                CHECK(bench.queue.poll(100) == lent.size());
                for (const Request* request : lent) CHECK((request->done() && request->length == 5));
                CHECK(bench.queue.room() == size);
            }
        }
    }
}

TEST_CASE("packed: free slots + lent slots stay equal to the size, ids are never lent twice (B2, B10, B11)") {
    std::mt19937 random{11};
    for (const std::uint16_t size :
         {std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{3}, std::uint16_t{4}, std::uint16_t{7}, std::uint16_t{64}}) {
        for (const FeatureSet& more : {FeatureSet{}, kIndirect, kInOrder, kIndirect | kInOrder}) {
            Bench bench{size, more, {.indirect_entries = 3}};
            std::vector<Request>& requests = bench.requests(size);
            std::vector<fake::Chain> held;
            std::map<const Request*, std::size_t> parts_of;
            for (int step = 0; step < 20'000; ++step) {
                if (random() % 2 == 0) {
                    const auto idle = std::find_if(requests.begin(), requests.end(),
                                                   [](const Request& r) { return r.state != Request::State::in_flight; });
                    if (idle == requests.end()) continue;
                    const std::size_t parts = 1 + random() % 4;
                    const std::uint16_t room = bench.queue.room();
                    const auto added = bench.add_parts(*idle, parts);
                    if (!added) {
                        CHECK((added.error() == Error::ring_full || added.error() == Error::too_many_segments));
                        CHECK(bench.queue.room() == room);
                    } else {
                        const std::size_t slots = room - bench.queue.room();
                        CHECK((slots == parts || (more.has(RingFeature::indirect_desc) && slots == 1)));
                    }
                    bench.queue.kick();
                    while (auto chain = bench.device.take(0)) held.push_back(*chain);
                } else if (!held.empty()) {
                    const std::size_t which = more.has(RingFeature::in_order) ? 0 : random() % held.size();
                    bench.use(held[which]);
                    held.erase(held.begin() + static_cast<std::ptrdiff_t>(which));
                    bench.queue.poll(static_cast<unsigned>(random() % 3));
                }
                REQUIRE(bench.queue.in_flight() <= size);
            }
            for (const auto& chain : held) bench.use(chain);
            bench.queue.poll(1000);
            CHECK(bench.queue.in_flight() == 0);
            CHECK(bench.queue.room() == size);
        }
    }
}

TEST_CASE("packed: a full ring says so, loses nothing") {
    Bench bench{3};
    std::vector<Request>& requests = bench.requests(4);
    for (int i = 0; i < 3; ++i) REQUIRE(bench.add_out(requests[i]));
    CHECK(bench.add_out(requests[3]).error() == Error::ring_full);
    CHECK(bench.add_parts(requests[3], 2).error() == Error::ring_full);
    CHECK(requests[3].state == Request::State::idle);
    CHECK(bench.queue.counters().ring_full == 2);
    bench.queue.kick();
    bench.take();
    bench.use(bench.take()); // the second first
    CHECK(bench.queue.poll(8) == 1);
    CHECK(requests[1].done());
    CHECK(bench.add_parts(requests[3], 2).error() == Error::ring_full); // one slot is not two
    REQUIRE(bench.add_out(requests[3]));
    bench.queue.kick();
    CHECK(bench.device.available(0) == 2);
}

TEST_CASE("packed: indirect where it saves slots, a table's entries know only WRITE (PACKED-011, PACKED-013)") {
    Bench bench{8, kIndirect, {.indirect_entries = 4}};
    CHECK(bench.queue.indirect_entries() == 4);
    std::vector<Request>& requests = bench.requests(8);
    REQUIRE(bench.add_parts(requests[0], 2)); // direct
    CHECK(bench.queue.room() == 6);
    REQUIRE(bench.add_parts(requests[1], 3)); // table
    CHECK(bench.queue.room() == 5);
    REQUIRE(bench.add_parts(requests[2], 4));
    CHECK(bench.queue.room() == 4);
    CHECK(bench.add_parts(requests[3], 5).error() == Error::ring_full); // longer than a table: direct, and that needs five
    REQUIRE(bench.add_parts(requests[3], 2));
    REQUIRE(bench.add_out(requests[4]));
    CHECK(bench.queue.room() == 1);
    REQUIRE(bench.add_parts(requests[5], 2)); // no room for two: table
    CHECK(bench.queue.room() == 0);
    bench.queue.kick();
    for (const std::size_t parts : {2u, 3u, 4u, 2u, 1u, 2u}) {
        const auto chain = bench.take();
        CHECK(chain.readable.size() + chain.writable.size() == parts);
        bench.use(chain);
    }
    CHECK(bench.queue.poll(8) == 6);
}

TEST_CASE("packed: a used id out of range breaks the queue (trap 10, B1)") {
    for (const FeatureSet& more : {FeatureSet{}, kInOrder}) {
        for (const std::uint16_t id : {std::uint16_t{7}, std::uint16_t{8}, std::uint16_t{0x7fff}, std::uint16_t{0xffff}}) {
            Bench bench{7, more};
            Request& request = bench.request();
            REQUIRE(bench.add_in(request));
            bench.queue.kick();
            bench.use(id, 4);
            CHECK(bench.queue.poll(8) == 0);
            CHECK(bench.queue.broken());
            CHECK(bench.queue.fault() == RingFault::used_id_out_of_range);
            CHECK_FALSE(request.done()); // still the device's until a confirmed reset
            Request& second = bench.request();
            CHECK(bench.add_in(second).error() == Error::queue_broken);
            CHECK(bench.add_parts(second, 2).error() == Error::queue_broken);
            bench.queue.destroy(Error::queue_broken);
            CHECK((request.done() && request.error == Error::queue_broken));
            bench.device.violations.clear();
        }
    }
}

TEST_CASE("packed: a used id that is not in flight breaks the queue (B2): never lent, a chain's other slot, completed twice") {
    SUBCASE("never lent") {
        Bench bench{8};
        Request& request = bench.request();
        REQUIRE(bench.add_in(request));
        bench.queue.kick();
        bench.use(5u);
        CHECK(bench.queue.poll(8) == 0);
        CHECK(bench.queue.fault() == RingFault::used_id_not_in_flight);
    }
    SUBCASE("another slot's of a chain") {
        Bench bench{8};
        Request& request = bench.request();
        REQUIRE(bench.add_parts(request, 2));
        bench.queue.kick();
        bench.use(bench.take().head + 1u);
        CHECK(bench.queue.poll(8) == 0);
        CHECK(bench.queue.fault() == RingFault::used_id_not_in_flight);
    }
    SUBCASE("twice") {
        Bench bench{8};
        Request& first = bench.request();
        Request& second = bench.request();
        REQUIRE(bench.add_in(first));
        REQUIRE(bench.add_in(second));
        bench.queue.kick();
        const auto chain = bench.take();
        bench.use(chain);
        bench.use(chain);
        CHECK(bench.queue.poll(8) == 1);
        CHECK(first.done());
        CHECK_FALSE(second.done());
        CHECK(bench.queue.fault() == RingFault::used_id_not_in_flight);
    }
    SUBCASE("flags that say used in an empty ring") {
        Bench bench{8};
        bench.scribble_used(0, 0, 0x8080);
        CHECK(bench.queue.poll(8) == 0);
        CHECK(bench.queue.fault() == RingFault::used_id_not_in_flight);
    }
    SUBCASE("added, but not yet published") {
        Bench bench{8};
        REQUIRE(bench.add_in(bench.request()));
        bench.scribble_used(3, 0, 0x8080);
        CHECK(bench.queue.poll(8) == 0);
        CHECK(bench.queue.broken());
    }
}

TEST_CASE("packed: flags count only as AVAIL and USED of this lap, whatever else stands in them (trap 14)") {
    for (const unsigned lap : {0u, 1u, 2u}) {
        const unsigned used = lap % 2 == 0 ? 0x8080 : 0;
        Bench bench{4};
        bench.turn(4 * lap);
        Request& request = bench.request();
        REQUIRE(bench.add_in(request));
        bench.queue.kick();
        const auto chain = bench.take();
        unsigned believed = 0;
        for (unsigned flags = 0; flags < 0x10000; ++flags) {
            if ((flags & 0x8080) == used) continue; // would be a completion
            bench.scribble_used(chain.head, 9, static_cast<std::uint16_t>(flags));
            believed += bench.queue.poll(1);
        }
        CHECK(believed == 0);
        bench.scribble_used(chain.head, 9, static_cast<std::uint16_t>(used | 0x7f7f)); // used, with every other bit set
        CHECK(bench.queue.poll(1) == 1);
        CHECK(request.length == 9);
        CHECK_FALSE(bench.queue.broken());
    }
}

TEST_CASE("packed: a used length is at most what was lent (trap 11, B3); of what was only to be read it is ignored") {
    for (const FeatureSet& more : {FeatureSet{}, kInOrder}) {
        for (const std::size_t parts : {1u, 2u}) {
            for (const std::uint32_t claimed : {0u, 15u, 16u, 17u, 0x7fff'ffffu, 0xffff'ffffu}) {
                Bench bench{8, more};
                Request& request = bench.request();
                const Segment out = bench.segment(0, 100); // readable bytes do not count
                const Segment in = bench.segment(200, 16);
                REQUIRE(bench.queue.add({&out, parts - 1}, {&in, 1}, request));
                bench.queue.kick();
                bench.use(bench.take(), claimed);
                CHECK(bench.queue.poll(8) == 1);
                CHECK(request.length == std::min(claimed, 16u));
                CHECK(request.length_clamped == (claimed > 16));
                CHECK(bench.queue.lengths_clamped() == (claimed > 16 ? 1 : 0));
                CHECK(bench.queue.room() == 8);
                CHECK(bench.queue.in_flight() == 0);
                Request& readable = bench.request();
                REQUIRE(bench.add_out(readable));
                bench.queue.kick();
                bench.use(bench.take(), claimed);
                CHECK(bench.queue.poll(8) == 1);
                CHECK(readable.length == 0);
                CHECK_FALSE(readable.length_clamped);
                CHECK_FALSE(bench.queue.broken());
            }
        }
        Bench strict{8, more, {.strict_length = true}};
        Request& reading = strict.request();
        REQUIRE(strict.add_out(reading));
        strict.queue.kick();
        strict.use(strict.take(), 1000); // reserved there
        CHECK(strict.queue.poll(8) == 1);
        Request& second = strict.request();
        REQUIRE(strict.add_in(second));
        strict.queue.kick();
        strict.use(strict.take(), 17);
        CHECK(strict.queue.poll(8) == 0);
        CHECK(strict.queue.fault() == RingFault::used_length);
        CHECK_FALSE(second.done());
    }
}

TEST_CASE("packed: broken is final: nothing is taken, lent, or said to be pending until the queue is made anew") {
    Bench bench{8, kEvent};
    std::vector<Request>& requests = bench.requests(4);
    for (Request& request : requests) REQUIRE(bench.add_in(request));
    bench.queue.kick();
    const auto first = bench.take();
    const auto second = bench.take();
    bench.use(first);
    bench.use(0x7777u);
    bench.use(second);
    CHECK(bench.queue.poll(8) == 1);
    REQUIRE(bench.queue.broken());
    for (int i = 0; i < 3; ++i) CHECK(bench.queue.poll(8) == 0);
    CHECK_FALSE(bench.queue.pending());
    CHECK_FALSE(bench.queue.arm_interrupts());
    CHECK(bench.queue.in_flight() == 3);
    CHECK(bench.queue.room() == 5);
    Request& late = bench.request();
    CHECK(bench.add_out(late).error() == Error::queue_broken);
    CHECK(bench.queue.add_fixed(0, late).error() == Error::queue_broken);
    CHECK(bench.queue.counters().errors == 2);
    bench.queue.destroy(Error::device_reset);
    for (const Request& request : requests) CHECK(request.done());
    CHECK(requests[0].error == Error::none);
    CHECK(requests[3].error == Error::device_reset);
    CHECK(requests[3].length == 0);
    bench.queue.destroy(Error::device_reset);
    CHECK_FALSE(bench.add_out(late));
    bench.device.violations.clear();
    // Made anew it starts from slot 0 and wrap 1.
    REQUIRE(bench.queue.create(bench.platform, *bench.domain(), 0, 8, bench.features, {}));
    CHECK_FALSE(bench.queue.broken());
    CHECK(bench.queue.state().published == 0x8000);
    REQUIRE(bench.add_out(late));
}

TEST_CASE("packed: the driver never reads a descriptor back (B6)") {
    for (const FeatureSet& more : kAllKinds) {
        Bench bench{16, more, {.presets = 2, .indirect_entries = 4}};
        std::vector<Request>& requests = bench.requests(3);
        std::vector<std::uint32_t> ids;
        for (Request& request : requests) REQUIRE(bench.add_parts(request, 3));
        const std::uint16_t room_before = bench.queue.room();
        bench.queue.kick();
        while (auto chain = bench.device.take(0)) ids.push_back(chain->head);
        bench.device.scribble_descriptors(0, 0xff);
        for (const std::uint32_t id : ids) bench.use(id, 12);
        CHECK(bench.queue.poll(8) == 3);
        CHECK(bench.queue.room() == room_before + (more.has(RingFeature::indirect_desc) ? 3 : 9));
        CHECK_FALSE(bench.queue.broken());
    }
}

TEST_CASE("packed: kick suppression by flags; reserved values ask for a kick") {
    for (const FeatureSet& more : {FeatureSet{}, kEvent}) {
        Bench bench{16, more};
        std::vector<Request>& requests = bench.requests(16);
        unsigned added = 0;
        const auto suppressed = bench.queue.counters().kicks_suppressed; // start() asked once
        const auto one = [&](std::uint16_t flags) {
            bench.device_event(7, true, flags);
            const unsigned before = bench.kicks();
            REQUIRE(bench.add_out(requests[added++]));
            bench.queue.kick();
            return bench.kicks() - before;
        };
        CHECK(one(0) == 1);
        CHECK(one(1) == 0);
        CHECK(one(3) == 1);
        CHECK(one(0xfffd) == 0); // the upper bits are reserved
        CHECK(one(2) == (more.has(RingFeature::event_idx) ? 0 : 1));
        CHECK(bench.queue.counters().kicks_suppressed - suppressed == (more.has(RingFeature::event_idx) ? 3 : 2));
        // Nothing new: no kick.
        const unsigned before = bench.kicks();
        bench.device_event(0, true, 0);
        bench.queue.kick();
        bench.queue.kick_if_needed();
        CHECK(bench.kicks() == before);
        bench.queue.kick_always();
        CHECK(bench.kicks() == before + 1);
    }
}

TEST_CASE("packed: the event's descriptor is met at every position of ring and batch, with its wrap bit (trap 2, trap 14)") {
    for (const std::uint16_t size : {std::uint16_t{1}, std::uint16_t{4}, std::uint16_t{5}}) {
        for (unsigned start = 0; start < 2u * size; ++start) {
            for (unsigned batch = 1; batch <= size; ++batch) {
                for (unsigned event = 0; event < 2u * size; ++event) {
                    Bench bench{size, kEvent};
                    bench.turn(start);
                    // The event lies in this lap's or the next one's numbering: 0..2N-1, from the ring's beginning.
                    bench.device_event(event % size, event < size);
                    bench.device.queues[0].kicks = 0;
                    for (unsigned i = 0; i < batch; ++i) REQUIRE(bench.add_out(bench.request()));
                    bench.queue.kick();
                    bool hit = false;
                    for (unsigned i = 0; i < batch; ++i) hit = hit || (start + i) % (2u * size) == event;
                    CHECK(bench.kicks() == (hit ? 1 : 0));
                    if (bench.kicks() != (hit ? 1u : 0u)) MESSAGE(size << " start " << start << " batch " << batch << " event " << event);
                }
            }
        }
    }
}

TEST_CASE("packed: the event counts from the last check, not from the last publish (trap 3)") {
    Bench bench{8, kEvent};
    std::vector<Request>& requests = bench.requests(8);
    for (int i = 0; i < 3; ++i) {
        REQUIRE(bench.add_out(requests[i]));
        bench.queue.publish();
    }
    bench.device_event(0, true);
    bench.queue.kick_if_needed();
    CHECK(bench.kicks() == 1);
    // Published and passed several times over without a check: still one kick.
    Bench far{4, kEvent};
    Request& one = far.request();
    for (int i = 0; i < 11; ++i) {
        REQUIRE(far.add_out(one));
        far.queue.publish();
        far.use(far.take());
        REQUIRE(far.queue.poll(1) == 1);
    }
    far.device_event(2, true); // slot 10 from the start, in the third lap: the last one
    far.queue.kick_if_needed();
    CHECK(far.kicks() == 1);
    far.queue.kick_if_needed();
    CHECK(far.kicks() == 1);
}

TEST_CASE("packed: interrupts are suppressed by DISABLE; arming looks again (trap 4), and never asks for a position without EVENT_IDX") {
    for (const FeatureSet& more : {FeatureSet{}, kEvent, kInOrder, kEvent | kInOrder}) {
        Bench bench{16, more};
        unsigned interrupts = 0;
        REQUIRE(bench.device.connect_line({[](void* count, std::uint16_t) noexcept { ++*static_cast<unsigned*>(count); }, &interrupts}));
        std::vector<Request>& requests = bench.requests(16);
        CHECK_FALSE(bench.queue.arm_interrupts());
        for (int i = 0; i < 4; ++i) REQUIRE(bench.add_out(requests[i]));
        bench.queue.kick();
        bench.use(bench.take());
        CHECK(interrupts == 1);
        bench.queue.suppress_interrupts();
        CHECK(bench.event_flags() == 1);
        bench.queue.suppress_interrupts();
        bench.use(bench.take());
        CHECK(interrupts == 1);
        CHECK(bench.queue.poll(1) == 1);
        // One more is used already: arming must say so, because no interrupt will.
        CHECK(bench.queue.arm_interrupts());
        CHECK(bench.event_flags() == (more.has(RingFeature::event_idx) ? 2 : 0));
        CHECK(bench.queue.poll(8) == 1);
        CHECK_FALSE(bench.queue.arm_interrupts());
        bench.use(bench.take());
        CHECK(interrupts == 2);
        CHECK(bench.queue.poll(8) == 1);
    }
}

TEST_CASE("packed: the interrupt comes at every position, also at the ring's end, where the event's wrap bit turns") {
    for (const std::uint16_t size : {std::uint16_t{1}, std::uint16_t{3}, std::uint16_t{4}}) {
        Bench bench{size, kEvent};
        unsigned interrupts = 0;
        REQUIRE(bench.device.connect_line({[](void* count, std::uint16_t) noexcept { ++*static_cast<unsigned*>(count); }, &interrupts}));
        Request& request = bench.request();
        for (unsigned i = 0; i < 4u * size + 1; ++i) {
            CHECK_FALSE(bench.queue.arm_interrupts());
            CHECK(bench.event_position() == (i % size | (i / size % 2 == 0 ? 0x8000u : 0u)));
            REQUIRE(bench.add_out(request));
            bench.queue.kick();
            bench.use(bench.take());
            CHECK(interrupts == i + 1);
            bench.queue.suppress_interrupts();
            CHECK(bench.queue.poll(2) == 1);
        }
    }
}

TEST_CASE("packed: delayed interrupt: tell me after n more, never later") {
    for (const FeatureSet& more : {kEvent, kEvent | kInOrder}) {
        for (unsigned start = 0; start < 16; ++start) {
            for (unsigned after = 1; after <= 8; ++after) {
                Bench bench{8, more};
                unsigned interrupts = 0;
                REQUIRE(bench.device.connect_line(
                    {[](void* count, std::uint16_t) noexcept { ++*static_cast<unsigned*>(count); }, &interrupts}));
                bench.turn(start);
                for (int i = 0; i < 8; ++i) REQUIRE(bench.add_out(bench.request()));
                bench.queue.kick();
                interrupts = 0;
                CHECK_FALSE(bench.queue.arm_interrupts(static_cast<std::uint16_t>(after)));
                for (unsigned i = 1; i < after; ++i) bench.use(bench.take());
                CHECK(interrupts == 0);
                bench.use(bench.take());
                CHECK(interrupts == 1);
                CHECK(bench.queue.poll(16) == after);
            }
        }
    }
    Bench chains{8, kEvent}; // with several slots for each, earlier
    unsigned interrupts = 0;
    REQUIRE(chains.device.connect_line({[](void* count, std::uint16_t) noexcept { ++*static_cast<unsigned*>(count); }, &interrupts}));
    for (int i = 0; i < 4; ++i) REQUIRE(chains.add_parts(chains.request(), 2));
    chains.queue.kick();
    CHECK_FALSE(chains.queue.arm_interrupts(4));
    for (int i = 0; i < 4; ++i) chains.use(chains.take());
    CHECK(interrupts == 1);
    CHECK(chains.queue.arm_interrupts(0xffff)); // something waits; and the position is one of the ring's
    CHECK((chains.event_position() & 0x7fff) < 8);
}

TEST_CASE("packed: a batch becomes visible at once, with the flags of its first descriptor (PACKED-009)") {
    Bench bench{8};
    std::vector<Request>& requests = bench.requests(6);
    bench.turn(5); // across the end
    REQUIRE(bench.add_parts(requests[0], 2));
    REQUIRE(bench.add_out(requests[1]));
    REQUIRE(bench.add_parts(requests[2], 3));
    CHECK(bench.device.available(0) == 0);
    CHECK(bench.queue.publish());
    CHECK(bench.device.available(0) == 3);
    CHECK_FALSE(bench.queue.publish());
    REQUIRE(bench.add_out(requests[3]));
    CHECK(bench.device.available(0) == 3);
    bench.queue.kick();
    CHECK(bench.device.available(0) == 4);
}

TEST_CASE("packed: a notification's data is the first slot not yet available, with its wrap counter (NOTIF-014)") {
    Bench bench{3, {}, {}, true};
    Request& request = bench.request();
    for (unsigned i = 0; i < 12; ++i) {
        REQUIRE(bench.add_out(request));
        bench.queue.kick();
        const unsigned next = i + 1;
        CHECK(bench.device.queues[0].last_notification == ((next % 3 | (next / 3 % 2 == 0 ? 0x8000u : 0u)) << 16));
        bench.use(bench.take());
        REQUIRE(bench.queue.poll(1) == 1);
    }
    // What is added but not published does not count.
    const std::uint32_t before = bench.device.queues[0].last_notification;
    REQUIRE(bench.add_out(request));
    bench.queue.kick_always();
    CHECK(bench.device.queues[0].last_notification == before);
}

TEST_CASE("packed, IN_ORDER: one used descriptor ends a batch; those before its last are written in full") {
    for (const std::uint16_t size : {std::uint16_t{4}, std::uint16_t{7}, std::uint16_t{16}}) {
        std::mt19937 random{size};
        Bench bench{size, kInOrder | kEvent};
        for (int round = 0; round < 300; ++round) {
            std::vector<Request>& requests = bench.requests(size);
            std::vector<std::uint32_t> lent;
            for (Request& request : requests) {
                const std::size_t parts = 1 + random() % 3;
                if (!bench.add_parts(request, parts, 8)) break;
                lent.push_back(static_cast<std::uint32_t>(8 * parts));
            }
            bench.queue.kick();
            std::vector<fake::Chain> chains;
            while (auto chain = bench.device.take(0)) chains.push_back(*chain);
            REQUIRE(chains.size() == lent.size());
            for (std::size_t done = 0; done < chains.size();) {
                const std::size_t last = done + random() % (chains.size() - done);
                bench.use(chains[last], 3);
                CHECK(bench.queue.pending());
                // Taken one by one, the batch stays open between.
                for (; done <= last; ++done) {
                    CHECK(bench.queue.poll(1) == 1);
                    CHECK(requests[done].done());
                    CHECK(requests[done].length == (done == last ? 3 : lent[done]));
                    CHECK(bench.queue.pending() == (done != last));
                    if (done != last) CHECK(bench.queue.arm_interrupts()); // no interrupt will tell of these
                }
                CHECK(bench.queue.poll(8) == 0);
            }
            CHECK(bench.queue.room() == size);
            bench.turn(1);
        }
    }
}

TEST_CASE("packed, IN_ORDER: an id that is not among the requests in flight breaks the queue") {
    Bench bench{8, kInOrder};
    std::vector<Request>& requests = bench.requests(4);
    for (Request& request : requests) REQUIRE(bench.add_in(request));
    bench.queue.kick();
    const auto first = bench.take();
    const auto second = bench.take();
    bench.use(second);
    CHECK(bench.queue.poll(8) == 2);
    bench.use(first.head); // the past
    CHECK(bench.queue.poll(8) == 0);
    CHECK(bench.queue.fault() == RingFault::out_of_order);
    CHECK_FALSE(requests[2].done());
    CHECK(bench.queue.in_flight() == 2);
    // The future.
    Bench other{8, kInOrder};
    REQUIRE(other.add_in(other.request()));
    other.queue.kick();
    other.use(5u);
    CHECK(other.queue.poll(8) == 0);
    CHECK(other.queue.fault() == RingFault::out_of_order);
    // Nothing in flight at all.
    Bench empty{8, kInOrder};
    empty.scribble_used(0, 0, 0x8080);
    CHECK(empty.queue.poll(8) == 0);
    CHECK(empty.queue.fault() == RingFault::out_of_order);
}

TEST_CASE("packed: preset slots: one table entry and one descriptor per request, room for each beside general chains") {
    for (const FeatureSet& more : {kEvent, kEvent | kInOrder}) {
        Bench bench{16, more | kIndirect, {.presets = 100, .indirect_entries = 4}};
        REQUIRE(bench.queue.preset_count() == 12);
        CHECK(bench.queue.room() == 4);
        for (std::uint16_t slot = 0; slot < 12; ++slot)
            CHECK(bench.queue.preset(slot, bench.segment(slot * 16u, 16), bench.segment(1024u + slot, 1)));
        std::vector<Request>& requests = bench.requests(12);
        std::vector<Request>& general = bench.requests(5);
        Request& late = bench.request();
        for (int round = 0; round < 9; ++round) {
            // General chains first: they leave a slot for each preset.
            REQUIRE(bench.add_parts(general[0], 2));
            REQUIRE(bench.add_in(general[1]));
            REQUIRE(bench.add_parts(general[2], 3)); // a table of its own
            CHECK(bench.add_in(general[3]).error() == Error::ring_full);
            CHECK(bench.queue.room() == 0);
            for (std::uint16_t slot = 0; slot < 12; ++slot)
                REQUIRE(bench.queue.add_preset(slot, bench.segment(2048u + slot, 512), (slot & 1) != 0, requests[slot]));
            CHECK(bench.queue.add_preset(3, bench.segment(0, 1), true, late).error() == Error::request_in_flight);
            CHECK(bench.queue.add_preset(12, bench.segment(0, 1), true, late).error() == Error::invalid_argument);
            CHECK(bench.queue.in_flight() == 15);
            bench.queue.kick();
            std::vector<fake::Chain> chains;
            while (auto chain = bench.device.take(0)) chains.push_back(*chain);
            REQUIRE(chains.size() == 15);
            for (std::uint16_t slot = 0; slot < 12; ++slot) {
                const fake::Chain& chain = chains[3u + slot];
                CHECK(chain.readable.size() == ((slot & 1) != 0 ? 1 : 2));
                CHECK(chain.writable_bytes() == ((slot & 1) != 0 ? 513 : 1));
                CHECK(reinterpret_cast<std::uint8_t*>(chain.readable[0].data) == &bench.bytes[slot * 16u]);
                CHECK(reinterpret_cast<std::uint8_t*>(chain.writable.back().data) == &bench.bytes[1024u + slot]);
            }
            if (more.has(RingFeature::in_order)) {
                bench.use(chains.back(), 0xffff);
            } else {
                std::reverse(chains.begin(), chains.end());
                for (const auto& chain : chains) bench.use(chain, 0xffff);
            }
            CHECK(bench.queue.poll(32) == 15);
            CHECK(requests[1].length == 513);
            CHECK(requests[2].length == 1);
            CHECK(general[0].length == 8);
            CHECK(bench.queue.room() == 4);
            CHECK(bench.queue.in_flight() == 0);
        }
        CHECK(bench.queue.add_preset(0, bench.segment(0, 0), true, late).error() == Error::invalid_argument);
        CHECK(bench.queue.add_preset(0, bench.segment(0, 0xffff'ffff), true, late).error() == Error::invalid_argument);
        REQUIRE(bench.queue.add_preset(0, bench.segment(0, 1), true, late));
        CHECK(bench.queue.add_preset(1, bench.segment(0, 1), true, late).error() == Error::request_in_flight);
        bench.use(0x4444u);
        CHECK(bench.queue.poll(8) == 0);
        CHECK(bench.queue.broken());
        CHECK(bench.queue.add_preset(1, bench.segment(0, 1), true, bench.request()).error() == Error::queue_broken);
        bench.device.violations.clear();
    }
}

TEST_CASE("packed: no presets without tables") {
    Bench without{16, {}, {.presets = 4, .indirect_entries = 4}};
    CHECK(without.queue.preset_count() == 0);
    CHECK(without.queue.room() == 16);
    CHECK(without.queue.add_preset(0, without.segment(0, 1), true, without.request()).error() == Error::invalid_argument);
    Bench narrow{16, kIndirect, {.presets = 4, .indirect_entries = 2}};
    CHECK(narrow.queue.preset_count() == 0);
    REQUIRE(narrow.add_parts(narrow.request(), 3)); // direct
    CHECK(narrow.queue.room() == 13);
}

TEST_CASE("packed: fixed slots: slot = buffer id, kept in private memory, past the wrap, in any order") {
    for (const FeatureSet& more : {FeatureSet{}, kIndirect, kInOrder, kIndirect | kInOrder}) {
        const bool indirect = more.has(RingFeature::indirect_desc);
        constexpr std::uint16_t kSize = 7;
        Bench bench{kSize, more, {.indirect_entries = 4, .fixed = true}};
        CHECK(bench.queue.room() == kSize);
        CHECK(bench.queue.preset_count() == 0);
        std::array<Request, kSize>& requests = *new (bench.bytes.data() + 3072) std::array<Request, kSize>{};
        const auto part = [&](std::size_t slot, std::size_t from, std::uint32_t length) { return bench.segment(slot * 16 + from, length); };
        for (std::uint16_t i = 0; i < kSize; ++i) bench.queue.fix_writable(i, part(i, 0, 16));
        CHECK(bench.queue.add_fixed(kSize, requests[0]).error() == Error::invalid_argument);
        CHECK(bench.add_in(requests[0]).error() == Error::too_many_segments); // no slots but the owner's
        CHECK(bench.add_parts(requests[0], 2).error() == Error::too_many_segments);
        std::mt19937 random{7};
        std::vector<fake::Chain> open;
        std::array<int, kSize> how{};
        for (unsigned step = 0; step < 100'000; ++step) {
            const auto slot = static_cast<std::uint16_t>(random() % kSize);
            if (random() % 2 == 0) {
                const bool busy = requests[slot].state == Request::State::in_flight;
                if (!busy) { // set again, or left as it was
                    how[slot] = static_cast<int>(random() % (indirect ? 4 : 2));
                    if (how[slot] == 0) bench.queue.fix_writable(slot, part(slot, 0, 16));
                    if (how[slot] == 1) bench.queue.fix_readable(slot, part(slot, 3, 5));
                    if (how[slot] >= 2)
                        REQUIRE(bench.queue.fix_table(slot, std::array{part(slot, 0, 2), part(slot, 4, 1), part(slot, 8, 8)}));
                }
                const auto added = bench.queue.add_fixed(slot, requests[slot]);
                REQUIRE(added.has_value() == !busy);
                if (busy) REQUIRE(added.error() == Error::request_in_flight);
                bench.queue.kick();
                if (busy) continue;
                const auto chain = bench.take();
                REQUIRE(chain.head == slot);
                REQUIRE(chain.writable_bytes() == (how[slot] == 0 ? 16 : 0));
                REQUIRE(chain.readable_bytes() == (how[slot] == 0 ? 0 : how[slot] == 1 ? 5 : 11));
                open.push_back(chain);
            } else if (!open.empty()) {
                const std::size_t which = more.has(RingFeature::in_order) ? 0 : random() % open.size();
                const auto length = static_cast<std::uint32_t>(open[which].writable_bytes());
                bench.use(open[which], length);
                const std::uint16_t its = open[which].head;
                open.erase(open.begin() + static_cast<std::ptrdiff_t>(which));
                REQUIRE(bench.queue.poll(kSize) == 1);
                REQUIRE((requests[its].done() && requests[its].length == length));
            }
            REQUIRE(bench.queue.room() == kSize - open.size());
            REQUIRE(bench.queue.in_flight() == open.size());
        }
        if (more.has(RingFeature::in_order) && !open.empty()) { // a batch
            bench.use(open.back(), 0);
            CHECK(bench.queue.poll(kSize) == open.size());
            open.clear();
        }
        for (const auto& chain : open) bench.use(chain);
        bench.queue.poll(kSize);
        CHECK(bench.queue.in_flight() == 0);
        if (indirect) {
            const std::array<Segment, 5> five{part(0, 0, 1), part(0, 1, 1), part(0, 2, 1), part(0, 3, 1), part(0, 4, 1)};
            CHECK(bench.queue.fix_table(0, five).error() == Error::too_many_segments);
        }
        CHECK(bench.queue.fix_table(0, {}).error() == Error::invalid_argument);
        CHECK(bench.queue.fix_table(kSize, std::array{part(0, 0, 1)}).error() == Error::invalid_argument);
        CHECK_FALSE(bench.queue.fix_table(0, std::array{part(0, 0, 0)}));
        bench.queue.fix_writable(2, part(2, 0, 16));
        REQUIRE(bench.queue.add_fixed(2, requests[2]));
        bench.queue.kick();
        bench.use(3, 0); // a slot that is not in flight
        CHECK(bench.queue.poll(kSize) == 0);
        CHECK(bench.queue.broken());
        CHECK(bench.queue.add_fixed(4, requests[4]).error() == Error::queue_broken);
        bench.queue.destroy(Error::closed);
        for (const Request& request : requests) CHECK(request.state != Request::State::in_flight);
        bench.device.violations.clear();
    }
}

TEST_CASE("packed: a preset or fixed slot that there is not is not written (R31)") {
    Bench none{16, kIndirect, {.indirect_entries = 4}};
    CHECK_FALSE(none.queue.preset(0, none.segment(0, 16), none.segment(16, 1)));
    none.queue.fix_writable(0, none.segment(0, 16)); // no ring of fixed slots
    Bench bench{16, kIndirect, {.presets = 3, .indirect_entries = 3}};
    REQUIRE(bench.queue.preset_count() == 3);
    for (const std::uint16_t slot : std::array<std::uint16_t, 3>{3, 16, 0xffff})
        CHECK_FALSE(bench.queue.preset(slot, bench.segment(0, 16), bench.segment(16, 1)));
    Bench fixed{4, FeatureSet{}, {.fixed = true}};
    for (const std::uint16_t slot : std::array<std::uint16_t, 2>{4, 0xffff}) {
        fixed.queue.fix_readable(slot, fixed.segment(0, 16));
        CHECK(fixed.queue.add_fixed(slot, fixed.request()).error() == Error::invalid_argument);
    }
}

TEST_CASE("packed: what is in flight comes back once when the queue is taken back, by whatever way it was lent") {
    for (const FeatureSet& more : {FeatureSet{}, kIndirect, kInOrder, kIndirect | kInOrder}) {
        Bench bench{16, more, {.presets = 3, .indirect_entries = 3}};
        static unsigned ended;
        ended = 0;
        std::vector<Request>& requests = bench.requests(6);
        for (Request& request : requests) request.complete = [](Request&) noexcept { ++ended; };
        REQUIRE(bench.add_out(requests[0]));
        REQUIRE(bench.add_parts(requests[1], 2));
        REQUIRE(bench.add_parts(requests[2], 3));
        if (bench.queue.preset_count() != 0) {
            CHECK(bench.queue.preset(1, bench.segment(0, 16), bench.segment(16, 1)));
            REQUIRE(bench.queue.add_preset(1, bench.segment(32, 4), true, requests[3]));
        }
        bench.queue.kick();
        REQUIRE(bench.add_in(requests[4])); // never published
        bench.use(bench.take());
        CHECK(bench.queue.poll(1) == 1);
        CHECK(ended == 1);
        const unsigned in_flight = bench.queue.in_flight();
        CHECK(in_flight == (bench.queue.preset_count() != 0 ? 4 : 3));
        requests[4].complete = [](Request& request) noexcept {
            ++ended;
            CHECK(request.error == Error::device_reset);
        };
        bench.queue.destroy(Error::device_reset);
        CHECK(ended == 1 + in_flight);
        CHECK(bench.queue.counters().requests == 1 + in_flight);
    }
}

TEST_CASE("packed: an indirect chain is no longer than the queue, whatever its table holds (PACKED-005, trap 15)") {
    alignas(16) std::array<std::byte, packed_layout(2).total> memory{};
    alignas(16) std::array<std::byte, 2 * 4 * sizeof(PackedDescriptor)> tables{};
    std::array<RingSlot, 2> slots;
    RingSetup setup;
    setup.size = 2;
    setup.indirect_entries = 4;
    PackedRing ring;
    ring.attach(PackedMemory{memory.data(), 2}, slots, tables.data(), {}, setup);
    Request request;
    const std::vector<Segment> parts(3, Segment{DmaAddress{0x1000}, 8});
    CHECK(ring.add(parts, {}, request).error() == Error::too_many_segments);
    CHECK(ring.add(std::span(parts).first(2), {}, request));
}

TEST_CASE("packed: the engine itself, begun at every position of both laps") {
    for (const std::uint16_t size : {std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{3}, std::uint16_t{4}}) {
        for (std::uint16_t first = 0; first < 2 * size; ++first) {
            const PackedLayout layout = packed_layout(size);
            std::vector<std::byte> storage(layout.total + 16);
            std::byte* base = storage.data() + (16 - reinterpret_cast<std::uintptr_t>(storage.data()) % 16) % 16;
            std::vector<RingSlot> slots(size);
            RingSetup setup;
            setup.size = size;
            PackedRing ring;
            ring.attach(PackedMemory{base, size}, slots, nullptr, {}, setup, first);
            // As if the laps before had left their used descriptors there.
            for (std::uint16_t i = 0; i < size; ++i) {
                const bool wrap = (i < first % size ? first / size : first / size + 1u) % 2 == 0;
                const std::uint16_t flags = wrap ? 0x8080 : 0;
                std::memcpy(base + 16u * i + 14, &flags, 2);
            }
            CHECK_FALSE(ring.pending());
            std::uint16_t at = first;
            Request request;
            for (int i = 0; i < 9; ++i) {
                const bool wrap = at / size % 2 == 0;
                CHECK(ring.position() == (at % size | (wrap ? 0x8000 : 0)));
                REQUIRE(ring.add_writable({DmaAddress{0x1000}, 8}, request));
                REQUIRE(ring.publish());
                CHECK(ring.take().request == nullptr);
                std::uint16_t flags;
                std::byte* slot = base + 16u * (at % size);
                std::memcpy(&flags, slot + 14, 2);
                CHECK(flags == (wrap ? 0x0082 : 0x8002));
                flags = wrap ? 0x8080 : 0;
                const std::uint32_t length = 5;
                std::memcpy(slot + 8, &length, 4);
                std::memcpy(slot + 14, &flags, 2);
                const RingTaken taken = ring.take();
                REQUIRE(taken.request == &request);
                CHECK(request.length == 5);
                CHECK(ring.in_flight() == 0);
                at = static_cast<std::uint16_t>((at + 1) % (2 * size));
                CHECK(ring.used_position() == ring.position());
            }
        }
    }
}
