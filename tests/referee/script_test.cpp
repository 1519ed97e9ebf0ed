// Scripts: their text form, what they make the device do, and that a seed replays a run.
#include <doctest/doctest.h>

#include <cstdlib>

#include "tests/referee/referee.hpp"
#include "tests/referee/toy_table.hpp"

using namespace referee;
using toy::Table;

TEST_CASE("a script is the same after being written and read") {
    const Script full{
        .seed = 0xffff'ffff'ffff'ffff,
        .order = Order::batches,
        .delay = 3,
        .budget = 4,
        .batch = 5,
        .length = Length::half,
        .withhold = 6,
        .notify = Notify::ahead,
        .ahead = 7,
        .junk_events = true,
        .deaf = true,
        .spurious = 8,
        .lose_interrupts = 9,
        .eager = true,
        .patient = true,
        .status_reads = 10,
        .queue_reset_reads = Script::kNever,
        .longest_chain = 11,
        .excessive = 12,
        .threaded = true,
        .lies = {{.kind = LieKind::double_completion, .when = 3}, {.kind = LieKind::index_forward, .when = 4, .value = 5, .times = 6}}};
    for (const Script& script : {Script{}, Script{.seed = 9, .order = Order::random}, full}) {
        const auto again = Script::parse(script.text());
        REQUIRE(again);
        CHECK(*again == script);
    }
    CHECK(Script{.seed = 7, .order = Order::random}.text() == "seed=7 order=random");
    CHECK(full.text().ends_with("lie=double_completion@3 lie=index_forward@4:5x6"));
}

TEST_CASE("a script that makes no sense names the word") {
    for (const char* text : {"seed", "seed=x", "order=sideways", "delay=-1", "delay=4294967296", "junk_events=2", "colour=red", "lie=none",
                             "lie=what@3", "lie=index_forward@x", "lie=index_forward@1:y", "lie=index_forward@1xz"}) {
        const auto script = Script::parse(text);
        CAPTURE(text);
        REQUIRE_FALSE(script);
        CHECK(script.error().find(text) != std::string::npos);
    }
}

TEST_CASE("the environment replaces a script, and a machine's seed") {
    setenv("RINGSIDE_REFEREE", "seed=99 order=reversed", 1); // NOLINT(concurrency-mt-unsafe): one thread
    const auto replaced = Script{.seed = 1}.or_environment();
    Machine machine{{.memory = 1 << 16, .seed = 1}};
    machine.add_mmio(0x1000, Echo{});
    setenv("RINGSIDE_REFEREE", "seed=", 1); // NOLINT(concurrency-mt-unsafe)
    const auto bad = Script{}.or_environment();
    unsetenv("RINGSIDE_REFEREE"); // NOLINT(concurrency-mt-unsafe)
    REQUIRE(replaced);
    CHECK(*replaced == Script{.seed = 99, .order = Order::reversed});
    CHECK(machine.verdict().replay == "seed=99 order=reversed");
    CHECK_FALSE(bad);
    CHECK(*Script{.seed = 5}.or_environment() == Script{.seed = 5});
}

TEST_CASE("the same seed is the same run, another seed is another") {
    const auto history = [](std::uint64_t seed, std::uint64_t features) {
        Table table{features,
                    {.seed = seed, .order = Order::random, .delay = 1, .length = Length::random, .notify = Notify::random, .spurious = 3}};
        REQUIRE(table.run(200));
        std::string text;
        for (const std::string& line : table.judge.log().last(Log::kKept)) text += line + "\n";
        return text + std::to_string(table.interrupts);
    };
    for (const std::uint64_t features : {feature::kEventIdx, feature::kRingPacked | feature::kIndirectDesc}) {
        CHECK(history(7, features) == history(7, features));
        CHECK(history(7, features) != history(8, features));
    }
}

TEST_CASE("late, partly, never") {
    for (const std::uint64_t features : {std::uint64_t{0}, feature::kRingPacked}) {
        Table late{features, {.delay = 4}};
        late.submit();
        late.kick();
        CHECK(late.queue.step() == 0);
        for (int i = 0; i < 3; ++i) CHECK(late.queue.step() == 0);
        CHECK(late.queue.step() == 1);
        CHECK(late.reap() == 1);

        Table slow{features, {.budget = 1}};
        while (slow.submit()) {
        }
        slow.kick();
        const std::size_t sent = slow.sent.size();
        for (std::size_t i = 0; i < sent; ++i) CHECK(slow.queue.step() == 1);
        CHECK(slow.reap() == sent);

        Table never{features, {.withhold = 1}};
        never.submit();
        never.kick();
        for (int i = 0; i < 100; ++i) CHECK(never.queue.step() == 0);
        CHECK(never.queue.in_flight() == 1);

        Table partly{features, {.length = Length::half}};
        const std::uint64_t data = partly.memory.allocate(64);
        partly.ring.add({{data, 64, true}});
        partly.kick();
        partly.queue.step();
        const auto back = partly.ring.take();
        REQUIRE(back);
        CHECK(back->length == 32);
    }
}

TEST_CASE("order: first to last, last to first, shuffled, and several by one entry") {
    for (const std::uint64_t ring : {std::uint64_t{0}, feature::kRingPacked}) {
        const auto order = [ring](Order wanted, std::uint64_t features = 0) {
            Table table{ring | features, {.seed = 5, .order = wanted, .batch = 8}};
            std::vector<std::uint64_t> numbers;
            const std::uint64_t data = table.memory.allocate(8);
            for (int i = 0; i < 8; ++i) table.ring.add({{data, 8, true}});
            table.kick();
            table.queue.step();
            while (const auto back = table.ring.take()) numbers.push_back(back->number);
            return std::pair{numbers, table.queue.counters().entries};
        };
        const std::vector<std::uint64_t> up{0, 1, 2, 3, 4, 5, 6, 7};
        const std::vector<std::uint64_t> down{7, 6, 5, 4, 3, 2, 1, 0};
        CHECK(order(Order::in_order) == std::pair{up, std::uint64_t{8}});
        CHECK(order(Order::reversed).first == down);
        const auto shuffled = order(Order::random).first;
        CHECK(shuffled.size() == 8);
        CHECK(shuffled != up);
        CHECK(order(Order::batches) == std::pair{up, std::uint64_t{8}});
        const auto batched = order(Order::batches, feature::kInOrder);
        CHECK(batched.first == up);
        CHECK(batched.second < 8);
        CHECK(order(Order::random, feature::kInOrder).first == up); // what was negotiated comes first
    }
}

TEST_CASE("interrupts: asked for, not asked for, lost, for nothing") {
    for (const std::uint64_t features :
         {std::uint64_t{0}, feature::kEventIdx, feature::kRingPacked, feature::kRingPacked | feature::kEventIdx}) {
        CAPTURE(features);
        const auto once = [features](const Script& script, bool armed) {
            Table table{features, script};
            table.submit(); // what is used while the driver is armed, and then one more
            table.kick();
            table.queue.step();
            table.reap();
            if (armed)
                static_cast<void>(table.ring.arm());
            else
                table.ring.suppress();
            table.interrupts = 0;
            table.submit();
            table.kick();
            table.queue.step();
            return table.interrupts;
        };
        CHECK(once({}, true) == 1);
        CHECK(once({}, false) == 0);
        CHECK(once({.deaf = true}, false) == 1);
        CHECK(once({.lose_interrupts = 1}, true) == 0);
        CHECK(once({.spurious = 1}, false) == 1);
        CHECK(once({.spurious = 1}, true) == 2);
    }
}
