// What a Virtqueue adds to its engine, over either kind of ring: creation, counters, its state in words, waiters for room. Compiled
// a second time, with the library, without counters (RINGSIDE_NO_COUNTERS).
#include <doctest/doctest.h>

#include <deque>
#include <string>
#include <utility>

#include "libvirtio/virtqueue.hpp"
#include "tests/unit/support/fake_device.hpp"

using namespace virtio;

namespace {

#ifdef RINGSIDE_NO_COUNTERS
constexpr bool kCounted = false;
static_assert(sizeof(QueueCounters) <= 16 && std::is_empty_v<Counter>);
#else
constexpr bool kCounted = true;
#endif

constexpr std::uint64_t counted(std::uint64_t value) { return kCounted ? value : 0; }

const FeatureSet kKinds[] = {{},
                             FeatureSet::of(RingFeature::ring_packed),
                             FeatureSet::of(RingFeature::in_order),
                             FeatureSet::of(RingFeature::ring_packed, RingFeature::in_order)};

/// A queue with its ring in memory, and nobody at the other end but the test.
struct Bench {
    explicit Bench(FeatureSet its, std::uint16_t size = 8, const QueueOptions& options = {}) : features(its) {
        REQUIRE(queue.create(platform, *domain(), 3, size, features, options));
        queue.connect(Doorbell::through(
                          [](void* context, std::uint32_t its_value) noexcept {
                              auto& its_bench = *static_cast<Bench*>(context);
                              ++its_bench.kicks;
                              its_bench.last = its_value;
                          },
                          this, 3, true),
                      5);
    }
    ~Bench() {
        queue.destroy(Error::closed);
        CHECK(platform.live.empty());
    }
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;
    DmaDomain* domain() { return *platform.dma_domain({}, false); }
    [[nodiscard]] bool packed() const { return features.has(RingFeature::ring_packed); }
    std::byte* at(DmaAddress address) { return reinterpret_cast<std::byte*>(address.value); }
    template<class T> void put(DmaAddress address, T value) { std::memcpy(at(address), &value, sizeof value); }
    template<class T> T get(DmaAddress address) {
        T value;
        std::memcpy(&value, at(address), sizeof value);
        return value;
    }
    /// Uses single-descriptor requests in the order in which they were added.
    void use(unsigned count, std::uint32_t length = 0) {
        for (; count != 0; --count, ++used) {
            const unsigned size = queue.size();
            if (packed()) {
                const DmaAddress slot = queue.descriptor_address() + 16u * (used % size);
                put<std::uint32_t>(slot + 8, length);
                put<std::uint16_t>(slot + 14, used / size % 2 == 0 ? 0x8080 : 0);
            } else {
                const auto head = get<std::uint16_t>(queue.driver_address() + 4 + 2u * (used % size));
                put<std::uint32_t>(queue.device_address() + 4 + 8u * (used % size), head);
                put<std::uint32_t>(queue.device_address() + 8 + 8u * (used % size), length);
                put<std::uint16_t>(queue.device_address() + 2, static_cast<std::uint16_t>(used + 1));
            }
        }
    }
    Request& request() { return requests.emplace_back(); }
    std::string text() {
        std::array<char, kQueueTextBytes> line;
        return std::string(to_text(queue.state(), line));
    }

    FeatureSet features;
    fake::HostPlatform platform;
    Virtqueue queue;
    std::deque<Request> requests;
    unsigned kicks = 0;
    unsigned used = 0;
    std::uint32_t last = 0;
};

const Segment kSegment{DmaAddress{0x1000}, 16};

} // namespace

TEST_CASE("queue: the kind that was negotiated, in a size that it may have, under the user's cap (trap 18, B33)") {
    fake::HostPlatform platform;
    DmaDomain& domain = **platform.dma_domain({}, false);
    for (const FeatureSet& features : kKinds) {
        const bool packed = features.has(RingFeature::ring_packed);
        for (const std::uint32_t offered : {0u, 1u, 2u, 3u, 5u, 100u, 128u, 1000u, 4096u, 32767u, 32768u, 32769u, 65535u}) {
            for (const std::uint16_t cap :
                 {std::uint16_t{0}, std::uint16_t{1}, std::uint16_t{6}, std::uint16_t{1024}, std::uint16_t{40000}}) {
                Virtqueue queue;
                const auto made = queue.create(platform, domain, 0, offered, features, {.maximum_size = cap});
                if (offered == 0) {
                    CHECK(made.error() == Error::queue_unavailable);
                } else if (offered > 32768 || cap == 0) {
                    CHECK(made.error() == Error::queue_size_invalid);
                } else {
                    REQUIRE(made);
                    const unsigned most = std::min<unsigned>(offered, cap);
                    CHECK(queue.size() == (packed ? most : std::bit_floor(most)));
                    CHECK(queue.kind() == (packed ? RingKind::packed : RingKind::split));
                    CHECK(queue.create(platform, domain, 0, 8, features, {}).error() == Error::already_started);
                    // PACKED-001, SPLIT: alignment; what the device writes shares no line with what the driver writes.
                    CHECK(queue.descriptor_address().value % 4096 == 0);
                    CHECK(queue.driver_address().value % 4 == 0);
                    CHECK(queue.device_address().value % 128 == 0);
                    queue.destroy(Error::closed);
                }
                if (!made) CHECK_FALSE(queue.created());
            }
        }
    }
    CHECK(platform.live.empty());
}

TEST_CASE("queue: no indirect table is longer than the queue (trap 15)") {
    for (const FeatureSet& kind : kKinds) {
        Bench bench{kind | FeatureSet::of(RingFeature::indirect_desc), 4, {.indirect_entries = 9}};
        CHECK(bench.queue.indirect_entries() == 4);
        const std::vector<Segment> parts(5, kSegment);
        CHECK(bench.queue.add(parts, {}, bench.request()).error() == Error::too_many_segments);
        CHECK(bench.queue.add(std::span(parts).first(4), {}, bench.request()));
        CHECK(bench.queue.room() == 3);
    }
}

TEST_CASE("queue: each allocation that fails leaves nothing behind, for every kind of ring and of slot (B49, R13)") {
    for (const FeatureSet& kind : kKinds) {
        for (const bool fixed : {false, true}) {
            const FeatureSet features = kind | FeatureSet::of(RingFeature::indirect_desc);
            unsigned made_at = 0;
            for (long failing = 1; failing <= 6; ++failing) {
                fake::HostPlatform platform;
                platform.allocations_until_failure = failing;
                Virtqueue queue;
                const auto made = queue.create(platform, **platform.dma_domain({}, false), 0, 64, features,
                                               {.presets = 4, .indirect_entries = 8, .fixed = fixed});
                if (!made) CHECK(made.error() == Error::out_of_memory);
                if (made && made_at == 0) {
                    made_at = static_cast<unsigned>(failing);
                    // Without its tables a queue still works, but for fixed slots.
                    CHECK((queue.indirect_entries() == 0) == !fixed);
                    if (!fixed && kind != FeatureSet{}) CHECK(queue.preset_count() == 0);
                }
                queue.destroy(Error::closed);
                CHECK(platform.live.empty());
            }
            CHECK(made_at != 0);
        }
    }
}

TEST_CASE("queue: counters tell what was done, or nothing where they are compiled out") {
    for (const FeatureSet& features : kKinds) {
        Bench bench{features, 4};
        Virtqueue& queue = bench.queue;
        queue.start();
        const auto suppressed = queue.counters().kicks_suppressed;
        CHECK_FALSE(queue.add_writable({DmaAddress{1}, 0}, bench.request()));
        for (int i = 0; i < 4; ++i) REQUIRE(queue.add_writable(kSegment, bench.request()));
        CHECK(queue.add_writable(kSegment, bench.request()).error() == Error::ring_full);
        queue.count_bytes(64);
        CHECK(queue.counters().requests == counted(4));
        queue.kick();
        CHECK(bench.kicks == 1);
        queue.kick(); // nothing new
        queue.kick_if_needed();
        queue.kick_always();
        CHECK(bench.kicks == 2);
        bench.use(3, 16);
        CHECK(queue.poll(2) == 2);
        CHECK(queue.poll(8) == 1);
        CHECK(queue.counters().completions == counted(3));
        CHECK(queue.counters().requests == counted(4));
        CHECK(queue.counters().ring_full == counted(1));
        CHECK(queue.counters().bytes == counted(64));
        CHECK(queue.counters().kicks == counted(2));
        CHECK(queue.counters().kicks_suppressed == counted(suppressed + 1));
        const std::uint64_t errors = queue.counters().errors;
        queue.count_error();
        queue.count_ring_full();
        queue.count_rescue();
        CHECK(queue.counters().errors == counted(errors + 1));
        CHECK(queue.counters().watchdog_rescues == counted(1));
        queue.announce();
        CHECK(queue.poll(8) == 0);
        CHECK(queue.counters().interrupts == 0); // a shared vector, and nothing was found
        CHECK(std::as_const(queue).counters().requests == counted(4));
        queue.destroy(Error::closed);
        CHECK(queue.counters().requests == counted(4)); // what was taken back had been added
        CHECK(queue.counters().completions == counted(3));
        REQUIRE(queue.create(bench.platform, *bench.domain(), 3, 4, features, {}));
        CHECK(queue.counters().requests == 0);
        CHECK(queue.counters().kicks == 0);
    }
}

TEST_CASE("queue: the doorbell carries the published position (NOTIFICATION_DATA), for either ring") {
    for (const FeatureSet& features : kKinds) {
        Bench bench{features, 4};
        bench.queue.start();
        for (unsigned i = 1; i <= 9; ++i) {
            REQUIRE(bench.queue.add_readable(kSegment, bench.request()));
            bench.queue.kick();
            const std::uint32_t position = bench.packed() ? (i % 4) | (i / 4 % 2 == 0 ? 0x8000u : 0u) : i;
            CHECK(bench.last == ((position << 16) | 3));
            REQUIRE(bench.queue.add_readable(kSegment, bench.request()));
            bench.queue.kick_always(); // what is not published does not count
            CHECK(bench.last == ((position << 16) | 3));
            bench.use(1);
            REQUIRE(bench.queue.poll(1) == 1);
            // The second goes with a batch of its own.
            bench.queue.publish();
            bench.use(1);
            REQUIRE(bench.queue.poll(1) == 1);
            ++i;
        }
    }
}

TEST_CASE("queue: kicks only between start() and stop(); what was published earlier is announced at the start (trap 21)") {
    for (const FeatureSet& features : kKinds) {
        Bench bench{features};
        REQUIRE(bench.queue.add_readable(kSegment, bench.request()));
        bench.queue.kick();
        bench.queue.kick_always();
        CHECK(bench.kicks == 0);
        bench.queue.start();
        CHECK(bench.kicks == 1);
        bench.queue.stop();
        REQUIRE(bench.queue.add_readable(kSegment, bench.request()));
        bench.queue.kick();
        CHECK(bench.kicks == 1);
    }
}

TEST_CASE("queue: who waits for room is told once, from the poll that made some") {
    for (const FeatureSet& features : kKinds) {
        Bench bench{features, 2};
        struct Waiter : RoomWaiter {
            int calls = 0;
            Virtqueue* queue = nullptr;
            std::uint16_t room = 0;
        } waiter;
        waiter.queue = &bench.queue;
        waiter.on_room = [](RoomWaiter& self) noexcept {
            auto& its = static_cast<Waiter&>(self);
            ++its.calls;
            its.room = its.queue->room();
        };
        for (int i = 0; i < 2; ++i) REQUIRE(bench.queue.add_readable(kSegment, bench.request()));
        bench.queue.kick();
        bench.queue.when_room(waiter);
        CHECK(bench.queue.poll(8) == 0);
        CHECK(waiter.calls == 0);
        bench.use(1);
        CHECK(bench.queue.poll(8) == 1);
        CHECK(waiter.calls == 1);
        CHECK(waiter.room == 1);
        bench.use(1);
        CHECK(bench.queue.poll(8) == 1);
        CHECK(waiter.calls == 1);
    }
}

TEST_CASE("queue: a completion may add at once, in a full ring too") {
    for (const FeatureSet& features : kKinds) {
        Bench bench{features, 2};
        struct Again : Request {
            Virtqueue* queue = nullptr;
            unsigned rounds = 0;
        };
        std::array<Again, 2> again;
        for (Again& each : again) {
            each.queue = &bench.queue;
            each.complete = [](Request& done) noexcept {
                auto& its = static_cast<Again&>(done);
                if (++its.rounds < 50) CHECK(its.queue->add_writable(kSegment, its));
            };
            REQUIRE(bench.queue.add_writable(kSegment, each));
        }
        for (unsigned done = 0; done < 100;) {
            bench.queue.publish();
            bench.use(2);
            const unsigned now = bench.queue.poll(2);
            REQUIRE(now == 2);
            done += now;
        }
        CHECK(again[0].rounds + again[1].rounds == 100);
        CHECK(bench.queue.in_flight() == 0);
        CHECK(bench.queue.room() == 2);
    }
}

TEST_CASE("queue: its state as values and in words") {
    Bench split{{}, 8};
    CHECK(split.queue.state().created);
    CHECK_FALSE(split.queue.state().started);
    CHECK(split.text() == "queue 3: split 8, published 0, used 0, 0 in flight, room 8, generation 1, stopped, interrupts on");
    split.queue.start();
    for (int i = 0; i < 3; ++i) REQUIRE(split.queue.add_writable(kSegment, split.request()));
    split.queue.kick();
    split.use(1, 16);
    split.queue.suppress_interrupts();
    CHECK(split.text() == "queue 3: split 8, published 3, used 0, 3 in flight, room 5, generation 1, interrupts off, completions pending");
    split.use(1, 99);
    CHECK(split.queue.poll(8) == 2);
    CHECK(split.text() == "queue 3: split 8, published 3, used 2, 1 in flight, room 7, generation 1, interrupts off, 1 lengths clamped");

    Bench packed{FeatureSet::of(RingFeature::ring_packed), 3};
    packed.queue.start();
    CHECK(packed.text() == "queue 3: packed 3, published 0+, used 0+, 0 in flight, room 3, generation 1, interrupts on");
    for (int i = 0; i < 3; ++i) REQUIRE(packed.queue.add_writable(kSegment, packed.request()));
    packed.queue.kick();
    packed.use(1);
    CHECK(packed.queue.poll(8) == 1);
    CHECK(packed.text() == "queue 3: packed 3, published 0-, used 1+, 2 in flight, room 1, generation 1, interrupts on");
    packed.put<std::uint16_t>(packed.queue.descriptor_address() + 16 + 12, 77);
    packed.use(1);
    CHECK(packed.queue.poll(8) == 0);
    CHECK(packed.queue.state().fault == RingFault::used_id_out_of_range);
    CHECK(packed.text() ==
          "queue 3: packed 3, published 0-, used 1+, 2 in flight, room 1, generation 1, interrupts on, broken: used id out of range");
    packed.queue.destroy(Error::closed);
    CHECK(packed.text() == "queue 3: not created");
    CHECK(packed.queue.state().generation == 2);
    CHECK(std::string(name(packed.queue.kind())) == "packed");

    // Cut, never past its end; the longest line fits kQueueTextBytes.
    std::array<char, 8> small{'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x'};
    CHECK(to_text(split.queue.state(), std::span(small).first(6)) == "queue");
    CHECK(small[5] == '\0');
    CHECK(small[6] == 'x');
    CHECK(to_text(split.queue.state(), std::span(small).first(0)).empty());
    QueueState longest{
        RingKind::packed,     true, false, true, true, RingFault::out_of_order, 65535, 65535, 65535, 0xffff, 0xffff, 0xffff, 0xffffffff,
        0xffff'ffff'ffff'ffff};
    std::array<char, kQueueTextBytes> line;
    CHECK(to_text(longest, line).size() < kQueueTextBytes - 1);
    CHECK(to_text(longest, line).ends_with("in order"));
}

TEST_CASE("queue: an unconfirmed reset keeps the memory for ever, and says so to every request") {
    for (const FeatureSet& features : kKinds) {
        fake::HostPlatform platform;
        Virtqueue queue;
        REQUIRE(queue.create(platform, **platform.dma_domain({}, false), 0, 8, features, {}));
        Request request;
        request.complete = [](Request&) noexcept { FAIL("an abandoned request is never completed"); };
        REQUIRE(queue.add_writable(kSegment, request));
        queue.kick();
        const auto generation = queue.generation();
        queue.quarantine();
        CHECK(request.state == Request::State::abandoned);
        CHECK(request.error == Error::abandoned);
        CHECK(request.length == 0);
        CHECK(queue.generation() != generation);
        CHECK_FALSE(queue.created());
        CHECK(platform.live.size() == 1); // the ring: the device may still write there
        Request late;
        CHECK_FALSE(queue.add_writable(kSegment, late));
        CHECK_FALSE(queue.add({}, {&kSegment, 1}, late));
        CHECK(late.state == Request::State::idle);
        CHECK(queue.poll(1) == 0);
        queue.quarantine();
        queue.destroy(Error::closed);
    }
}

TEST_CASE("queue: one that was never created, or no more, answers and touches nothing; made again it works") {
    for (const FeatureSet& features : kKinds) {
        fake::HostPlatform platform;
        Virtqueue queue;
        for (int round = 0; round < 3; ++round) {
            Request request;
            CHECK_FALSE(queue.add_readable(kSegment, request));
            CHECK_FALSE(queue.add_writable(kSegment, request));
            CHECK_FALSE(queue.add({&kSegment, 1}, {&kSegment, 1}, request));
            CHECK_FALSE(queue.add_fixed(0, request));
            CHECK_FALSE(queue.add_preset(0, kSegment, true, request));
            CHECK_FALSE(queue.add_fixed_quickly(0, request));
            CHECK_FALSE(queue.add_preset_quickly(0, kSegment, true, request));
            CHECK(queue.fix_table(0, {&kSegment, 1}).has_value() == false);
            CHECK(request.state == Request::State::idle);
            CHECK(queue.poll(1) == 0);
            CHECK_FALSE(queue.arm_interrupts());
            CHECK_FALSE(queue.pending());
            CHECK_FALSE(queue.overdue());
            queue.suppress_interrupts();
            queue.kick();
            queue.kick_if_needed();
            queue.kick_always();
            queue.destroy(Error::closed);
            REQUIRE(queue.create(platform, **platform.dma_domain({}, false), 0, 4, features, {}));
            REQUIRE(queue.add_readable(kSegment, request));
            queue.destroy(Error::device_reset);
            CHECK(request.error == Error::device_reset);
            CHECK(platform.live.empty());
        }
    }
}

TEST_CASE("queue: what a completion submits while its queue is taken back is refused, not lost") {
    for (const FeatureSet& features : kKinds) {
        Bench bench{features};
        struct Again : Request {
            Virtqueue* queue = nullptr;
            unsigned refused = 0;
        } again;
        again.queue = &bench.queue;
        again.complete = [](Request& done) noexcept {
            auto& its = static_cast<Again&>(done);
            CHECK(its.queue->add_writable(kSegment, its).error() == Error::queue_broken);
            CHECK(its.queue->add({&kSegment, 1}, {&kSegment, 1}, its).error() == Error::queue_broken);
            ++its.refused;
        };
        REQUIRE(bench.queue.add_writable(kSegment, again));
        REQUIRE(bench.queue.add_writable(kSegment, bench.request()));
        bench.queue.destroy(Error::device_reset);
        CHECK(again.refused == 1);
        CHECK(again.done());
    }
}
