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

TEST_CASE("a driver that writes junk is judged, and does the referee no harm") {
    std::uint64_t used = 0;
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        Random random{seed};
        const bool packed = random.one_in(2);
        const std::uint64_t features =
            random.next() & (feature::kIndirectDesc | feature::kEventIdx | feature::kInOrder | feature::kNotificationData);
        const auto size = static_cast<std::uint16_t>(packed ? 1 + random.below(9) : 1u << random.below(4));
        Table table{features | (packed ? feature::kRingPacked : 0), {.seed = seed, .order = Order::random, .notify = Notify::random}, size};
        REQUIRE(table.enabled);
        const QueueSetup setup = table.ring.setup();
        const auto poke = [&](std::uint64_t guest, std::uint64_t value, unsigned bytes) {
            std::byte* const at = table.memory.at(guest, bytes);
            for (unsigned i = 0; i < bytes; ++i) at[i] = static_cast<std::byte>(value >> (8 * i));
        };
        for (int round = 0; round < 60; ++round) {
            for (int i = 0; i < 6; ++i) {
                const std::uint64_t descriptor = setup.descriptors + 16 * random.below(size);
                // Mostly inside of memory, so that some of it makes sense.
                poke(descriptor, random.one_in(8) ? random.next() : table.memory.address() + random.below(table.memory.size()), 8);
                poke(descriptor + 8, random.one_in(8) ? random.next() : 16 * random.below(8), 4);
                poke(descriptor + 12, random.one_in(8) ? random.next() : random.below(packed ? size : 8), 2);
                const std::uint64_t wrap = packed && !random.one_in(8) ? (random.one_in(2) ? desc::kAvail : desc::kUsed) : 0;
                poke(descriptor + 14, random.one_in(8) ? random.next() : packed ? wrap | random.below(8) : random.below(size), 2);
            }
            if (packed) {
                poke(setup.driver, random.next(), 4);
            } else {
                poke(setup.driver + 4 + 2 * random.below(size), random.below(size + 1u), 2);
                const std::uint16_t index = load16(table.memory.at(setup.driver + 2, 2));
                poke(setup.driver + 2, random.one_in(16) ? random.next() : index + random.below(3), 2);
                poke(setup.driver, random.one_in(4) ? random.next() : 0, 2);
            }
            if (random.one_in(2)) table.queue.notify(static_cast<std::uint32_t>(random.next()));
            if (random.one_in(8)) table.queue.observe();
            table.queue.step();
            if (random.one_in(64)) {
                table.queue.request_reset();
                table.queue.memory_released(setup.driver, 6);
                while (table.queue.reset_pending()) {
                }
                static_cast<void>(table.queue.enable(setup));
            }
        }
        used += table.queue.counters().used;
        CHECK_FALSE(table.verdict().clean());
    }
    CHECK(used > 300); // it was not all refused
}

TEST_CASE("a ring that cannot be walked is refused, and why is a violation") {
    const auto refused = [](std::uint64_t features, const auto& spoil) {
        Memory memory{{.size = 1 << 16}};
        Judge judge;
        const toy::Ring ring{memory, 8, features};
        Queue queue{memory, judge};
        QueueSetup setup = ring.setup();
        spoil(setup);
        CHECK_FALSE(queue.enable(setup));
        CHECK_FALSE(queue.enabled());
        CHECK(queue.step() == 0);
        queue.notify(0);
        queue.reset();
        return judge.verdict().violations.empty() ? std::string_view{} : judge.verdict().violations[0].id;
    };
    CHECK(refused(0, [](QueueSetup& setup) { setup.size = 6; }) == "MMIO-016");
    CHECK(refused(0, [](QueueSetup& setup) { setup.size = 0; }) == "MMIO-016");
    CHECK(refused(0, [](QueueSetup& setup) { setup.size = 65536; }) == "MMIO-016");
    CHECK(refused(0, [](QueueSetup& setup) { setup.descriptors += 8; }) == "SPLIT-001");
    CHECK(refused(0, [](QueueSetup& setup) { setup.driver += 1; }) == "SPLIT-001");
    CHECK(refused(0, [](QueueSetup& setup) { setup.device += 2; }) == "SPLIT-001");
    CHECK(refused(0, [](QueueSetup& setup) { setup.device = 0x10; }) == "FEAT-018");
    CHECK(refused(0, [](QueueSetup& setup) { setup.descriptors = ~std::uint64_t{15}; }) == "FEAT-018");
    CHECK(refused(feature::kRingPacked, [](QueueSetup& setup) { setup.size = 32769; }) == "MMIO-016");
    CHECK(refused(feature::kRingPacked, [](QueueSetup& setup) { setup.driver += 2; }) == "PACKED-001");
    CHECK(refused(feature::kRingPacked, [](QueueSetup& setup) { setup.driver = 0x10; }) == "FEAT-018");
}

TEST_CASE("a patient device does nothing without the notification that it asked for; one that polls needs none") {
    for (const std::uint64_t features :
         {std::uint64_t{0}, feature::kEventIdx, feature::kRingPacked, feature::kRingPacked | feature::kEventIdx}) {
        CAPTURE(features);
        Table patient{features, {.patient = true}};
        patient.queue.step();
        patient.submit();
        patient.ring.publish();
        for (int i = 0; i < 5; ++i) CHECK(patient.queue.step() == 0);
        CHECK_FALSE(patient.verdict().lawful());
        patient.queue.notify(0);
        CHECK(patient.queue.step() == 1);

        Table polling{features, {.notify = Notify::never, .patient = true}};
        polling.queue.step();
        polling.submit();
        polling.kick();
        CHECK(polling.queue.counters().kicks == 0);
        CHECK(polling.queue.step() == 1);
        CHECK_MESSAGE(polling.verdict().clean(), polling.verdict().text());
    }
}

TEST_CASE("by hand: take, use out of order, several by one entry, and when to be notified") {
    for (const std::uint64_t ring : {std::uint64_t{0}, feature::kRingPacked}) {
        Table table{ring | feature::kEventIdx | feature::kInOrder, {.budget = 0}};
        for (int i = 0; i < 3; ++i) REQUIRE(table.submit());
        table.kick();
        CHECK(table.queue.step() == 0);
        CHECK(table.queue.in_flight() == 0); // not even taken
        std::array<Chain*, 3> chains{};
        for (Chain*& chain : chains) {
            chain = table.queue.take();
            REQUIRE(chain != nullptr);
            echo(*chain);
        }
        CHECK(table.queue.take() == nullptr);
        CHECK(table.queue.in_flight() == 3);
        table.interrupts = 0;
        static_cast<void>(table.ring.arm());
        table.queue.use_up_to(*chains[1], static_cast<std::uint32_t>(chains[1]->writable_bytes()));
        CHECK(table.interrupts == 0);
        table.queue.interrupt_if_wanted();
        CHECK(table.interrupts == 1);
        CHECK(table.queue.counters().entries == 1);
        CHECK(table.reap() == 2);
        table.queue.use(*chains[2], 0);
        CHECK(table.reap() == 1);
        CHECK(table.intact);
        // Nothing, then the second buffer from now.
        table.queue.ask(Notify::never);
        REQUIRE(table.submit());
        table.ring.publish();
        CHECK_FALSE(table.ring.needs_kick());
        table.queue.ask(Notify::ahead, ring == 0 ? 1 : 2);
        REQUIRE(table.ring.add({{table.memory.allocate(8), 8, true}, {table.memory.allocate(8), 8, true}}));
        table.ring.publish();
        CHECK_FALSE(table.ring.needs_kick());
        REQUIRE(table.ring.add({{table.memory.allocate(8), 8, true}}));
        table.ring.publish();
        CHECK(table.ring.needs_kick());
        table.queue.notify(0);
        table.queue.interrupt_anyway();
        CHECK(table.interrupts == 2);
        CHECK_MESSAGE(table.verdict().clean(), table.verdict().text());
    }
}
