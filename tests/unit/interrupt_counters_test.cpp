// Which queue an interrupt is counted for: its own, or, where several share one, the one that had something.
#include <doctest/doctest.h>

#include "libvirtio/device.hpp"
#include "tests/unit/support/fake_device.hpp"

using namespace virtio;

namespace {

struct Bench {
    explicit Bench(std::uint16_t messages)
        : device({.type = 4, .features = FeatureSet::of(RingFeature::version_1), .queue_sizes = {16, 16}, .messages = messages}) {
        REQUIRE(driver.begin(platform, device, 4));
        REQUIRE(driver.negotiate({}, {}));
        driver.connect_interrupts(2);
        REQUIRE(driver.add_queue(0, first, {}));
        REQUIRE(driver.add_queue(1, second, {}));
        REQUIRE(driver.run());
    }
    ~Bench() { CHECK(driver.stop()); }

    /// A request on the first queue, answered with an interrupt.
    void exchange() {
        const Segment segment{DmaAddress{reinterpret_cast<std::uintptr_t>(&byte)}, 1};
        REQUIRE(first.add({}, {&segment, 1}, request));
        first.kick();
        device.use(0, *device.take(0), 1);
        CHECK(first.poll(8) == 1);
        CHECK(second.poll(8) == 0);
    }
    fake::HostPlatform platform;
    fake::FakeDevice device;
    Virtqueue first, second;
    Device driver;
    Request request;
    std::uint8_t byte = 0;
};

} // namespace

TEST_CASE("a message for each queue: counted there, spurious when nothing is found") {
    Bench bench(8);
    REQUIRE(bench.driver.interrupt_mode() == InterruptMode::message_per_queue);
    bench.exchange();
    bench.exchange();
    CHECK(bench.first.counters().interrupts == 2);
    CHECK(bench.first.counters().spurious_interrupts == 0);
    CHECK(bench.second.counters().interrupts == 0);
    bench.device.interrupt_queue(1);
    bench.device.interrupt_queue(1);
    CHECK(bench.second.poll(8) == 0);
    CHECK(bench.second.counters().interrupts == 2);
    CHECK(bench.second.counters().spurious_interrupts == 2);
    CHECK(bench.second.poll(8) == 0); // not a second time
    CHECK(bench.second.counters().spurious_interrupts == 2);
    CHECK(bench.driver.interrupts() == 4);
}

TEST_CASE("one interrupt for all: counted for the queue that had something, spurious for none") {
    for (std::uint16_t messages : {std::uint16_t{0}, std::uint16_t{1}, std::uint16_t{2}}) {
        Bench bench(messages);
        REQUIRE(bench.driver.interrupt_mode() != InterruptMode::message_per_queue);
        bench.exchange();
        CHECK(bench.first.counters().interrupts == 1);
        CHECK(bench.second.counters().interrupts == 0);
        CHECK(bench.second.counters().spurious_interrupts == 0);
        CHECK(bench.driver.interrupts() == 1);
    }
}
