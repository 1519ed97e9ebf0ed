#include <doctest/doctest.h>

#include "libvirtio/feature.hpp"
#include "libvirtio/status.hpp"

using namespace virtio;

TEST_CASE("feature set: every one of 128 bits on its own (trap 13)") {
    for (unsigned bit = 0; bit < 128; ++bit) {
        FeatureSet set;
        set.insert(bit);
        for (unsigned other = 0; other < 128; ++other) CHECK(set.has(other) == (other == bit));
        CHECK(set.word(bit / 32) == 1u << (bit % 32));
        set.erase(bit);
        CHECK(set.empty());
    }
    FeatureSet set;
    set.insert(128u);
    CHECK(set.empty());
    CHECK_FALSE(set.has(500u));
    CHECK(set.word(4) == 0);
}

TEST_CASE("negotiation accepts only what is offered and implemented (trap 12)") {
    FeatureSet offered;
    for (unsigned word = 0; word < 4; ++word) offered.set_word(word, 0xffff'ffff);
    const Policy policy{.required = FeatureSet::of(RingFeature::version_1), .wanted = FeatureSet::of(5, 70)};
    const auto chosen = negotiate(offered, policy, {});
    REQUIRE(chosen);
    CHECK(*chosen == FeatureSet::of(5, 32, 70));
    CHECK_FALSE(chosen->has(RingFeature::in_order));
    CHECK_FALSE(chosen->has(RingFeature::ring_packed));
}

TEST_CASE("negotiation names the bit that is missing (trap 25)") {
    const Policy policy{.required = FeatureSet::of(RingFeature::version_1), .wanted = {}};
    const auto chosen = negotiate(FeatureSet::of(5), policy, {});
    REQUIRE_FALSE(chosen);
    CHECK(chosen.error().error == Error::feature_missing);
    CHECK(chosen.error().bit == 32);
    CHECK(std::string_view{feature_name(32, {})} == "VERSION_1");
}

TEST_CASE("negotiation drops what depends on a bit that is not there, in any order of the table (B34)") {
    const std::array<Dependency, 3> rules{Dependency{10, 11}, Dependency{11, 12}, Dependency{13, 14, 15}};
    const Policy policy{.required = {}, .wanted = FeatureSet::of(10, 11, 12, 13, 14, 15)};
    CHECK(*negotiate(FeatureSet::of(10, 11), policy, rules) == FeatureSet{});
    CHECK(*negotiate(FeatureSet::of(10, 11, 12), policy, rules) == FeatureSet::of(10, 11, 12));
    CHECK(*negotiate(FeatureSet::of(13), policy, rules) == FeatureSet{});
    CHECK(*negotiate(FeatureSet::of(13, 15), policy, rules) == FeatureSet::of(13, 15));

    const Policy strict{.required = FeatureSet::of(10), .wanted = FeatureSet::of(11)};
    const auto refused = negotiate(FeatureSet::of(10, 11), strict, rules);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().error == Error::feature_dependency);
    CHECK(refused.error().bit == 10);
}

TEST_CASE("every subset of offered bits yields a subset that obeys the table (B34)") {
    const std::array<Dependency, 4> rules{Dependency{0, 1}, Dependency{1, 2}, Dependency{3, 0, 2}, Dependency{4, 3}};
    const Policy policy{.required = {}, .wanted = FeatureSet::of(0, 1, 2, 3, 4)};
    for (unsigned offered = 0; offered < 32; ++offered) {
        FeatureSet set;
        set.set_word(0, offered);
        const auto chosen = negotiate(set, policy, rules);
        REQUIRE(chosen);
        CHECK((chosen->word(0) & ~offered) == 0);
        for (const Dependency& rule : rules) {
            const bool held = chosen->has(rule.needs) || (rule.or_needs != 0xff && chosen->has(rule.or_needs));
            if (chosen->has(rule.feature)) CHECK(held);
        }
    }
}

TEST_CASE("status moves only along the specification's order") {
    const std::array<std::uint8_t, 4> order{status::kAcknowledge, status::kDriver, status::kFeaturesOk, status::kDriverOk};
    for (std::size_t done = 0; done <= 4; ++done) {
        for (std::size_t next = 0; next < 4; ++next) {
            DeviceStatus machine;
            for (std::size_t i = 0; i < done; ++i) REQUIRE(machine.advance(order[i]));
            CHECK(machine.advance(order[next]).has_value() == (next == done));
        }
    }
    DeviceStatus machine;
    CHECK(machine.advance(status::kAcknowledge));
    CHECK_FALSE(machine.live());
    CHECK(*machine.advance(status::kFailed) == (status::kAcknowledge | status::kFailed));
    CHECK_FALSE(machine.advance(status::kNeedsReset));
}

TEST_CASE("feature set: bits and words beyond it touch nothing else") {
    struct Guarded {
        FeatureSet set;
        std::array<std::uint32_t, 16> after;
    } guarded{};
    static_assert(sizeof(FeatureSet) == 16);
    guarded.after.fill(0xffff'ffff);
    CHECK_FALSE(guarded.set.has(128u));
    CHECK(guarded.set.word(4) == 0);
    CHECK(guarded.set.word(7) == 0);
    guarded.after.fill(0);
    guarded.set.insert(130u);
    guarded.set.set_word(5, 7);
    for (const std::uint32_t word : guarded.after) CHECK(word == 0);
    guarded.after.fill(0xffff'ffff);
    guarded.set.erase(130u);
    for (const std::uint32_t word : guarded.after) CHECK(word == 0xffff'ffff);
    CHECK(guarded.set.empty());
}
