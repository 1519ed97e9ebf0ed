// COQOS and others: FEATURES_OK is refused without VERSION_1.
#include "tests/unit/support/quirk_bench.hpp"

using namespace virtio;
using fake::QuirkBench;

TEST_CASE("COQOS: VERSION_1 is acknowledged by every driver of a modern device, and never on a legacy one") {
    QuirkBench bench{{.features = FeatureSet::of(RingFeature::version_1), .queue_sizes = {64}}};
    bench.device.agrees = [](const FeatureSet& chosen) { return chosen.has(RingFeature::version_1); };
    REQUIRE(bench.start());
    CHECK(bench.round_trips(100) == 100);
    CHECK(bench.driver.stop());
    // A modern device that does not offer it is refused by name, before it can refuse.
    QuirkBench without{{.features = {}, .queue_sizes = {64}}};
    CHECK(without.start().error() == Error::feature_missing);
    CHECK(without.driver.refusal().bit == 32);
    without.driver.abort();
    QuirkBench legacy{{.features = FeatureSet::of(RingFeature::version_1), .queue_sizes = {64}, .layout = QueueLayout::contiguous}};
    REQUIRE(legacy.start());
    CHECK(legacy.device.accepted.empty());
}
