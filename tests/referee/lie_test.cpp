// Each lie is told once, at its moment, and does to the ring what it says; a driver that checks everything notices.
#include <doctest/doctest.h>

#include <array>
#include <string_view>

#include "tests/referee/referee.hpp"
#include "tests/referee/toy_table.hpp"

using namespace referee;
using toy::Table;

namespace {

constexpr std::array<std::uint64_t, 4> kRings{0, feature::kEventIdx | feature::kIndirectDesc, feature::kRingPacked,
                                              feature::kRingPacked | feature::kEventIdx | feature::kIndirectDesc};

/// What the driver found after `total` buffers with this lie at the third completion.
std::string_view found(std::uint64_t features, const Lie& lie, std::uint64_t total = 20) {
    Table table{features, {.seed = 3, .lies = {lie}}};
    static_cast<void>(table.run(total));
    CHECK(table.queue.counters().lies >= 1);
    return table.ring.fault() == nullptr ? std::string_view{} : table.ring.fault();
}

} // namespace

TEST_CASE("a used entry that names the wrong buffer") {
    for (const std::uint64_t features : kRings) {
        CAPTURE(features);
        CHECK(found(features, {.kind = LieKind::id_out_of_range, .when = 3}) == "id out of range");
        CHECK(found(features, {.kind = LieKind::id_out_of_range, .when = 3, .value = 0xffff}) == "id out of range");
        CHECK(found(features, {.kind = LieKind::id_not_in_flight, .when = 3}) == "id not in flight");
    }
    CHECK(found(0, {.kind = LieKind::id_out_of_range, .when = 3, .value = 0x1'0000}) == "id out of range");
    // The buffer before was returned already, unless the driver lent its id once more.
    Table table{0, {.lies = {{.kind = LieKind::double_completion, .when = 1}}}};
    for (int i = 0; i < 2; ++i) table.submit();
    table.kick();
    table.queue.step();
    table.reap();
    CHECK(table.ring.fault() == std::string_view{"id not in flight"});
}

TEST_CASE("a length beyond what was lent") {
    for (const std::uint64_t features : kRings) {
        CHECK(found(features, {.kind = LieKind::length_too_long, .when = 3}) == "length too long");
        CHECK(found(features, {.kind = LieKind::length_too_long, .when = 3, .value = 100}) == "length too long");
        CHECK(found(features, {.kind = LieKind::length_huge, .when = 3}) == "length too long");
    }
}

TEST_CASE("indices and wrap counters that jump") {
    CHECK(found(0, {.kind = LieKind::index_forward, .when = 3}) == "index jumped");
    CHECK(found(0, {.kind = LieKind::index_forward, .when = 3, .value = 32768}) == "index jumped");
    CHECK(found(0, {.kind = LieKind::index_backward, .when = 3, .value = 8}) == "index jumped");
    // A packed ring has no index: more slots look used, with ids that nobody lent.
    Table table{feature::kRingPacked, {.lies = {{.kind = LieKind::index_forward, .when = 0, .value = 2}}}};
    for (int i = 0; i < 4; ++i) table.submit();
    table.kick();
    table.queue.step();
    table.reap();
    CHECK(table.ring.fault() != nullptr);
    // The wrong wrap counter looks like nothing at all, until the right one comes.
    for (const std::uint64_t value : {0u, 1u}) {
        Table wrong{feature::kRingPacked, {.lies = {{.kind = LieKind::wrong_wrap, .when = 0, .value = value}}}};
        wrong.submit();
        wrong.kick();
        wrong.queue.step();
        CHECK(wrong.reap() == 0);
        wrong.queue.step();
        CHECK(wrong.reap() == 1);
        CHECK(wrong.ring.fault() == nullptr);
    }
}

TEST_CASE("lies that a careful driver does not even notice, and for which it is not blamed") {
    for (const std::uint64_t features : kRings)
        for (const LieKind kind : {LieKind::rewritten_descriptors, LieKind::spurious_interrupt, LieKind::event_garbage}) {
            CAPTURE(name(kind));
            Table table{features, {.seed = 3, .lies = {{.kind = kind, .when = 3, .times = 4}}}};
            CHECK(table.run(60));
            CHECK(table.queue.counters().lies == 4);
            CHECK(table.verdict("RESET-005 PACKED-002 PACKED-003").clean());
            if (kind == LieKind::spurious_interrupt) CHECK(table.verdict().of("NOTIF-005") == Value::held);
        }
}

TEST_CASE("a different value on every read") {
    Table table{0, {.lies = {{.kind = LieKind::changing_reads, .when = 0}}}};
    CHECK(table.queue.answer(5) == 5);
    table.submit();
    table.kick();
    table.queue.step();
    const std::uint64_t first = table.queue.answer(5);
    const std::uint64_t second = table.queue.answer(5);
    CHECK(first != 5);
    CHECK(first != second);
    table.queue.reset();
    CHECK(table.queue.answer(5) == 5);
}

TEST_CASE("a lie can be ordered between steps") {
    Table table{0, {}};
    CHECK(table.run(5));
    table.queue.lie({.kind = LieKind::id_out_of_range, .when = 5});
    CHECK_FALSE(table.run(10));
    CHECK(table.ring.fault() == std::string_view{"id out of range"});
}
