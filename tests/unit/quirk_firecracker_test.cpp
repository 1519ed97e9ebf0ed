// Firecracker: no MRG_RXBUF in some versions, though segmentation offloads are offered; the available ring's NO_INTERRUPT is ignored, so
// that EVENT_IDX must do the suppression; a reset that is never done (versions before 2026).
#include "tests/unit/support/lan.hpp"
#include "tests/unit/support/quirk_bench.hpp"

using namespace virtio;
using fake::QuirkBench;

TEST_CASE("Firecracker: interrupts that were not asked for do no harm, and EVENT_IDX keeps them away") {
    for (const bool event_index : {false, true}) {
        FeatureSet features = FeatureSet::of(RingFeature::version_1);
        if (event_index) features.insert(RingFeature::event_idx);
        QuirkBench bench{{.features = features, .queue_sizes = {64}, .messages = 0}};
        bench.device.ignore_no_interrupt = true;
        REQUIRE(bench.start());
        // Eight buffers are used one by one, while the driver is at work and wants no interrupts.
        std::array<Request, 8> requests;
        for (unsigned round = 0; round < 100; ++round) {
            for (Request& request : requests)
                REQUIRE(bench.queue.add_writable({DmaAddress{reinterpret_cast<std::uintptr_t>(&bench.byte)}, 1}, request));
            bench.queue.kick();
            CHECK_FALSE(bench.queue.arm_interrupts());
            bench.queue.suppress_interrupts();
            for (unsigned i = 0; i < requests.size(); ++i) {
                const auto chain = bench.device.take(0);
                REQUIRE(chain);
                bench.device.use(0, *chain, 1);
            }
            CHECK(bench.queue.poll(100) == requests.size());
        }
        CHECK(bench.device.violations == std::vector<std::string>{});
        CHECK(bench.driver.watchdog_rescues() == 0);
        // With EVENT_IDX the one that was armed, whatever came after it.
        if (!bench.device.queues[0].packed) CHECK(bench.device.queues[0].interrupts == (event_index ? 100 : 800));
    }
}

TEST_CASE("Firecracker: without MRG_RXBUF no offload is accepted that needs buffers of 65,562 bytes, and whole frames fit") {
    using namespace lan;
    FeatureSet features = usual();
    for (const NetFeature offload : {NetFeature::guest_tso4, NetFeature::guest_tso6, NetFeature::guest_ufo, NetFeature::host_tso4,
                                     NetFeature::host_tso6, NetFeature::host_ufo})
        features.insert(offload);
    Lan lan{features};
    REQUIRE(lan.start());
    for (const unsigned bit : {7u, 8u, 9u, 10u, 11u, 12u, 13u, 14u, 15u}) CHECK_FALSE(lan.device.accepted.has(bit));
    for (unsigned length = 60; length <= 1514; length += 97) {
        REQUIRE(lan.deliver(frame(length)));
        lan.card.poll();
        REQUIRE(!lan.received.empty());
        CHECK(lan.received.back().bytes == frame(length));
    }
    CHECK(lan.device.violations == std::vector<std::string>{});
}

TEST_CASE("Firecracker: a device that never resets ends with an error; its memory is not used again, and other devices go on") {
    QuirkBench bench{{.features = FeatureSet::of(RingFeature::version_1), .queue_sizes = {64}}};
    QuirkBench other{{.features = FeatureSet::of(RingFeature::version_1), .queue_sizes = {64}}};
    REQUIRE(bench.start());
    REQUIRE(other.start());
    Request request;
    std::byte byte{};
    DmaDomain& domain = bench.driver.domain();
    const auto memory = domain.map(&byte, 1, DmaDirection::from_device);
    REQUIRE(memory);
    REQUIRE(bench.queue.add_writable({memory->address, 1}, request));
    bench.device.reset_reads = ~std::uint64_t{0};
    const std::uint64_t before = bench.platform.clock_ns;
    CHECK(bench.driver.stop().error() == Error::reset_timeout);
    CHECK(bench.platform.clock_ns - before < 2 * Device::kControlDeadlineNs);
    CHECK(request.state == Request::State::abandoned);
    CHECK_FALSE(bench.platform.live.empty()); // the ring stays where the device may write it
    CHECK(bench.start().error() == Error::reset_timeout);
    CHECK(other.round_trips(100) == 100);
    domain.unmap(*memory, DmaDirection::from_device);
}
