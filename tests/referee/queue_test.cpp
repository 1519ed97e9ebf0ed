// The walker, the verdicts and the scripts, with a driver that keeps the rules on both ring kinds.
#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <set>

#include "tests/referee/referee.hpp"
#include "tests/referee/toy_ring.hpp"

using namespace referee;

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

/// One driver at one queue, with buffers whose contents are checked.
struct Table {
    Table(std::uint64_t features, const Script& script, std::uint16_t size = 8, std::uint16_t first = 0)
        : ring(memory, size, features, first), queue(memory, judge, script), random(script.seed + 1),
          indirect(features & feature::kIndirectDesc) {
        queue.on_interrupt([](void* self) { ++static_cast<Table*>(self)->interrupts; }, this);
        REQUIRE(queue.enable(ring.setup()));
    }

    /// One readable and one writable part of some length.
    bool submit() {
        const auto length = static_cast<std::uint32_t>(1 + random.below(64));
        const std::uint64_t data = memory.allocate(2 * length);
        if (data == 0) return false;
        std::vector<toy::Part> parts{{data, length, false}, {data + length, length, true}};
        // A queue of one takes one.
        if (random.one_in(3) || ring.setup().size == 1) parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(random.below(2)));
        std::memset(memory.at(data, length), static_cast<int>(random.below(256)), length);
        const auto number = ring.add(parts, indirect && random.one_in(2));
        if (!number) {
            memory.release(data);
            return false;
        }
        sent[*number] = {data, length, parts.size() == 2};
        return true;
    }
    void kick() {
        ring.publish();
        if (ring.needs_kick()) queue.notify(ring.kick_value());
    }
    unsigned reap() {
        unsigned count = 0;
        while (const auto back = ring.take()) {
            const auto found = sent.find(back->number);
            REQUIRE(found != sent.end());
            const auto [data, length, both] = found->second;
            CHECK(back->length <= length);
            // An echo: what was written is what was sent.
            if (both) CHECK(std::memcmp(memory.at(data, length), memory.at(data + length, length), back->length) == 0);
            memory.release(data);
            sent.erase(found);
            ++count;
            ++done;
        }
        return count;
    }
    /// `total` buffers through the ring, in batches of random size; false: the device stopped.
    bool run(std::uint64_t total) {
        std::uint64_t submitted = 0;
        unsigned idle = 0;
        while (done < total && ring.fault() == nullptr) {
            ring.suppress();
            for (auto batch = random.below(5); batch != 0 && submitted < total; --batch) {
                if (!submit()) break;
                ++submitted;
            }
            kick();
            idle = reap() != 0 ? 0 : idle + 1;
            if (idle > 1000) return false;
            if (!ring.arm()) queue.step();
        }
        return ring.fault() == nullptr;
    }

    struct Sent {
        std::uint64_t data;
        std::uint32_t length;
        bool both;
    };
    Memory memory{{.size = 1 << 20}};
    Judge judge;
    toy::Ring ring;
    Queue queue;
    Random random;
    bool indirect;
    std::map<std::uint64_t, Sent> sent;
    std::uint64_t done = 0;
    unsigned interrupts = 0;
};

std::string described(std::uint64_t features, const Script& script) {
    char text[32];
    std::snprintf(text, sizeof text, "features 0x%llx ", static_cast<unsigned long long>(features));
    return text + script.text();
}

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
                    const Verdict verdict = table.judge.verdict();
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
            CHECK_MESSAGE(table.judge.verdict().clean(), table.judge.verdict().text());
        }
    for (const std::uint16_t size : std::initializer_list<std::uint16_t>{1, 2, 3, 5, 8, 100})
        for (const std::uint16_t first : std::initializer_list<std::uint16_t>{0, 0x8000}) {
            Table table{
                feature::kRingPacked | feature::kEventIdx | feature::kIndirectDesc, {.seed = 3, .order = Order::random}, size, first};
            REQUIRE(table.run(size == 3 ? 70'000 : 500));
            CHECK_MESSAGE(table.judge.verdict().clean(), table.judge.verdict().text());
        }
}
