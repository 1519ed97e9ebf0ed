// crosvm with pKVM: FEATURES_OK is refused without ACCESS_PLATFORM, and devices reach nothing but memory that was shared with them.
#include <algorithm>

#include "libvirtio/bounce.hpp"
#include "tests/unit/support/quirk_bench.hpp"

using namespace virtio;
using fake::QuirkBench;

namespace {

/// A guest whose memory the host cannot see, but for one pool.
struct Protected final : Platform {
    static constexpr std::size_t kPool = 1 << 20;
    Protected() { REQUIRE(bounce.start({pool, kPool}, {reinterpret_cast<std::uintptr_t>(pool)})); }
    ~Protected() { std::free(pool); }
    void* dma_allocate(std::size_t bytes, std::size_t alignment) noexcept override { return host.dma_allocate(bytes, alignment); }
    void dma_free(void* memory, std::size_t bytes) noexcept override { host.dma_free(memory, bytes); }
    DmaAddress dma_address(const void* memory) noexcept override { return host.dma_address(memory); }
    std::uint64_t now_ns() noexcept override { return host.now_ns(); }
    Result<DmaDomain*> dma_domain(const DeviceIdentity& device, bool translated) noexcept override {
        if (translated) return &bounce;
        return Platform::dma_domain(device, translated);
    }
    [[nodiscard]] bool shared(const void* at) const { return at >= pool && at < pool + kPool; }

    fake::HostPlatform host;
    std::byte* pool = static_cast<std::byte*>(std::aligned_alloc(4096, kPool));
    BounceDomain bounce;
};

} // namespace

TEST_CASE("pKVM: ACCESS_PLATFORM is acknowledged, and rings and buffers are in the shared pool") {
    Protected platform;
    QuirkBench bench{{.features = FeatureSet::of(RingFeature::version_1, RingFeature::access_platform), .queue_sizes = {64}}};
    bench.device.agrees = [](const FeatureSet& chosen) { return chosen.has(RingFeature::access_platform); };
    REQUIRE(bench.start(platform));
    CHECK(platform.shared(bench.device.queues[0].descriptors));
    CHECK(platform.shared(bench.device.queues[0].driver));
    CHECK(platform.shared(bench.device.queues[0].device));
    const auto lent = bench.driver.domain().map(&bench.byte, 1, DmaDirection::from_device);
    REQUIRE(lent);
    CHECK(platform.shared(reinterpret_cast<const void*>(lent->address.value)));
    bench.driver.domain().unmap(*lent, DmaDirection::from_device);
    CHECK(bench.round_trips(300) == 300);
    CHECK(bench.driver.stop());
    CHECK(bench.device.violations == std::vector<std::string>{});
}

TEST_CASE("pKVM: a platform that has no such memory refuses the device and says why") {
    QuirkBench bench{{.features = FeatureSet::of(RingFeature::version_1, RingFeature::access_platform), .queue_sizes = {64}}};
    CHECK(bench.start().error() == Error::dma_domain_missing);
    CHECK(bench.driver.refusal().bit == 33);
    bench.driver.abort();
}
