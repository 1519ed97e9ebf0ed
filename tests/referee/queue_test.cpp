// The walker, the verdicts and the scripts, with a driver that keeps the rules on both ring kinds.
#include <doctest/doctest.h>

#include <array>
#include <initializer_list>

#include "tests/referee/referee.hpp"
#include "tests/referee/toy_table.hpp"

using namespace referee;
using toy::described;
using toy::Table;

namespace {

constexpr std::array<std::uint64_t, 8> kFeatureSets{
    0,
    feature::kIndirectDesc,
    feature::kEventIdx,
    feature::kIndirectDesc | feature::kEventIdx,
    feature::kInOrder,
    feature::kInOrder | feature::kIndirectDesc | feature::kEventIdx,
    feature::kNotificationData | feature::kEventIdx,
    feature::kNotificationData | feature::kInOrder | feature::kIndirectDesc,
};

} // namespace

TEST_CASE("a driver that keeps the rules is clean under every script that keeps them") {
    for (const std::uint64_t ring : {std::uint64_t{0}, feature::kRingPacked})
        for (const std::uint64_t set : kFeatureSets)
            for (const Order order : {Order::in_order, Order::reversed, Order::random, Order::batches})
                for (const Notify notify : {Notify::always, Notify::never, Notify::busy, Notify::ahead, Notify::random}) {
                    const std::uint64_t features = ring | set | feature::kVersion1;
                    const Script script{.seed = 7,
                                        .order = order,
                                        .delay = order == Order::random ? 2u : 0u,
                                        .notify = notify,
                                        .ahead = 2,
                                        .junk_events = notify == Notify::random};
                    CAPTURE(described(features, script));
                    Table table{features, script};
                    REQUIRE(table.run(300));
                    const Verdict verdict = table.verdict();
                    CHECK_MESSAGE(verdict.clean(), verdict.text());
                    CHECK(table.queue.counters().used == 300);
                    CHECK(table.sent.empty());
                }
}

TEST_CASE("indices, slots and wrap counters go round: queue sizes, starts near the wrap, 70,000 buffers") {
    for (const std::uint16_t size : std::initializer_list<std::uint16_t>{1, 2, 4, 256})
        for (const std::uint16_t first : std::initializer_list<std::uint16_t>{0, 65530}) {
            const Script script{.seed = 3, .order = Order::random};
            Table table{feature::kEventIdx | feature::kIndirectDesc, script, size, first};
            table.indirect = true;
            REQUIRE(table.run(size == 4 ? 70'000 : 500));
            CHECK_MESSAGE(table.verdict().clean(), table.verdict().text());
        }
    for (const std::uint16_t size : std::initializer_list<std::uint16_t>{1, 2, 3, 5, 8, 100})
        for (const std::uint16_t first : std::initializer_list<std::uint16_t>{0, 0x8000}) {
            Table table{
                feature::kRingPacked | feature::kEventIdx | feature::kIndirectDesc, {.seed = 3, .order = Order::random}, size, first};
            REQUIRE(table.run(size == 3 ? 70'000 : 500));
            CHECK_MESSAGE(table.verdict().clean(), table.verdict().text());
        }
}
