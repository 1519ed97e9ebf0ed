// The split ring engine against a device that walks it with its own code, and against one that lies.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "libvirtio/device.hpp"
#include "libvirtio/virtqueue.hpp"
#include "tests/unit/support/split_bench.hpp"

using namespace virtio;

namespace {

using Bench = SplitBench;
const FeatureSet kEvent = FeatureSet::of(RingFeature::event_idx);
const FeatureSet kIndirect = FeatureSet::of(RingFeature::indirect_desc);

} // namespace

TEST_CASE("a chain reaches the device as it was given: order, direction, lengths") {
    for (const bool indirect : {false, true}) {
        Bench bench{16, indirect ? kIndirect : FeatureSet{}, {.indirect_entries = 8}};
        const Segment out[] = {bench.segment(&bench.bytes[0], 3), bench.segment(&bench.bytes[100], 5)};
        const Segment in[] = {bench.segment(&bench.bytes[200], 7), bench.segment(&bench.bytes[300], 11)};
        Request& request = bench.request();
        REQUIRE(bench.queue.add(out, in, request));
        CHECK_FALSE(bench.device.take(0)); // nothing is visible before publish()
        bench.queue.kick();
        const auto chain = bench.device.take(0);
        REQUIRE(chain);
        REQUIRE(chain->readable.size() == 2);
        REQUIRE(chain->writable.size() == 2);
        CHECK(chain->readable[0].length == 3);
        CHECK(chain->readable[1].length == 5);
        CHECK(chain->writable[0].length == 7);
        CHECK(chain->writable[1].length == 11);
        CHECK(reinterpret_cast<std::uint8_t*>(chain->readable[1].data) == &bench.bytes[100]);
        CHECK(reinterpret_cast<std::uint8_t*>(chain->writable[1].data) == &bench.bytes[300]);
        CHECK(bench.queue.room() == (indirect ? 15 : 12));
        bench.device.use(0, *chain, 18);
        CHECK(bench.queue.poll(10) == 1);
        CHECK(request.done());
        CHECK(request.length == 18);
        CHECK(bench.queue.room() == 16);
        CHECK(bench.device.violations.empty());
    }
}

TEST_CASE("bad requests are refused before anything is written (R31)") {
    Bench bench{4};
    Request& request = bench.request();
    CHECK(bench.queue.add({}, {}, request).error() == Error::empty_request);
    CHECK(bench.add_out(request, 0).error() == Error::invalid_argument);
    std::vector<Segment> many(5, bench.segment(&bench.bytes[0], 1));
    CHECK(bench.queue.add(many, {}, request).error() == Error::too_many_segments);
    std::vector<Segment> huge(2, bench.segment(&bench.bytes[0], 0x8000'0000u));
    CHECK(bench.queue.add(huge, {}, request).error() == Error::invalid_argument); // B47: 4 GiB in all
    REQUIRE(bench.add_out(request));
    CHECK(bench.add_out(request).error() == Error::request_in_flight);
    bench.queue.kick();
    CHECK(bench.device.available(0) == 1);
    CHECK(bench.queue.room() == 3);
}

TEST_CASE("a full ring says so, loses nothing, and tells who waits when there is room") {
    Bench bench{4};
    std::vector<Request>& requests = bench.requests(5);
    for (int i = 0; i < 4; ++i) REQUIRE(bench.add_out(requests[i]));
    CHECK(bench.add_out(requests[4]).error() == Error::ring_full);
    CHECK(requests[4].state == Request::State::idle);
    CHECK(bench.queue.counters().ring_full == 1);
    struct Waiter : RoomWaiter {
        int calls = 0;
    } waiter;
    waiter.on_room = [](RoomWaiter& self) noexcept { ++static_cast<Waiter&>(self).calls; };
    bench.queue.when_room(waiter);
    bench.queue.kick();
    CHECK(bench.queue.poll(8) == 0);
    CHECK(waiter.calls == 0);
    bench.device.use(0, *bench.device.take(0), 0);
    CHECK(bench.queue.poll(8) == 1);
    CHECK(waiter.calls == 1);
    REQUIRE(bench.add_out(requests[4]));
}

TEST_CASE("completions in any order (trap 7, B12), all of them seen (trap 8)") {
    std::mt19937 random{7};
    for (const FeatureSet& features : {FeatureSet{}, kEvent, kIndirect, kEvent | kIndirect}) {
        Bench bench{32, features, {.indirect_entries = 4}};
        std::vector<Request>& requests = bench.requests(32);
        for (int round = 0; round < 100; ++round) {
            std::vector<Request*> lent;
            for (Request& request : requests) {
                const std::uint32_t parts = 1 + random() % 4;
                std::vector<Segment> segments(parts, bench.segment(&bench.bytes[2048], 8));
                if (!bench.queue.add({}, segments, request)) break;
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
            CHECK(bench.queue.room() == 32);
        }
        CHECK(bench.device.violations.empty());
    }
}

TEST_CASE("70,000 operations, past the wrap of every index (B28, trap 2)") {
    for (const FeatureSet& features : {FeatureSet{}, kEvent}) {
        for (const unsigned batch : {1u, 3u, 7u}) {
            Bench bench{8, features};
            std::vector<Request>& requests = bench.requests(8);
            unsigned handled = 0;
            // A device that sleeps until it is kicked, and then empties the ring: a lost kick would stop everything.
            bench.device.on_notify = [&](unsigned) {
                do {
                    while (auto chain = bench.device.take(0)) {
                        ++handled;
                        bench.device.use(0, *chain, 0);
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
            CHECK(bench.device.violations.empty());
        }
    }
}

TEST_CASE("kick suppression: flags and EVENT_IDX, counted from the last check (trap 3)") {
    for (const FeatureSet& features : {FeatureSet{}, kEvent}) {
        Bench bench{16, features};
        std::vector<Request>& requests = bench.requests(16);
        bench.device.want_kicks(0, false);
        REQUIRE(bench.add_out(requests[0]));
        bench.queue.kick();
        REQUIRE(bench.add_out(requests[1]));
        bench.queue.kick();
        CHECK(bench.device.queues[0].kicks == 0);
        CHECK(bench.queue.counters().kicks_suppressed >= 2);
        bench.device.queues[0].kicks_wanted = true;
        while (auto chain = bench.device.take(0)) bench.device.use(0, *chain, 0);
        bench.device.want_kicks(0, true);
        CHECK(bench.queue.poll(16) == 2);
        // Two added, one publish: one kick, although the event lies on the first of them.
        REQUIRE(bench.add_out(requests[0]));
        REQUIRE(bench.add_out(requests[1]));
        bench.queue.kick();
        CHECK(bench.device.queues[0].kicks == 1);
        // Nothing new: no kick, and with EVENT_IDX none for an index that was announced before.
        bench.queue.kick();
        bench.queue.kick_if_needed();
        CHECK(bench.device.queues[0].kicks == 1);
    }
}

TEST_CASE("interrupt suppression: flags hold a value, not a bit number (trap 16); arming looks again (trap 4)") {
    for (const FeatureSet& features : {FeatureSet{}, kEvent}) {
        Bench bench{16, features};
        unsigned interrupts = 0;
        REQUIRE(bench.device.connect_line({[](void* count, std::uint16_t) noexcept { ++*static_cast<unsigned*>(count); }, &interrupts}));
        std::vector<Request>& requests = bench.requests(16);
        CHECK_FALSE(bench.queue.arm_interrupts());
        for (int i = 0; i < 4; ++i) REQUIRE(bench.add_out(requests[i]));
        bench.queue.kick();
        bench.device.use(0, *bench.device.take(0), 0);
        CHECK(interrupts == 1);
        bench.queue.suppress_interrupts();
        bench.device.use(0, *bench.device.take(0), 0);
        CHECK(interrupts == 1);
        CHECK(bench.queue.poll(1) == 1);
        // One more is used already: arming must say so, because no interrupt will.
        CHECK(bench.queue.arm_interrupts());
        CHECK(bench.queue.poll(8) == 1);
        CHECK_FALSE(bench.queue.arm_interrupts());
        bench.device.use(0, *bench.device.take(0), 0);
        CHECK(interrupts == 2);
        CHECK(bench.queue.poll(8) == 1);
        CHECK(bench.device.violations.empty());
    }
}

TEST_CASE("delayed interrupt: tell me after n more") {
    Bench bench{16, kEvent};
    unsigned interrupts = 0;
    REQUIRE(bench.device.connect_line({[](void* count, std::uint16_t) noexcept { ++*static_cast<unsigned*>(count); }, &interrupts}));
    std::vector<Request>& requests = bench.requests(8);
    for (Request& request : requests) REQUIRE(bench.add_out(request));
    bench.queue.kick();
    CHECK_FALSE(bench.queue.arm_interrupts(5));
    for (int i = 0; i < 4; ++i) bench.device.use(0, *bench.device.take(0), 0);
    CHECK(interrupts == 0);
    bench.device.use(0, *bench.device.take(0), 0);
    CHECK(interrupts == 1);
    CHECK(bench.queue.poll(16) == 5);
}

TEST_CASE("a used id out of range breaks the queue (trap 10, B1)") {
    for (const std::uint32_t id : {8u, 9u, 0xffffu, 0x10000u, 0x10001u, 0xffff'ffffu}) {
        Bench bench{8};
        Request& request = bench.request();
        REQUIRE(bench.add_in(request));
        bench.queue.kick();
        bench.device.use(0, id, 4);
        CHECK(bench.queue.poll(8) == 0);
        CHECK(bench.queue.broken());
        CHECK(bench.queue.fault() == RingFault::used_id_out_of_range);
        CHECK_FALSE(request.done()); // still the device's until a confirmed reset
        Request& second = bench.request();
        CHECK(bench.add_in(second).error() == Error::queue_broken);
        bench.queue.destroy(Error::queue_broken);
        CHECK((request.done() && request.error == Error::queue_broken));
    }
}

TEST_CASE("a used id that is no chain in flight breaks the queue (B2): never lent, middle of a chain, completed twice") {
    SUBCASE("never lent") {
        Bench bench{8};
        Request& request = bench.request();
        REQUIRE(bench.add_in(request));
        bench.queue.kick();
        bench.device.use(0, 5u, 0);
        CHECK(bench.queue.poll(8) == 0);
        CHECK(bench.queue.fault() == RingFault::used_id_not_in_flight);
    }
    SUBCASE("not a chain's head") {
        Bench bench{8};
        Request& request = bench.request();
        const Segment parts[] = {bench.segment(&bench.bytes[0], 4), bench.segment(&bench.bytes[8], 4)};
        REQUIRE(bench.queue.add({}, parts, request));
        bench.queue.kick();
        const auto chain = bench.device.take(0);
        REQUIRE(chain);
        bench.device.use(0, chain->head + 1u, 0);
        CHECK(bench.queue.poll(8) == 0);
        CHECK(bench.queue.broken());
    }
    SUBCASE("twice") {
        Bench bench{8};
        Request& first = bench.request();
        Request& second = bench.request();
        REQUIRE(bench.add_in(first));
        REQUIRE(bench.add_in(second));
        bench.queue.kick();
        const auto chain = bench.device.take(0);
        bench.device.use(0, *chain, 0);
        bench.device.use(0, *chain, 0);
        CHECK(bench.queue.poll(8) == 1);
        CHECK(first.done());
        CHECK_FALSE(second.done());
        CHECK(bench.queue.fault() == RingFault::used_id_not_in_flight);
    }
}

TEST_CASE("a used index that jumps breaks the queue (B7)") {
    for (const int jump : {-1, 2, 8, 9, 32767, 32768}) {
        Bench bench{8};
        Request& request = bench.request();
        REQUIRE(bench.add_in(request));
        bench.queue.kick();
        bench.device.poke_used_index(0, static_cast<std::uint16_t>(jump));
        CHECK(bench.queue.poll(1000) == 0);
        CHECK(bench.queue.fault() == RingFault::used_index_jump);
        CHECK(bench.queue.poll(1000) == 0); // broken stays broken
    }
}

TEST_CASE("a used length is at most what was lent (trap 11, B3)") {
    for (const std::uint32_t claimed : {0u, 15u, 16u, 17u, 0x7fff'ffffu, 0xffff'ffffu}) {
        Bench bench{8};
        Request& request = bench.request();
        const Segment out = bench.segment(&bench.bytes[0], 100); // readable bytes do not count
        const Segment in = bench.segment(&bench.bytes[200], 16);
        REQUIRE(bench.queue.add({&out, 1}, {&in, 1}, request));
        bench.queue.kick();
        bench.device.use(0, *bench.device.take(0), claimed);
        CHECK(bench.queue.poll(8) == 1);
        CHECK(request.length == std::min(claimed, 16u));
        CHECK(request.length_clamped == (claimed > 16));
        CHECK(bench.queue.lengths_clamped() == (claimed > 16 ? 1 : 0));
    }
    Bench strict{8, {}, {.strict_length = true}};
    Request& second = strict.request();
    REQUIRE(strict.add_in(second));
    strict.queue.kick();
    strict.device.use(0, *strict.device.take(0), 17);
    CHECK(strict.queue.poll(8) == 0);
    CHECK(strict.queue.fault() == RingFault::used_length);
}

TEST_CASE("the driver never reads a descriptor back (B6)") {
    for (const FeatureSet& features : {FeatureSet{}, kIndirect}) {
        Bench bench{16, features, {.presets = 2, .indirect_entries = 4}};
        std::vector<Request>& requests = bench.requests(3);
        const Segment parts[] = {bench.segment(&bench.bytes[0], 4), bench.segment(&bench.bytes[8], 4), bench.segment(&bench.bytes[16], 4)};
        std::vector<std::uint32_t> heads;
        for (Request& request : requests) REQUIRE(bench.queue.add({}, parts, request));
        bench.queue.kick();
        while (auto chain = bench.device.take(0)) heads.push_back(chain->head);
        bench.device.scribble_descriptors(0, 0xff);
        for (const std::uint32_t head : heads) bench.device.use(0, head, 12);
        const std::uint16_t room_before = bench.queue.room();
        CHECK(bench.queue.poll(8) == 3);
        CHECK(bench.queue.room() == room_before + (features == kIndirect ? 3 : 9));
        CHECK_FALSE(bench.queue.broken());
    }
}

TEST_CASE("preset slots: one data descriptor per request, kept apart from general chains") {
    Bench bench{32, kEvent, {.presets = 100}}; // capped so that general chains have room
    REQUIRE(bench.queue.preset_count() == 8);
    CHECK(bench.queue.room() == 32 - 24);
    for (std::uint16_t slot = 0; slot < 8; ++slot)
        CHECK(bench.queue.preset(slot, bench.segment(&bench.bytes[slot * 16u], 16), bench.segment(&bench.bytes[1024u + slot], 1)));
    std::vector<Request>& requests = bench.requests(8);
    Request& general = bench.request();
    Request& late = bench.request();
    for (int round = 0; round < 3; ++round) {
        for (std::uint16_t slot = 0; slot < 8; ++slot)
            REQUIRE(bench.queue.add_preset(slot, bench.segment(&bench.bytes[2048], 512), (slot & 1) != 0, requests[slot]));
        CHECK(bench.queue.add_preset(3, bench.segment(&bench.bytes[0], 1), true, late).error() == Error::request_in_flight);
        CHECK(bench.queue.add_preset(8, bench.segment(&bench.bytes[0], 1), true, late).error() == Error::invalid_argument);
        REQUIRE(bench.add_in(general));
        bench.queue.kick();
        std::vector<fake::Chain> chains;
        while (auto chain = bench.device.take(0)) chains.push_back(*chain);
        REQUIRE(chains.size() == 9);
        CHECK(chains[1].readable.size() == 1);
        CHECK(chains[1].writable_bytes() == 513);
        CHECK(chains[2].readable.size() == 2);
        CHECK(chains[2].writable_bytes() == 1);
        std::reverse(chains.begin(), chains.end());
        for (const auto& chain : chains) bench.device.use(0, chain, 0xffff);
        CHECK(bench.queue.poll(16) == 9);
        CHECK(requests[1].length == 513);
        CHECK(requests[2].length == 1);
    }
    CHECK(bench.device.violations.empty());
    // No other descriptor of a preset is a request.
    for (const int other : {-1, 1}) {
        Bench hostile{32, {}, {.presets = 1}};
        CHECK(hostile.queue.preset(0, hostile.segment(&hostile.bytes[0], 16), hostile.segment(&hostile.bytes[1024], 1)));
        REQUIRE(hostile.queue.add_preset(0, hostile.segment(&hostile.bytes[0], 1), true, hostile.request()));
        hostile.queue.kick();
        hostile.device.use(0, static_cast<std::uint32_t>(hostile.device.take(0)->head + other), 0);
        CHECK(hostile.queue.poll(8) == 0);
        CHECK(hostile.queue.fault() == RingFault::used_id_not_in_flight);
    }
}

TEST_CASE("free descriptors + lent descriptors stay equal to the size (B10, B11)") {
    std::mt19937 random{11};
    for (const std::uint16_t size : {std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{4}, std::uint16_t{64}}) {
        for (const FeatureSet& features : {FeatureSet{}, kIndirect}) {
            Bench bench{size, features, {.indirect_entries = 3}};
            std::vector<Request>& requests = bench.requests(size);
            std::vector<fake::Chain> held;
            for (int step = 0; step < 20'000; ++step) {
                if (random() % 2 == 0) {
                    const auto idle = std::find_if(requests.begin(), requests.end(),
                                                   [](const Request& r) { return r.state != Request::State::in_flight; });
                    if (idle == requests.end()) continue;
                    std::vector<Segment> parts(1 + random() % 4, bench.segment(&bench.bytes[0], 4));
                    const auto added = bench.queue.add({}, parts, *idle);
                    if (!added) CHECK((added.error() == Error::ring_full || added.error() == Error::too_many_segments));
                    bench.queue.kick();
                    while (auto chain = bench.device.take(0)) held.push_back(*chain);
                } else if (!held.empty()) {
                    std::swap(held[random() % held.size()], held.back());
                    bench.device.use(0, held.back(), 0);
                    held.pop_back();
                    bench.queue.poll(static_cast<unsigned>(random() % 3));
                }
                REQUIRE(bench.queue.in_flight() <= size);
            }
            for (const auto& chain : held) bench.device.use(0, chain, 0);
            bench.queue.poll(1000);
            CHECK(bench.queue.in_flight() == 0);
            CHECK(bench.queue.room() == size);
            CHECK(bench.device.violations.empty());
        }
    }
}

TEST_CASE("every queue size is accepted or refused as the specification says (trap 18, B33)") {
    fake::HostPlatform platform;
    auto* domain = *platform.dma_domain({}, false);
    for (std::uint32_t offered = 0; offered <= 32769; offered += (offered < 1030 ? 1 : 509)) {
        Virtqueue queue;
        const auto made = queue.create(platform, *domain, 0, offered, {}, {.maximum_size = 32768});
        if (offered == 0) {
            CHECK(made.error() == Error::queue_unavailable);
        } else if (offered > 32768) {
            CHECK(made.error() == Error::queue_size_invalid);
        } else {
            REQUIRE(made);
            CHECK(queue.size() <= offered);
            CHECK((queue.size() & (queue.size() - 1)) == 0);
            CHECK(queue.size() * 2u > offered);
            queue.destroy(Error::closed);
        }
    }
    Virtqueue queue;
    CHECK(queue.create(platform, *domain, 0, 0xffff, {}, {}).error() == Error::queue_size_invalid);
    CHECK(platform.live.empty());
}

TEST_CASE("each allocation that fails leaves nothing behind (B49, R13)") {
    for (long failing = 1; failing <= 3; ++failing) {
        fake::HostPlatform platform;
        platform.allocations_until_failure = failing;
        Virtqueue queue;
        const auto made = queue.create(platform, **platform.dma_domain({}, false), 0, 64, kIndirect, {.indirect_entries = 8});
        CHECK(made.has_value() == (failing == 3)); // without its tables a queue still works
        queue.destroy(Error::closed);
        CHECK(platform.live.empty());
    }
}

TEST_CASE("a queue that was never created or is destroyed answers, and touches nothing") {
    Virtqueue queue;
    Request request;
    const Segment one{DmaAddress{64}, 1};
    CHECK_FALSE(queue.add({&one, 1}, {}, request));
    CHECK(queue.poll(1) == 0);
    CHECK_FALSE(queue.arm_interrupts());
    CHECK_FALSE(queue.pending());
    queue.suppress_interrupts();
    queue.kick();
    queue.destroy(Error::closed);
}

TEST_CASE("fixed slots: slot = descriptor, written once or each time, past the wrap, in any order") {
    for (const bool indirect : {false, true}) {
        constexpr std::uint16_t kSize = 8;
        fake::HostPlatform platform;
        fake::FakeDevice device{{.type = 1,
                                 .features = FeatureSet::of(RingFeature::version_1, RingFeature::event_idx, RingFeature::indirect_desc),
                                 .queue_sizes = {kSize}}};
        Device driver;
        Virtqueue queue;
        QueueOptions options;
        options.fixed = true;
        options.indirect_entries = indirect ? 4 : 0;
        REQUIRE(driver.begin(platform, device, 1));
        REQUIRE(driver.negotiate({}, {}));
        driver.connect_interrupts(1);
        REQUIRE(driver.add_queue(0, queue, options));
        REQUIRE(driver.run());
        CHECK(queue.room() == kSize);
        CHECK(queue.preset_count() == 0);
        std::array<std::array<std::uint8_t, 16>, kSize> memory{};
        std::array<Request, kSize> requests;
        const auto part = [&](std::size_t slot, std::size_t from, std::uint32_t length) {
            return Segment{{reinterpret_cast<std::uintptr_t>(memory[slot].data() + from)}, length};
        };
        for (std::uint16_t i = 0; i < kSize; ++i) queue.fix_writable(i, part(i, 0, 16));
        CHECK(queue.add_fixed(kSize, requests[0]).error() == Error::invalid_argument);
        CHECK(queue.add({}, std::array{part(0, 0, 16)}, requests[0]).error() == Error::too_many_segments); // no descriptors but the slots'
        std::mt19937 random{7};
        std::vector<fake::Chain> open;
        for (unsigned step = 0; step < 200'000; ++step) {
            const auto slot = static_cast<std::uint16_t>(random() % kSize);
            if (random() % 2 == 0) {
                const bool busy = requests[slot].state == Request::State::in_flight;
                const unsigned how = indirect ? static_cast<unsigned>(random() % 3) : 0;
                if (!busy && how == 1) queue.fix_readable(slot, part(slot, 3, 5));
                if (!busy && how == 2) REQUIRE(queue.fix_table(slot, std::array{part(slot, 0, 2), part(slot, 4, 1), part(slot, 8, 8)}));
                if (!busy && how == 0) queue.fix_writable(slot, part(slot, 0, 16));
                const auto added = queue.add_fixed(slot, requests[slot]);
                REQUIRE(added.has_value() == !busy);
                if (busy) REQUIRE(added.error() == Error::request_in_flight);
                queue.kick();
                if (busy) continue;
                const auto chain = device.take(0);
                REQUIRE(chain);
                REQUIRE(chain->head == slot);
                REQUIRE(chain->writable_bytes() == (how == 0 ? 16 : 0));
                REQUIRE(chain->readable_bytes() == (how == 0 ? 0 : how == 1 ? 5 : 11));
                open.push_back(*chain);
            } else if (!open.empty()) {
                const std::size_t which = random() % open.size();
                device.use(0, open[which], static_cast<std::uint32_t>(open[which].writable_bytes()));
                open.erase(open.begin() + static_cast<std::ptrdiff_t>(which));
                REQUIRE(queue.poll(kSize) == 1);
            }
            REQUIRE(queue.room() == kSize - open.size());
        }
        CHECK(queue.counters().requests > 70'000);
        if (indirect) {
            while (!open.empty()) {
                device.use(0, open.back(), 0);
                open.pop_back();
            }
            queue.poll(kSize);
            const std::array<Segment, 5> five{part(0, 0, 1), part(0, 1, 1), part(0, 2, 1), part(0, 3, 1), part(0, 4, 1)};
            CHECK(queue.fix_table(0, five).error() == Error::too_many_segments);
            CHECK(queue.fix_table(0, {}).error() == Error::invalid_argument);
            CHECK(queue.fix_table(0, std::array{part(0, 0, 0)}).error() == Error::invalid_argument);
        }
        device.use(0, 3, 0xffff'ffff); // a slot that may not be in flight
        queue.poll(kSize);
        CHECK(driver.stop());
        for (const Request& request : requests) CHECK(request.state != Request::State::in_flight);
        CHECK(device.violations.empty());
        CHECK(platform.live.empty());
    }
}
