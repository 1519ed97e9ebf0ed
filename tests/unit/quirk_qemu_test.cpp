// QEMU: virtio-mmio is the legacy interface unless it is told otherwise, and from 11.1 on no queue may be larger than QueueNumMax.
#include <cstring>

#include "libvirtio/transport/mmio.hpp"
#include "tests/unit/support/quirk_bench.hpp"

using namespace virtio;
using fake::QuirkBench;

TEST_CASE("QEMU: MMIO blocks of either version are driven, by what their version register says") {
    fake::HostPlatform platform;
    alignas(8) std::array<std::uint32_t, 128> registers{};
    registers[0] = 0x7472'6976;
    registers[2] = 4;
    for (const std::uint32_t version : {1u, 2u}) {
        registers[1] = version;
        MmioTransport transport;
        REQUIRE(transport.open(platform, reinterpret_cast<std::uintptr_t>(registers.data()), 0x200));
        CHECK(transport.legacy() == (version == 1));
    }
}

TEST_CASE("QEMU: a queue is never larger than the device says, however large the driver would have it") {
    for (const QueueLayout layout : {QueueLayout::free, QueueLayout::contiguous, QueueLayout::contiguous_whole})
        for (const std::uint16_t maximum : {std::uint16_t{1}, std::uint16_t{8}, std::uint16_t{64}, std::uint16_t{256}}) {
            QuirkBench bench{{.features = FeatureSet::of(RingFeature::version_1), .queue_sizes = {maximum}, .layout = layout}};
            REQUIRE(bench.start({.maximum_size = 1024}));
            CHECK(bench.device.queues[0].size == maximum);
            CHECK(bench.round_trips(600) == 600);
            CHECK(bench.driver.stop());
            CHECK(bench.device.violations == std::vector<std::string>{}); // the device looks at the size
        }
}
