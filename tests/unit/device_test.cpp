// The life of a device: order of steps, negotiation, interrupts, reset, a device that refuses, lies or vanishes.
#include <doctest/doctest.h>

#include "libvirtio/device.hpp"
#include "tests/unit/support/fake_device.hpp"

using namespace virtio;

namespace {

struct Bench {
    explicit Bench(fake::FakeDevice::Options options = {})
        : device([&] {
              options.type = 4;
              options.features = options.features | FeatureSet::of(RingFeature::version_1);
              if (options.queue_sizes.empty()) options.queue_sizes = {16, 16};
              if (options.config.empty()) options.config = std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6, 7, 8, 9};
              return options;
          }()) {}

    Result<> start(const Policy& policy = {}) {
        if (auto done = driver.begin(platform, device, 4); !done) return done;
        if (auto done = driver.negotiate(policy, {}); !done) return done;
        driver.connect_interrupts(2);
        if (auto done = driver.add_queue(0, first, {}); !done) return done;
        if (auto done = driver.add_queue(1, second, {}); !done) return done;
        return driver.run();
    }
    fake::HostPlatform platform;
    fake::FakeDevice device;
    Virtqueue first, second;
    Device driver;
    std::uint8_t byte = 0;

    Result<> lend(Request& request) {
        const Segment segment{DmaAddress{reinterpret_cast<std::uintptr_t>(&byte)}, 1};
        auto added = first.add({}, {&segment, 1}, request);
        first.kick();
        return added;
    }
};

} // namespace

TEST_CASE("start in the specification's order; every feature accepted was offered") {
    Bench bench{{.features = FeatureSet::of(3, 7, RingFeature::event_idx, RingFeature::indirect_desc, RingFeature::in_order,
                                            RingFeature::ring_packed, RingFeature::sr_iov, RingFeature::admin_vq)}};
    REQUIRE(bench.start({.required = FeatureSet::of(3), .wanted = FeatureSet::of(9)}));
    CHECK(bench.device.status_writes == std::vector<std::uint8_t>{0, 1, 3, 11, 15});
    CHECK(bench.driver.features() == FeatureSet::of(3, RingFeature::version_1, RingFeature::event_idx, RingFeature::indirect_desc,
                                                    RingFeature::in_order, RingFeature::ring_packed));
    CHECK(bench.device.accepted == bench.driver.features()); // not 7, SR_IOV, ADMIN_VQ (trap 12)
    CHECK(bench.driver.started());
    CHECK(bench.driver.begin(bench.platform, bench.device, 4).error() == Error::already_started);
    CHECK(bench.driver.stop());
    CHECK(bench.device.violations.empty());
    CHECK(bench.platform.live.empty());
    REQUIRE(bench.start({.required = FeatureSet::of(3), .wanted = {}})); // and again
    CHECK(bench.driver.stop());
}

TEST_CASE("what a device refuses is named") {
    SUBCASE("another type") {
        Bench bench;
        CHECK(bench.driver.begin(bench.platform, bench.device, 2).error() == Error::no_device);
        bench.driver.abort();
        CHECK(bench.device.status_writes.empty()); // it is another driver's
    }
    SUBCASE("a required feature") {
        Bench bench;
        CHECK(bench.start({.required = FeatureSet::of(17), .wanted = {}}).error() == Error::feature_missing);
        CHECK(bench.driver.refusal().bit == 17);
    }
    SUBCASE("no VERSION_1 (trap 25)") {
        Bench bench;
        bench.device.offered = {};
        CHECK(bench.start().error() == Error::feature_missing);
        CHECK(bench.driver.refusal().bit == 32);
    }
    SUBCASE("FEATURES_OK does not stick (trap 21, B34)") {
        Bench bench;
        bench.device.refuse_features = true;
        CHECK(bench.start().error() == Error::feature_refused);
        bench.driver.abort();
        CHECK(bench.device.status_writes.back() == status::kFailed);
        for (const std::uint8_t value : bench.device.status_writes) CHECK((value & status::kDriverOk) == 0);
    }
    SUBCASE("ACCESS_PLATFORM without a domain for it") {
        Bench bench{{.features = FeatureSet::of(RingFeature::access_platform)}};
        CHECK(bench.start().error() == Error::dma_domain_missing);
        CHECK(bench.driver.refusal().bit == 33);
    }
    SUBCASE("no such queue") {
        Bench bench{{.queue_sizes = {16}}};
        CHECK(bench.start().error() == Error::queue_unavailable);
        bench.driver.abort();
        CHECK(bench.platform.live.empty());
    }
}

TEST_CASE("reset is waited for, with a deadline (trap 20, B36)") {
    Bench slow;
    slow.device.reset_reads = 1000;
    CHECK(slow.start());
    CHECK(slow.driver.stop());
    Bench never;
    never.device.reset_reads = UINT64_MAX;
    const std::uint64_t before = never.platform.clock_ns;
    CHECK(never.start().error() == Error::reset_timeout);
    CHECK(never.platform.clock_ns - before < 2 * Device::kControlDeadlineNs);
}

TEST_CASE("a vanished device ends with errors, not loops (B41)") {
    Bench bench;
    bench.device.gone = true;
    CHECK_FALSE(bench.start());
    Bench later;
    REQUIRE(later.start());
    Request request;
    REQUIRE(later.lend(request));
    later.device.gone = true;
    CHECK(later.driver.needs_reset());
    CHECK_FALSE(later.driver.stop());
}

TEST_CASE("nothing is announced before DRIVER_OK, and what was added earlier is announced then (trap 21)") {
    Bench bench;
    Request request;
    REQUIRE(bench.driver.begin(bench.platform, bench.device, 4));
    REQUIRE(bench.driver.negotiate({}, {}));
    bench.driver.connect_interrupts(1);
    REQUIRE(bench.driver.add_queue(0, bench.first, {}));
    REQUIRE(bench.lend(request));
    CHECK(bench.device.queues[0].kicks == 0);
    REQUIRE(bench.driver.run());
    CHECK(bench.device.queues[0].kicks == 1);
    CHECK(bench.device.violations.empty());
    CHECK(bench.driver.stop());
}

TEST_CASE("interrupts: a message per queue, two, one, the line, none (trap 23, B26)") {
    struct Row {
        std::uint16_t messages;
        bool line;
        InterruptMode mode;
        std::uint16_t second_vector;
        std::uint32_t bits;
    };
    const Row rows[] = {
        {8, true, InterruptMode::message_per_queue, 2, Device::queue_bit(1)},
        {3, true, InterruptMode::message_per_queue, 2, Device::queue_bit(1)},
        {2, true, InterruptMode::two_messages, 1, Device::kAllQueues},
        {1, true, InterruptMode::shared_message, 0, Device::kAllQueues | Device::kConfigBit},
        {0, true, InterruptMode::line, kNoVector, Device::kAllQueues},
        {0, false, InterruptMode::polled, kNoVector, 0},
    };
    for (const Row& row : rows) {
        Bench bench{{.messages = row.messages, .line = row.line}};
        REQUIRE(bench.start());
        CHECK(bench.driver.interrupt_mode() == row.mode);
        CHECK(bench.second.vector() == row.second_vector);
        bench.device.interrupt_queue(1);
        CHECK(bench.driver.event().take() == row.bits);
        static_cast<void>(bench.driver.take_config_change());
        bench.device.config_changed();
        CHECK(bench.driver.take_config_change() == (row.mode != InterruptMode::polled));
        CHECK(bench.driver.stop());
    }
}

TEST_CASE("a vector that the device refuses is replaced by the first one (B26)") {
    for (const std::uint16_t refused : {std::uint16_t{0}, std::uint16_t{1}, std::uint16_t{2}}) {
        Bench bench;
        bench.device.refuse_vector = refused;
        REQUIRE(bench.start());
        static_cast<void>(bench.driver.event().take());
        bench.device.interrupt_queue(refused == 1 ? 0 : 1);
        CHECK(bench.driver.event().pending());
        CHECK(bench.driver.stop());
    }
}

TEST_CASE("interrupts before DRIVER_OK and after a reset mark nothing (B25); a shared line is told apart") {
    Bench bench{{.messages = 0}};
    REQUIRE(bench.driver.begin(bench.platform, bench.device, 4));
    REQUIRE(bench.driver.negotiate({}, {}));
    bench.driver.connect_interrupts(2);
    bench.device.config_changed();
    CHECK_FALSE(bench.driver.event().pending());
    REQUIRE(bench.driver.add_queue(0, bench.first, {}));
    REQUIRE(bench.driver.run());
    bench.driver.on_interrupt(0); // another device's: our status reads 0
    CHECK_FALSE(bench.driver.event().pending());
    CHECK(bench.driver.spurious_interrupts() == 1);
    bench.device.interrupt_queue(0);
    CHECK(bench.driver.event().pending());
    CHECK(bench.platform.wakes == 1);
    CHECK(bench.driver.stop());
    static_cast<void>(bench.driver.event().take());
    bench.driver.on_interrupt(0);
    CHECK_FALSE(bench.driver.event().pending());
}

TEST_CASE("a line that was called dead and comes alive is acknowledged all the same, or it would never end (trap 30)") {
    Bench bench{{.messages = 0}};
    REQUIRE(bench.start());
    CHECK(bench.driver.interrupt_mode() == InterruptMode::line);
    for (const bool second_life : {false, true}) {
        CAPTURE(second_life);
        Request request;
        static_cast<void>(bench.first.arm_interrupts());
        REQUIRE(bench.lend(request));
        bench.device.drop_interrupts = true;
        bench.device.use(0, *bench.device.take(0), 1);
        while (bench.driver.interrupt_mode() == InterruptMode::line)
            REQUIRE(bench.driver.wait(bench.platform.clock_ns + 10 * Device::kWatchdogNs));
        CHECK(bench.driver.watchdog_rescues() == 0);
        CHECK(bench.first.poll(8) == 1);
        bench.device.raise_reason(1);
        bench.driver.on_interrupt(0);
        const std::uint64_t spurious = bench.driver.spurious_interrupts();
        bench.driver.on_interrupt(0); // nothing is left of it
        CHECK(bench.driver.spurious_interrupts() == spurious + 1);
        // What the first device's line did says nothing of the next one's.
        bench.device.drop_interrupts = false;
        CHECK(bench.driver.stop());
        bench.driver.forget();
        if (!second_life) REQUIRE(bench.start());
    }
}

TEST_CASE("stop ends every request in flight exactly once, after the confirmation (B37, R14)") {
    Bench bench;
    bench.device.reset_reads = 50;
    REQUIRE(bench.start());
    struct Counted : Request {
        int calls = 0;
    } requests[8];
    for (Counted& request : requests) {
        request.complete = [](Request& done) noexcept { ++static_cast<Counted&>(done).calls; };
        REQUIRE(bench.lend(request));
    }
    CHECK(bench.driver.stop(Error::device_reset));
    for (const Counted& request : requests) {
        CHECK(request.calls == 1);
        CHECK(request.error == Error::device_reset);
    }
    CHECK(bench.platform.live.empty());
}

TEST_CASE("a reset that is never confirmed: memory is quarantined, requests are abandoned (B37, R16)") {
    for (const bool cut_off : {false, true}) {
        Bench bench;
        bench.device.can_cut_off = cut_off;
        REQUIRE(bench.start());
        Request request;
        REQUIRE(bench.lend(request));
        auto* const ring = bench.device.queues[0].descriptors;
        bench.device.reset_reads = UINT64_MAX;
        CHECK(bench.driver.stop().error() == Error::reset_timeout);
        CHECK(request.state == (cut_off ? Request::State::done : Request::State::abandoned));
        CHECK(request.error == (cut_off ? Error::device_reset : Error::abandoned));
        CHECK(bench.platform.live.contains(ring) == !cut_off); // quarantined memory is never given back
    }
}

TEST_CASE("configuration: right width, no torn value, bounded retries, only valid fields (trap 22, B35)") {
    constexpr Field<std::uint64_t> kWide{.offset = 0};
    constexpr Field<std::uint16_t> kNarrow{.offset = 2};
    constexpr Field<std::uint8_t> kGuarded{.offset = 4, .feature = 5};
    constexpr Field<std::uint32_t> kBeyond{.offset = 8};
    Bench bench{{.features = FeatureSet::of(5)}};
    REQUIRE(bench.driver.begin(bench.platform, bench.device, 4));
    CHECK(*bench.driver.config().read(kWide) == 0x0807060504030201u);
    CHECK(*bench.driver.config().read(kNarrow) == 0x0403);
    CHECK(*bench.driver.config().read(kGuarded) == 5); // offered: the inspect step may read it
    CHECK(bench.driver.config().read(kBeyond).error() == Error::out_of_range);
    CHECK(bench.driver.config().read(Field<std::uint8_t>{.offset = SIZE_MAX}).error() == Error::out_of_range);
    REQUIRE(bench.driver.negotiate({}, {}));
    CHECK(bench.driver.config().read(kGuarded).error() == Error::field_not_negotiated);

    // The value changes between its halves, once: the second try sees it whole.
    int reads = 0;
    bench.device.on_config_read = [&] {
        if (++reads != 2) return;
        for (int i = 0; i < 8; ++i) bench.device.config[static_cast<std::size_t>(i)] = 0xaa;
        ++bench.device.generation;
    };
    CHECK(*bench.driver.config().read(kWide) == 0xaaaaaaaaaaaaaaaau);
    CHECK(reads == 4);
    bench.device.generation_always_changes = true;
    bench.device.config_reads = 0;
    CHECK(bench.driver.config().read(kWide).error() == Error::config_unstable);
    CHECK(bench.device.config_reads == 2 * Config::kTries);
    CHECK(bench.device.violations.empty());
}

TEST_CASE("a driver that asks somebody else's device leaves it alone, whatever is called then") {
    Bench bench;
    REQUIRE(bench.start());
    const std::size_t writes = bench.device.status_writes.size();
    Device other;
    CHECK(other.begin(bench.platform, bench.device, 5).error() == Error::no_device);
    other.abort();
    CHECK(other.stop());
    CHECK(bench.device.status_writes.size() == writes);
    CHECK(bench.driver.started());
    CHECK(bench.driver.stop());
}

TEST_CASE("a lost interrupt is healed by the watchdog and counted (R24)") {
    Bench bench;
    REQUIRE(bench.start());
    Request request;
    static_cast<void>(bench.first.arm_interrupts());
    REQUIRE(bench.lend(request));
    bench.device.drop_interrupts = true;
    bench.device.use(0, *bench.device.take(0), 1);
    const std::uint64_t before = bench.platform.clock_ns;
    CHECK(bench.driver.wait(before + 10 * Device::kWatchdogNs));
    CHECK(bench.driver.event().take() != 0);
    CHECK(bench.driver.watchdog_rescues() == 1);
    CHECK(bench.first.counters().watchdog_rescues == 1);
    CHECK(bench.platform.clock_ns - before < 2 * Device::kWatchdogNs);
    CHECK(bench.first.poll(8) == 1);
    CHECK(request.done());
    CHECK(bench.driver.stop());
}

TEST_CASE("a wait that nothing ends comes back at its deadline, without a rescue") {
    Bench bench;
    REQUIRE(bench.start());
    const std::uint64_t deadline = bench.platform.clock_ns + 3 * Device::kWatchdogNs;
    unsigned rounds = 0;
    while (bench.driver.wait(deadline)) REQUIRE(++rounds < 10);
    CHECK(bench.platform.clock_ns >= deadline);
    CHECK(bench.driver.watchdog_rescues() == 0);
    CHECK(bench.driver.stop());
}

TEST_CASE("a broken queue asks for a reset, and the device works again after it (B40)") {
    Bench bench;
    REQUIRE(bench.start());
    Request request, other;
    REQUIRE(bench.lend(request));
    const std::uint32_t generation = bench.first.generation();
    bench.device.use(0, 99u, 0);
    CHECK(bench.first.poll(8) == 0);
    CHECK(bench.driver.needs_reset());
    CHECK(bench.driver.stop(Error::queue_broken));
    CHECK((request.done() && request.error == Error::queue_broken));
    REQUIRE(bench.start());
    CHECK(bench.first.generation() != generation);
    REQUIRE(bench.lend(other));
    bench.device.use(0, *bench.device.take(0), 1);
    CHECK(bench.first.poll(8) == 1);
    CHECK(bench.driver.stop());
}

TEST_CASE("a queue whose owner collects completions by itself is never overdue while its interrupts are suppressed") {
    for (const bool lazy : {true, false}) {
        Bench bench;
        REQUIRE(bench.driver.begin(bench.platform, bench.device, 4));
        REQUIRE(bench.driver.negotiate({}, {}));
        bench.driver.connect_interrupts(1);
        QueueOptions options;
        options.lazy = lazy;
        REQUIRE(bench.driver.add_queue(0, bench.first, options));
        REQUIRE(bench.driver.run());
        bench.first.suppress_interrupts();
        bench.device.drop_interrupts = true;
        Request request;
        std::byte byte{};
        const Segment segment{{reinterpret_cast<std::uintptr_t>(&byte)}, 1};
        REQUIRE(bench.first.add({&segment, 1}, {}, request));
        bench.first.kick();
        const auto chain = bench.device.take(0);
        REQUIRE(chain);
        bench.device.use(0, *chain, 0);
        // Many short waits: none is long enough alone, together they are.
        for (unsigned i = 0; i < 30; ++i) static_cast<void>(bench.driver.wait(bench.platform.clock_ns + 10'000'000));
        CHECK(bench.driver.watchdog_rescues() == (lazy ? 0 : 1));
        bench.first.poll(1);
        CHECK(request.done());
    }
}

TEST_CASE("without interrupts a change of the configuration is seen by its generation") {
    Bench bench{{.messages = 0, .line = false}};
    REQUIRE(bench.start());
    REQUIRE(bench.driver.interrupt_mode() == InterruptMode::polled);
    for (unsigned round = 0; round < 3; ++round) {
        for (unsigned i = 0; i < 1000; ++i) static_cast<void>(bench.driver.wait(bench.platform.clock_ns + 1'000'000));
        CHECK(!bench.driver.take_config_change());
        bench.device.config_changed();
        const std::uint64_t begin = bench.platform.clock_ns;
        while (!bench.driver.take_config_change()) {
            REQUIRE(bench.platform.clock_ns - begin < 2 * Device::kConfigLookNs);
            static_cast<void>(bench.driver.event().take());
            CHECK(bench.driver.wait(bench.platform.clock_ns + 1'000'000));
        }
    }
    CHECK(bench.driver.stop());
}

TEST_CASE("a polled device is looked at while it runs, not before and not after") {
    Bench bench{{.messages = 0, .line = false}};
    REQUIRE(bench.start());
    const auto naps = [&] {
        bench.platform.waits = 0;
        const std::uint64_t end = bench.platform.clock_ns + 1'000'000'000;
        while (bench.platform.clock_ns < end) static_cast<void>(bench.driver.wait(end));
        return bench.platform.waits;
    };
    CHECK(naps() > 1000);
    SUBCASE("stopped") { CHECK(bench.driver.stop()); }
    SUBCASE("its reset is never confirmed") {
        bench.device.reset_reads = ~std::uint64_t{0};
        CHECK(bench.driver.stop().error() == Error::reset_timeout);
    }
    SUBCASE("given up") { bench.driver.abort(); }
    CHECK(naps() < 20);
}

TEST_CASE("misuse: what was never started ends quietly, queues come after negotiation and only as many as there is room for") {
    Device never;
    CHECK(never.stop());
    never.abort();

    Bench bench{{.queue_sizes = std::vector<std::uint16_t>(80, 2)}};
    std::array<Virtqueue, 66> queues;
    REQUIRE(bench.driver.begin(bench.platform, bench.device, 4));
    CHECK(bench.driver.add_queue(0, queues[0], {}).error() == Error::not_started);
    REQUIRE(bench.driver.negotiate({}, {}));
    for (std::uint16_t i = 0; i < 64; ++i) REQUIRE(bench.driver.add_queue(i, queues[i], {}));
    CHECK(bench.driver.add_queue(64, queues[64], {}).error() == Error::queue_unavailable);
    REQUIRE(bench.driver.run());
    CHECK(bench.driver.queues().size() == 64);
    CHECK(bench.driver.stop());
    CHECK(bench.device.violations.empty());
    CHECK(bench.platform.live.empty());
}

TEST_CASE("misuse: queues are reset one by one only where that was negotiated, is possible, and they are the device's") {
    Bench bench{{.features = FeatureSet::of(RingFeature::ring_reset), .queue_sizes = std::vector<std::uint16_t>(80, 4)}};
    Virtqueue far, another, replaced;
    REQUIRE(bench.driver.begin(bench.platform, bench.device, 4));
    REQUIRE(bench.driver.negotiate({}, {}));
    REQUIRE(bench.driver.add_queue(0, bench.first, {}));
    REQUIRE(bench.driver.add_queue(70, far, {}));
    CHECK(bench.driver.reset_queue(bench.first).error() == Error::unsupported_request); // it does not run yet
    REQUIRE(bench.driver.run());
    CHECK(bench.driver.reset_queue(another).error() == Error::invalid_argument);
    CHECK(bench.driver.reset_queue(far).error() == Error::unsupported_request); // beyond the numbers that are kept
    CHECK(bench.driver.add_queue(0, replaced, {}).error() == Error::already_started);
    REQUIRE(bench.driver.reset_queue(bench.first));
    CHECK(bench.driver.add_queue(1, replaced, {}).error() == Error::already_started);
    CHECK(bench.driver.add_queue(64, replaced, {}).error() == Error::already_started);
    REQUIRE(bench.driver.add_queue(0, replaced, {}));
    CHECK(bench.driver.stop());
    CHECK(bench.device.violations.empty());

    Bench without;
    REQUIRE(without.start());
    CHECK(without.driver.reset_queue(without.first).error() == Error::unsupported_request);
    CHECK(without.driver.stop());
}

TEST_CASE("without interrupts a configuration that stands still announces nothing") {
    Bench bench{{.messages = 0, .line = false}};
    REQUIRE(bench.start());
    for (int i = 0; i < 1000; ++i) static_cast<void>(bench.driver.wait(bench.platform.clock_ns + 1'000'000));
    CHECK_FALSE(bench.driver.take_config_change());
    CHECK(bench.driver.stop());
}

TEST_CASE("vectors that the device refuses: for its configuration it is the line then, for a queue an error (B26)") {
    Bench bench;
    bench.device.refuse_vector = 0;
    REQUIRE(bench.start());
    CHECK(bench.driver.interrupt_mode() == InterruptMode::line);
    CHECK(bench.driver.stop());

    Bench late{{.messages = 1}};
    REQUIRE(late.driver.begin(late.platform, late.device, 4));
    REQUIRE(late.driver.negotiate({}, {}));
    late.driver.connect_interrupts(1);
    late.device.refuse_vector = 0;
    const Result<> added = late.driver.add_queue(0, late.first, {});
    REQUIRE_FALSE(added);
    CHECK(added.error() == Error::interrupt_unavailable);
    late.driver.abort();
    CHECK(late.platform.live.empty());
}

TEST_CASE("a queue's own message before the device runs, and one of a queue that stands elsewhere in the list (B25)") {
    Bench bench;
    REQUIRE(bench.driver.begin(bench.platform, bench.device, 4));
    REQUIRE(bench.driver.negotiate({}, {}));
    bench.driver.connect_interrupts(2);
    REQUIRE(bench.driver.add_queue(1, bench.second, {}));
    REQUIRE(bench.driver.add_queue(0, bench.first, {}));
    REQUIRE(bench.driver.interrupt_mode() == InterruptMode::message_per_queue);
    bench.device.interrupt_queue(0);
    bench.device.interrupt_queue(1);
    CHECK_FALSE(bench.driver.event().pending());
    CHECK(bench.driver.interrupts() == 0);
    REQUIRE(bench.driver.run());
    bench.device.interrupt_queue(1);
    CHECK(bench.driver.event().take() == Device::queue_bit(1));
    CHECK(bench.first.poll(1) + bench.second.poll(1) == 0);
    CHECK(bench.second.counters().interrupts == 1);
    CHECK(bench.first.counters().interrupts == 0);
    CHECK(bench.driver.stop());

    Bench ordered; // in the order of their numbers: the short way
    REQUIRE(ordered.driver.begin(ordered.platform, ordered.device, 4));
    REQUIRE(ordered.driver.negotiate({}, {}));
    ordered.driver.connect_interrupts(1);
    REQUIRE(ordered.driver.add_queue(0, ordered.first, {}));
    ordered.device.interrupt_queue(0);
    CHECK_FALSE(ordered.driver.event().pending());
    CHECK(ordered.driver.interrupts() == 0);
    REQUIRE(ordered.driver.run());
    CHECK(ordered.driver.stop());
}
