// Cloud Hypervisor: a control queue that answers late; RING_PACKED offered by a device that reads the ring as a split one (#2833).
#include "drivers/blk/blk.hpp"
#include "drivers/console/console.hpp"
#include "tests/unit/support/disk_model.hpp"
#include "tests/unit/support/quirk_bench.hpp"

using namespace virtio;
using fake::QuirkBench;

namespace {

/// A platform that knows its hypervisor.
struct SplitOnly final : Platform {
    fake::HostPlatform host;
    void* dma_allocate(std::size_t bytes, std::size_t alignment) noexcept override { return host.dma_allocate(bytes, alignment); }
    void dma_free(void* memory, std::size_t bytes) noexcept override { host.dma_free(memory, bytes); }
    DmaAddress dma_address(const void* memory) noexcept override { return host.dma_address(memory); }
    std::uint64_t now_ns() noexcept override { return host.now_ns(); }
    FeatureSet ring_features(const DeviceIdentity&) noexcept override { return kRingFeatures - FeatureSet::of(RingFeature::ring_packed); }
};

} // namespace

TEST_CASE("Cloud Hypervisor: a platform takes packed rings out of the bargain, and split ones serve") {
    SplitOnly platform;
    QuirkBench bench{{.features = FeatureSet::of(RingFeature::version_1, RingFeature::ring_packed), .queue_sizes = {64}}};
    REQUIRE(bench.start(platform));
    CHECK_FALSE(bench.device.accepted.has(RingFeature::ring_packed));
    CHECK(bench.queue.kind() == RingKind::split);
    CHECK(bench.round_trips(300) == 300);
    CHECK(bench.driver.stop());
    CHECK(bench.device.violations == std::vector<std::string>{});
    CHECK(platform.host.live.empty());
}

TEST_CASE("Cloud Hypervisor: requests in a packed ring that is read as a split one end at their deadline, and the reset gives all back") {
    fake::Disk disk{{.features = {9, 32, 34}}};
    // It takes the descriptors for a split ring's: there is no available index, so it never finds anything.
    disk.automatic = false;
    BlockDevice driver;
    REQUIRE(driver.start(disk.platform, disk.device));
    CHECK(driver.queue().kind() == RingKind::packed);
    std::array<std::byte, 512> data{};
    const std::uint64_t before = disk.platform.clock_ns;
    const auto read = driver.read(0, data, 50'000'000);
    REQUIRE_FALSE(read);
    CHECK(read.error() == Error::timeout);
    CHECK(disk.platform.clock_ns - before < 2'000'000'000);
    CHECK(driver.stop());
    CHECK(disk.platform.live.empty());
}

TEST_CASE("Cloud Hypervisor: a console whose control queue answers late is usable by and by; nobody waits for it") {
    fake::HostPlatform platform;
    fake::FakeDevice device{{.type = 3,
                             .features = FeatureSet::of(RingFeature::version_1, 1),
                             .config = std::vector<std::uint8_t>(12, 0),
                             .queue_sizes = {64, 64, 64, 64, 64, 64}}};
    device.config[4] = 2; // ports
    ConsoleDevice console;
    const std::uint64_t before = platform.clock_ns;
    REQUIRE(console.start(platform, device));
    CHECK(platform.clock_ns - before < 1'000'000); // DEVICE_READY is on its way, and not answered
    for (int i = 0; i < 10; ++i) {
        platform.clock_ns += 500'000'000;
        static_cast<void>(console.poll());
    }
    CHECK_FALSE(console.needs_recovery());
    // At last.
    auto ready = device.take(3);
    REQUIRE(ready);
    std::array<std::uint8_t, 8> message{};
    CHECK(ready->read(0, message.data(), 8) == 8);
    CHECK(message[4] == 0); // DEVICE_READY
    device.use(3, *ready, 0);
    auto into = device.take(2);
    REQUIRE(into);
    const std::array<std::uint8_t, 8> added{1, 0, 0, 0, 1, 0, 0, 0}; // PORT_ADD of port 1
    into->write(0, added.data(), added.size());
    device.use(2, *into, added.size());
    static_cast<void>(console.poll());
    bool there = false;
    for (ConsolePort& port : console.ports()) there = there || (port.id() == 1 && port.present());
    CHECK(there);
    CHECK(console.stop());
    CHECK(device.violations == std::vector<std::string>{});
}
