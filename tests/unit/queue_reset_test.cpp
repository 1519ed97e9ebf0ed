// RING_RESET: one queue is taken back and made anew while the others run. And the ring features that a platform or a transport
// takes out of the negotiation.
#include <doctest/doctest.h>

#include "libvirtio/device.hpp"
#include "tests/unit/support/fake_device.hpp"

using namespace virtio;

namespace {

struct Bench {
    explicit Bench(FeatureSet features)
        : device({.type = 4, .features = features | FeatureSet::of(RingFeature::version_1), .config = {}, .queue_sizes = {16, 16}}) {}

    Result<> start() {
        if (auto done = driver.begin(platform, device, 4); !done) return done;
        if (auto done = driver.negotiate({}, {}); !done) return done;
        driver.connect_interrupts(2);
        if (auto done = driver.add_queue(0, first, {}); !done) return done;
        if (auto done = driver.add_queue(1, second, {}); !done) return done;
        return driver.run();
    }
    Result<> lend(Virtqueue& queue, Request& request) {
        const Segment segment{DmaAddress{reinterpret_cast<std::uintptr_t>(&byte)}, 1};
        auto added = queue.add({}, {&segment, 1}, request);
        queue.kick();
        return added;
    }
    fake::HostPlatform platform;
    fake::FakeDevice device;
    Virtqueue first, second;
    Device driver;
    std::uint8_t byte = 0;
};

const FeatureSet kReset = FeatureSet::of(RingFeature::ring_reset, RingFeature::event_idx);

} // namespace

TEST_CASE("one queue is reset and re-enabled while the other runs (RESET-002, RESET-004)") {
    Bench bench{kReset};
    REQUIRE(bench.start());
    Request lost, kept;
    REQUIRE(bench.lend(bench.first, lost));
    REQUIRE(bench.lend(bench.second, kept));
    const auto generation = bench.first.generation();
    const auto chain = bench.device.take(1);

    REQUIRE(bench.driver.reset_queue(bench.first));
    CHECK(lost.done());
    CHECK(lost.error == Error::device_reset);
    CHECK_FALSE(bench.first.created());
    CHECK_FALSE(bench.device.queues[0].enabled);
    CHECK(bench.first.generation() != generation);
    CHECK_FALSE(kept.done()); // the other queue does not notice
    REQUIRE(chain);
    bench.device.use(1, *chain, 1);
    CHECK(bench.second.poll(8) == 1);
    CHECK(kept.done());
    CHECK(kept.error == Error::none);
    CHECK_FALSE(bench.driver.needs_reset()); // an empty place among the queues is no fault
    static_cast<void>(bench.driver.event().take());
    const std::uint64_t deadline = bench.platform.clock_ns + 2 * Device::kWatchdogNs;
    while (bench.driver.wait(deadline)) {
    }
    CHECK(bench.driver.watchdog_rescues() == 0);

    // A smaller one in its place; kicks reach the device at once.
    REQUIRE(bench.driver.add_queue(0, bench.first, {.maximum_size = 4}));
    CHECK(bench.device.queues[0].size == 4);
    REQUIRE(bench.lend(bench.first, lost));
    CHECK(bench.device.queues[0].kicks == 1);
    const auto again = bench.device.take(0);
    REQUIRE(again);
    bench.device.use(0, *again, 1);
    CHECK(bench.first.poll(8) == 1);
    CHECK(lost.error == Error::none);
    CHECK(bench.driver.queues().size() == 2);
    CHECK(bench.driver.stop());
    CHECK(bench.device.violations.empty());
    CHECK(bench.platform.live.empty());
}

TEST_CASE("nothing is taken back before the device confirms the queue's reset (B37)") {
    Bench bench{kReset};
    REQUIRE(bench.start());
    Request request;
    REQUIRE(bench.lend(bench.first, request));
    bench.device.queue_reset_hangs = true;
    CHECK(bench.driver.reset_queue(bench.first).error() == Error::reset_timeout);
    CHECK(request.state == Request::State::in_flight);
    CHECK(bench.first.created());
    bench.device.queue_reset_hangs = false;
    REQUIRE(bench.driver.stop()); // the whole device is
    CHECK(request.error == Error::device_reset);
    CHECK(bench.platform.live.empty());
}

TEST_CASE("what a completion submits while its queue is taken back is refused, not lost") {
    struct Again : Request {
        Bench* bench = nullptr;
        Request other;
        Error refused = Error::none;
    } again;
    Bench bench{kReset};
    REQUIRE(bench.start());
    again.bench = &bench;
    again.complete = [](Request& request) noexcept {
        auto& its = static_cast<Again&>(request);
        const auto added = its.bench->lend(its.bench->first, its.other);
        its.refused = added ? Error::none : added.error();
    };
    REQUIRE(bench.lend(bench.first, again));
    REQUIRE(bench.driver.reset_queue(bench.first));
    CHECK(again.refused == Error::queue_broken);
    CHECK(again.other.state == Request::State::idle);
    CHECK(bench.driver.stop());
}

TEST_CASE("a queue is not reset where it was not negotiated, is foreign or does not run") {
    Bench without{FeatureSet::of(RingFeature::event_idx)};
    REQUIRE(without.start());
    CHECK(without.driver.reset_queue(without.first).error() == Error::unsupported_request);
    CHECK(without.device.violations.empty());
    CHECK(without.driver.add_queue(0, without.first, {}).error() == Error::already_started);
    Bench bench{kReset};
    CHECK(bench.driver.reset_queue(bench.first).error() == Error::unsupported_request);
    REQUIRE(bench.start());
    Virtqueue foreign;
    CHECK(bench.driver.reset_queue(foreign).error() == Error::invalid_argument);
    CHECK(bench.driver.add_queue(0, foreign, {}).error() == Error::already_started);
    CHECK(bench.driver.stop());
    CHECK(without.driver.stop());
}

TEST_CASE("a device may stop, or make the queue wait for memory, after a queue's reset") {
    Bench bench{kReset};
    REQUIRE(bench.start());
    REQUIRE(bench.driver.reset_queue(bench.second));
    bench.platform.allocations_until_failure = 0;
    CHECK(bench.driver.add_queue(1, bench.second, {}).error() == Error::out_of_memory);
    bench.platform.allocations_until_failure = -1;
    REQUIRE(bench.driver.add_queue(1, bench.second, {}));
    REQUIRE(bench.driver.reset_queue(bench.first));
    REQUIRE(bench.driver.reset_queue(bench.second));
    REQUIRE(bench.driver.add_queue(1, bench.second, {}));
    bench.device.interrupt_queue(1); // an empty place does not disturb it
    CHECK(bench.driver.stop());
    CHECK(bench.device.violations.empty());
    CHECK(bench.platform.live.empty());
    REQUIRE(bench.start());
    CHECK(bench.driver.stop());
}

TEST_CASE("kicks carry the position where NOTIFICATION_DATA was negotiated") {
    Bench bench{FeatureSet::of(RingFeature::notification_data)};
    REQUIRE(bench.start());
    std::array<Request, 3> requests;
    for (std::uint32_t i = 0; i < 3; ++i) {
        REQUIRE(bench.lend(bench.second, requests[i]));
        const std::uint32_t wrap = bench.device.queues[1].packed ? 0x8000'0000u : 0;
        CHECK(bench.device.queues[1].last_notification == (wrap | ((i + 1) << 16) | 1));
    }
    CHECK(bench.driver.stop());
}

TEST_CASE("ring features are wanted unless the platform or the transport takes them out") {
    struct Careful final : Platform {
        fake::HostPlatform host;
        void* dma_allocate(std::size_t bytes, std::size_t alignment) noexcept override { return host.dma_allocate(bytes, alignment); }
        void dma_free(void* memory, std::size_t bytes) noexcept override { host.dma_free(memory, bytes); }
        DmaAddress dma_address(const void* memory) noexcept override { return host.dma_address(memory); }
        std::uint64_t now_ns() noexcept override { return host.now_ns(); }
        FeatureSet ring_features(const DeviceIdentity&) noexcept override { return kRingFeatures - FeatureSet::of(RingFeature::event_idx); }
    } careful;
    const FeatureSet offered = kRingFeatures - FeatureSet::of(RingFeature::access_platform);
    Bench bench{offered};
    bench.device.cannot = FeatureSet::of(RingFeature::notif_config_data);
    REQUIRE(bench.driver.begin(careful, bench.device, 4));
    REQUIRE(bench.driver.negotiate({}, {}));
    CHECK(bench.device.accepted ==
          ((offered | FeatureSet::of(RingFeature::version_1)) - FeatureSet::of(RingFeature::event_idx, RingFeature::notif_config_data)));
    CHECK(bench.driver.stop());
}
