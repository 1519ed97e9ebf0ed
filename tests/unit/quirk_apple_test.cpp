// Apple's Virtualization framework: FEATURES_OK is refused unless RING_RESET is acknowledged where it is offered.
#include "tests/unit/support/quirk_bench.hpp"

using namespace virtio;
using fake::QuirkBench;

TEST_CASE("Apple: RING_RESET is acknowledged wherever it is offered") {
    QuirkBench bench{{.features = FeatureSet::of(RingFeature::version_1, RingFeature::ring_reset), .queue_sizes = {64}}};
    bench.device.agrees = [](const FeatureSet& chosen) { return chosen.has(RingFeature::ring_reset); };
    REQUIRE(bench.start());
    CHECK(bench.round_trips(300) == 300);
    CHECK(bench.driver.stop());
    CHECK(bench.device.violations == std::vector<std::string>{});
    // A driver that did not would be told so, and not hang.
    bench.device.cannot = FeatureSet::of(RingFeature::ring_reset);
    CHECK(bench.start().error() == Error::feature_refused);
    bench.driver.abort();
}
