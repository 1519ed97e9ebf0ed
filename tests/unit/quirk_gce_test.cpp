// Google Compute Engine: queues of 4,096 and 8,192 entries, on transitional devices as well.
#include "drivers/blk/blk.hpp"
#include "tests/unit/support/disk_model.hpp"
#include "tests/unit/support/lan.hpp"
#include "tests/unit/support/quirk_bench.hpp"

using namespace virtio;
using fake::QuirkBench;

TEST_CASE("GCE: very long queues: as long as the driver wants, or, where a legacy device fixes it, as long as they are") {
    for (const std::uint16_t size : {std::uint16_t{4096}, std::uint16_t{8192}, std::uint16_t{32768}})
        for (const QueueLayout layout : {QueueLayout::free, QueueLayout::contiguous_whole}) {
            QuirkBench bench{{.features = FeatureSet::of(RingFeature::version_1, RingFeature::indirect_desc, RingFeature::event_idx),
                              .queue_sizes = {size},
                              .layout = layout}};
            REQUIRE(bench.start({.maximum_size = 256}));
            CHECK(bench.queue.size() == (layout == QueueLayout::free ? 256 : size));
            CHECK(bench.round_trips(10'000) == 10'000);
            CHECK(bench.driver.stop());
            CHECK(bench.device.violations == std::vector<std::string>{});
            CHECK(bench.platform.live.empty());
        }
}

TEST_CASE("GCE: disk and network on queues of 8,192") {
    {
        fake::Disk disk{{.queue_size = 8192}};
        BlockDevice driver;
        REQUIRE(driver.start(disk.platform, disk.device));
        std::array<std::byte, 512> data{};
        for (std::uint64_t sector = 0; sector < 500; ++sector) {
            REQUIRE(driver.read(sector, data, 1'000'000'000));
            CHECK(std::memcmp(data.data(), disk.image.data() + sector * 512, 512) == 0);
        }
        CHECK(driver.stop());
        CHECK(disk.device.violations == std::vector<std::string>{});
    }
    lan::Lan lan{lan::usual(), lan::config(), 8192, 8192};
    REQUIRE(lan.start());
    for (unsigned i = 0; i < 500; ++i) {
        REQUIRE(lan.deliver(lan::frame(100, i)));
        lan.card.poll();
        REQUIRE(lan.received.size() == i + 1);
    }
    CHECK(lan.device.violations == std::vector<std::string>{});
}
