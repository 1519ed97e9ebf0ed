// The life of a legacy device (VIRTIO 1.4's legacy sections), and the registers by which one is reached: MMIO version 1 and PCI 0.9.5.
#include <doctest/doctest.h>

#include <cstring>

#include "libvirtio/device.hpp"
#include "libvirtio/transport/mmio.hpp"
#include "libvirtio/transport/pci_legacy.hpp"
#include "tests/unit/support/fake_device.hpp"
#include "tests/unit/support/fake_pci.hpp"

using namespace virtio;
using fake::FakePci;
using fake::Function;

namespace {

template<class T> Error why(const Result<T>& result) { return result ? Error::none : result.error(); }

constexpr FeatureSet kAll = FeatureSet::of(3, 7, RingFeature::any_layout, RingFeature::notify_on_empty, RingFeature::indirect_desc,
                                           RingFeature::event_idx, 30, RingFeature::version_1, RingFeature::ring_packed);

struct Bench {
    explicit Bench(QueueLayout layout, bool line = true)
        : device({.type = 4,
                  .features = kAll,
                  .config = {1, 2, 3, 4, 5, 6, 7, 8},
                  .queue_sizes = {64, 16},
                  .messages = 0,
                  .line = line,
                  .layout = layout}) {}
    Result<> start(const Policy& policy = {}) {
        if (auto done = driver.begin(platform, device, 4); !done) return done;
        if (auto done = driver.negotiate(policy, {}); !done) return done;
        driver.connect_interrupts(2);
        if (auto done = driver.add_queue(0, first, {.maximum_size = 8}); !done) return done;
        if (auto done = driver.add_queue(1, second, {}); !done) return done;
        return driver.run();
    }
    fake::HostPlatform platform;
    fake::FakeDevice device;
    Virtqueue first, second;
    Device driver;
    std::byte byte{};
};

} // namespace

TEST_CASE(
    "a legacy device: no FEATURES_OK, one word of features, rings in one piece (INIT-011, FEAT-013, FEAT-028, FEAT-029, VQ-003..VQ-005)") {
    for (const QueueLayout layout : {QueueLayout::contiguous, QueueLayout::contiguous_whole}) {
        Bench bench{layout};
        REQUIRE(bench.start({.required = FeatureSet::of(3), .wanted = FeatureSet::of(9)}));
        CHECK(bench.device.status_writes == std::vector<std::uint8_t>{0, 1, 3, 7});
        CHECK(bench.device.accepted == FeatureSet::of(3, RingFeature::any_layout, RingFeature::indirect_desc, RingFeature::event_idx));
        CHECK(bench.driver.features() == bench.device.accepted);
        CHECK(bench.first.size() == (layout == QueueLayout::contiguous ? 8 : 64)); // the device's own, where it cannot be told
        CHECK(bench.first.kind() == RingKind::split);
        // Requests go round, past the end of the ring.
        for (int i = 0; i < 100; ++i) {
            Request request;
            const Segment segment{DmaAddress{reinterpret_cast<std::uintptr_t>(&bench.byte)}, 1};
            REQUIRE(bench.first.add_writable(segment, request));
            bench.first.kick();
            const auto chain = bench.device.take(0);
            REQUIRE(chain);
            bench.device.use(0, *chain, 1);
            CHECK(bench.first.poll(1) == 1);
        }
        CHECK(bench.driver.stop());
        CHECK(bench.device.violations == std::vector<std::string>{});
        REQUIRE(bench.start()); // again
        CHECK(bench.driver.stop());
        CHECK(bench.platform.live.empty());
    }
}

TEST_CASE("a legacy queue that is no power of two is refused where its size cannot be told") {
    Bench whole{QueueLayout::contiguous_whole};
    whole.device.queues[0].maximum = 48;
    CHECK(why(whole.start()) == Error::queue_size_invalid);
    Bench part{QueueLayout::contiguous};
    part.device.queues[0].maximum = 48;
    CHECK(part.start());
    CHECK(part.driver.stop());
    CHECK(part.device.violations.empty());
}

TEST_CASE("a legacy configuration has no generation: fields of several accesses are read until two readings agree (CONF-007)") {
    Bench bench{QueueLayout::contiguous};
    REQUIRE(bench.start());
    constexpr Field<std::uint64_t> kWide{.offset = 0};
    constexpr Field<std::uint32_t> kNarrow{.offset = 4};
    CHECK(*bench.driver.config().read(kWide) == 0x0807'0605'0403'0201);
    bench.device.config_reads = 0;
    CHECK(*bench.driver.config().read(kNarrow) == 0x0807'0605);
    CHECK(bench.device.config_reads == 1); // one access is never torn
    // It changes between the halves of the first reading, and then stands.
    unsigned reads = 0;
    bench.device.on_config_read = [&] {
        if (++reads == 2) std::fill(bench.device.config.begin(), bench.device.config.end(), std::uint8_t{9});
    };
    CHECK(*bench.driver.config().read(kWide) == 0x0909'0909'0909'0909);
    // It never stands.
    bench.device.on_config_read = [&] { ++bench.device.config[0]; };
    CHECK(why(bench.driver.config().read(kWide)) == Error::config_unstable);
    CHECK(bench.driver.stop());
}

TEST_CASE("a polled legacy device tells of a new configuration by the reason of an interrupt that does not come") {
    Bench bench{QueueLayout::contiguous, false};
    REQUIRE(bench.start());
    CHECK(bench.driver.interrupt_mode() == InterruptMode::polled);
    static_cast<void>(bench.driver.wait(bench.platform.clock_ns + 200'000'000));
    bench.platform.clock_ns += 200'000'000;
    static_cast<void>(bench.driver.wait(bench.platform.clock_ns + 1000));
    CHECK_FALSE(bench.driver.take_config_change());
    bench.device.raise_reason(2);
    bench.platform.clock_ns += 200'000'000;
    static_cast<void>(bench.driver.wait(bench.platform.clock_ns + 1000));
    CHECK(bench.driver.take_config_change());
    CHECK(bench.driver.stop());
}

TEST_CASE("MMIO version 1: page number, alignment and size for the three areas; no generation, no queue reset, one word") {
    fake::HostPlatform platform;
    alignas(8) std::array<std::uint32_t, 128> registers{};
    const auto at = [&](std::size_t offset) -> std::uint32_t& { return registers[offset / 4]; };
    at(mmio_abi::kMagic) = 0x74726976;
    at(mmio_abi::kVersion) = 1;
    at(mmio_abi::kDeviceId) = 2;
    at(mmio_abi::kConfigGeneration) = 77;
    MmioTransport transport;
    REQUIRE(transport.open(platform, reinterpret_cast<std::uintptr_t>(registers.data()), 0x200));
    CHECK(std::string_view(transport.name()) == "mmio-legacy");
    CHECK(transport.legacy());
    CHECK(transport.queue_layout() == QueueLayout::contiguous);
    CHECK(transport.feature_words() == 1);
    CHECK(*transport.config_generation() == 0);
    CHECK(why(transport.queue_reset(0, ~std::uint64_t{0})) == Error::unsupported_request);
    at(mmio_abi::kSharedMemorySelect) = 99;
    at(mmio_abi::kSharedMemoryLength) = 4096;
    CHECK(why(transport.shared_memory(1)) == Error::not_found);
    CHECK(at(mmio_abi::kSharedMemorySelect) == 99); // no such register
    CHECK(why(transport.connect_messages(1, {})) == Error::unsupported_request);

    at(mmio_abi::kQueueMaximum) = 64;
    CHECK(why(transport.queue_enable(0, {128, {0x1000}, {}, {}})) == Error::queue_size_invalid);
    CHECK(why(transport.queue_enable(0, {64, {0x1800}, {}, {}})) == Error::dma_map_failed);
    CHECK(why(transport.queue_enable(0, {64, {0}, {}, {}})) == Error::dma_map_failed);
    CHECK(why(transport.queue_enable(0, {64, {0x1000'0000'0000}, {}, {}})) == Error::dma_map_failed);
    CHECK(at(mmio_abi::kQueuePageNumber) == 0);
    const auto grant = transport.queue_enable(3, {32, {0xfff'ffff'f000}, {}, {}});
    REQUIRE(grant);
    CHECK(at(mmio_abi::kQueueSelect) == 3);
    CHECK(at(mmio_abi::kGuestPageSize) == 4096);
    CHECK(at(mmio_abi::kQueueSize) == 32);
    CHECK(at(mmio_abi::kQueueAlign) == 4096);
    CHECK(at(mmio_abi::kQueuePageNumber) == 0xffff'ffff);
    CHECK(at(mmio_abi::kQueueReady) == 0);
    CHECK(at(mmio_abi::kQueueDescriptor) == 0);
    grant->doorbell.ring(5);
    CHECK(at(mmio_abi::kQueueNotify) == 3);
    CHECK(why(transport.queue_enable(3, {32, {0x1000}, {}, {}})) == Error::queue_unavailable); // in use
}

// --- PCI ---

namespace {

struct LegacyFunction {
    LegacyFunction() {
        Function& function = pci.functions[{}];
        function.identity(0x1001, 2);
        function.port_bar(0, 0x4000, 0x40);
        function.memory_bar(1, 0x6000, 0x1000);
        msix = function.capability(0x11, 12);
        function.put<std::uint16_t>(msix + 2u, 3 | 0x8000); // four entries, left enabled by firmware
        function.put<std::uint32_t>(msix + 4u, 1);          // BAR 1
    }
    Function& function() { return pci.functions[{}]; }
    template<class T> T get(std::size_t at) const {
        T value;
        std::memcpy(&value, pci.memory.data() + at, sizeof value);
        return value;
    }
    template<class T> void put(std::size_t at, T value) { std::memcpy(pci.memory.data() + at, &value, sizeof value); }
    Result<> open() { return transport.open(PciFunction{pci, {}}); }

    FakePci pci;
    PciLegacyTransport transport;
    std::uint8_t msix = 0;
};

constexpr InterruptTarget kTarget{[](void*, std::uint16_t) noexcept {}, nullptr};

} // namespace

TEST_CASE("PCI legacy: registers, the device's own queue size, one page number, the kick (PCI-047)") {
    LegacyFunction bench;
    PciLegacyTransport& transport = bench.transport;
    CHECK(why(transport.identity()) == Error::not_started);
    REQUIRE(bench.open());
    CHECK(why(bench.open()) == Error::already_started);
    CHECK(transport.identity()->type == 2);
    CHECK(transport.queue_layout() == QueueLayout::contiguous_whole);
    CHECK(transport.feature_words() == 1);
    CHECK((bench.function().get(bench.msix + 2u, 2) & 0x8000) == 0); // messages were left on: they are off now
    bench.put<std::uint32_t>(0, 0x3000'0040);
    CHECK(*transport.device_features(0) == 0x3000'0040);
    REQUIRE(transport.set_driver_features(0, 0x40));
    CHECK(bench.get<std::uint32_t>(4) == 0x40);
    REQUIRE(transport.set_status(3));
    CHECK(bench.get<std::uint8_t>(18) == 3);
    CHECK(*transport.status() == 3);
    CHECK(why(transport.queue_reset(0, 0)) == Error::unsupported_request);

    bench.put<std::uint16_t>(12, 256);
    CHECK(*transport.queue_maximum(1) == 256);
    CHECK(bench.get<std::uint16_t>(14) == 1);
    CHECK(why(transport.queue_enable(1, {128, {0x5000}, {}, {}})) == Error::queue_size_invalid);
    CHECK(why(transport.queue_enable(1, {256, {0x5010}, {}, {}})) == Error::dma_map_failed);
    const auto grant = transport.queue_enable(1, {256, {0x1'2345'6000}, {}, {}});
    REQUIRE(grant);
    CHECK(grant->vector == kNoVector);
    CHECK(bench.get<std::uint32_t>(8) == 0x12'3456);
    CHECK(grant->doorbell.kind() == Doorbell::Kind::mmio16);
    grant->doorbell.ring(99);
    CHECK(bench.get<std::uint16_t>(16) == 1);
    CHECK(why(transport.queue_enable(1, {256, {0x5000}, {}, {}})) == Error::queue_unavailable);
    bench.put<std::uint8_t>(19, 3);
    CHECK(transport.interrupt_status().acknowledge() == 3);
    const auto masters = [&] { return (PciFunction{bench.pci, {}}.read(0x04, 2) & 4) != 0; };
    CHECK(transport.cut_off());
    CHECK(transport.set_status(status::kFailed).has_value());
    CHECK_FALSE(masters());
    CHECK(transport.set_status(status::kAcknowledge).has_value()); // only ever written after a reset that was confirmed
    CHECK(masters());
    bench.pci.keeps_mastering = true;
    CHECK_FALSE(transport.cut_off());
}

TEST_CASE("PCI legacy: messages move the configuration from 20 to 24, and the line moves it back (PCI-049)") {
    LegacyFunction bench;
    PciLegacyTransport& transport = bench.transport;
    REQUIRE(bench.open());
    bench.put<std::uint32_t>(20, 0x1111'1111);
    bench.put<std::uint32_t>(24, 0x2222'2222);
    CHECK(*transport.read_config(0, 4) == 0x1111'1111);
    CHECK(transport.config_size() == 0x40 - 20);
    CHECK(*transport.set_config_vector(0) == kNoVector); // it would be the configuration
    CHECK(bench.get<std::uint16_t>(20) == 0x1111);
    CHECK(*transport.connect_messages(9, kTarget) == 4);
    CHECK(*transport.read_config(0, 4) == 0x2222'2222);
    CHECK(transport.config_size() == 0x40 - 24);
    REQUIRE(transport.write_config(3, 1, 0x33));
    CHECK(bench.get<std::uint8_t>(27) == 0x33);
    CHECK(why(transport.read_config(0x40 - 24, 1)) == Error::out_of_range);
    CHECK(why(transport.write_config(0x40 - 26, 4, 0)) == Error::out_of_range);
    CHECK(*transport.set_config_vector(0) == 0);
    bench.put<std::uint16_t>(12, 8);
    const auto grant = transport.queue_enable(0, {8, {0x5000}, {}, {}, 2});
    REQUIRE(grant);
    CHECK(grant->vector == 2);
    CHECK(bench.get<std::uint16_t>(22) == 2);
    transport.disconnect_interrupts();
    CHECK(transport.config_size() == 0x40 - 20);
    REQUIRE(transport.connect_line(kTarget));
    CHECK(transport.config_size() == 0x40 - 20);
}

TEST_CASE("PCI legacy: functions that have no such registers") {
    const auto open = [](auto change) {
        LegacyFunction bench;
        change(bench);
        return why(bench.open());
    };
    CHECK(open([](LegacyFunction& bench) { bench.function().identity(0x1042, 2); }) == Error::no_device); // modern only
    CHECK(open([](LegacyFunction& bench) { bench.function().put<std::uint16_t>(0, 0x8086); }) == Error::no_device);
    CHECK(open([](LegacyFunction& bench) { bench.function().port_bar(0, 0x4000, 0x10); }) == Error::bad_bar);
    CHECK(open([](LegacyFunction& bench) { bench.function().port_bar(0, 0, 0x40); }) == Error::bad_bar); // not assigned
    CHECK(open([](LegacyFunction& bench) { // no such port, though that memory could be mapped
              bench.pci.memory.resize(0x2'0000);
              bench.function().port_bar(0, 0x1'4000, 0x40);
          }) == Error::bad_bar);
    CHECK(open([](LegacyFunction& bench) { bench.pci.ports_mapped = false; }) == Error::bad_bar); // this processor has no ports
    CHECK(open([](LegacyFunction& bench) { bench.function().memory_bar(0, 0x9000'0000, 0x1000); }) == Error::bad_bar);
    CHECK(open([](LegacyFunction& bench) { bench.function().memory_bar(0, 0x4000, 0x1000); }) == Error::none); // memory is as good
    CHECK(open([](LegacyFunction& bench) { std::memset(bench.pci.memory.data(), 0xff, 0x40); }) == Error::device_gone);
    CHECK(open([](LegacyFunction& bench) { // a list that leads back to itself
              Function& function = bench.function();
              function.space[0x40] = 5;
              function.space[0x41] = 0x40;
          }) == Error::none);
}

TEST_CASE("PCI legacy: a device that vanishes ends with errors") {
    LegacyFunction bench;
    PciLegacyTransport& transport = bench.transport;
    REQUIRE(bench.open());
    std::memset(bench.pci.memory.data(), 0xff, 0x40);
    CHECK(*transport.status() == 0xff); // it is there, and says so
    CHECK(*transport.read_config(0, 2) == 0xffff);
    bench.pci.gone = true;
    CHECK(why(transport.identity()) == Error::device_gone);
    CHECK(why(transport.status()) == Error::device_gone);
    CHECK(why(transport.device_features(0)) == Error::device_gone);
    CHECK(why(transport.queue_maximum(0)) == Error::device_gone);
    CHECK(why(transport.read_config(0, 1)) == Error::device_gone);
    CHECK(why(transport.read_config(0, 4)) == Error::device_gone);
    CHECK(transport.cut_off());
}
