// Clauses of what comes back: used lengths, used notifications that are armed too late, lists and batches used by one entry.
#include "tests/conformance/clause_check.hpp"

#include <cstring>

using namespace conformance;

namespace {

constexpr auto kYes = Where::Need::yes, kNo = Where::Need::no;
constexpr std::byte kTrue{0x11}, kPoison{0xee};

/// The device uses a buffer of 100 bytes: `told` bytes of data, poison behind them.
void use_with_poison(referee::Queue& device, std::uint32_t told) {
    referee::Chain* chain = device.take();
    REQUIRE(chain != nullptr);
    std::byte bytes[100];
    std::memset(bytes, static_cast<int>(kPoison), sizeof bytes);
    std::memset(bytes, static_cast<int>(kTrue), told);
    chain->write(0, bytes, sizeof bytes);
    device.use(*chain, told);
}

/// What came of `length` bytes that the driver hands up, of which `told` are the device's word.
void tell(referee::Judge& judge, const char* clause, std::uint32_t length, std::uint32_t told) {
    judge.tell(clause, length <= told ? referee::Value::held : referee::Value::violated,
               std::to_string(length) + " bytes were handed up, the device had written " + std::to_string(told));
}

/// libvirtio's request says how much of the buffer may be believed.
void check_lengths(const char* clause) {
    for (const Combination& it : combinations(kBoth)) {
        INFO(it.name());
        for (const std::uint32_t told : {0u, 1u, 37u, 99u, 100u}) {
            OurRing ring{it, {.budget = 0}};
            const std::uint64_t memory = ring.memory.allocate(100);
            const virtio::Segment segment{{memory}, 100};
            virtio::Request request;
            REQUIRE(ring.queue.add({}, {&segment, 1}, request));
            ring.kick();
            use_with_poison(ring.device, told);
            CHECK(ring.queue.poll(1) == 1);
            CHECK(request.length == told);
            const std::byte* data = ring.memory.at(memory, 100);
            for (std::uint32_t i = 0; i < request.length; ++i) CHECK(data[i] == kTrue);
            if (it.packed) continue; // the clause's text stands with the split ring
            tell(ring.judge, clause, request.length, told);
            CHECK(ring.judge.verdict().of(clause) == referee::Value::held);
        }
    }
}

void check_lengths_twin(const char* clause) {
    for (const Combination& it : combinations(kSplit)) {
        INFO(it.name());
        for (const Fault fault : {Fault::none, Fault::length_ignored}) {
            ScriptedRing ring{it, fault, {.budget = 0}};
            ring.driver->misbehave();
            ring.add({{}, {100}}, scripted::Shape::direct);
            ring.driver->publish();
            ring.driver->kick();
            use_with_poison(ring.device, 37);
            const std::vector<scripted::Done> done = ring.driver->reap();
            REQUIRE(done.size() == 1);
            tell(ring.judge, clause, done[0].length, 37);
            CHECK(joined(violated(ring.judge.verdict())) == (fault == Fault::none ? "" : std::string(clause) + "\n"));
        }
    }
}

/// The device uses the last buffers when the driver has just found nothing, or exactly when it arms, and its notification is lost: the
/// driver must find them itself.
void used_while_arming(OurRing& ring) {
    using enum virtio::SharedWord;
    for (unsigned round = 0; round < 40; ++round) {
        ring.queue.suppress_interrupts();
        REQUIRE(ring.add({{64}, {64}}));
        REQUIRE(ring.add({{64, 64}, {}}));
        ring.kick();
        bool used = false;
        const auto use = [&] {
            if (!used) ring.step();
            used = true;
        };
        ring.on_load = [&](virtio::SharedWord role) {
            if (round % 2 == 0 && (role == used_index || role == packed_flags)) use();
        };
        CHECK(ring.queue.poll(8) == 0);
        ring.on_load = nullptr;
        CHECK(used == (round % 2 == 0));
        ring.on_store = [&](virtio::SharedWord role) {
            if (role == available_flags || role == used_event || role == driver_event) use();
        };
        const bool found = ring.queue.arm_interrupts();
        ring.on_store = nullptr;
        CHECK(used);
        CHECK(found);
        while (ring.queue.poll(8) != 0) {
        }
        CHECK(ring.in_flight() == 0);
        ring.interrupted = false;
    }
}

/// Every buffer of the scripted driver comes back, or with the fault some never do.
void check_lost(const Where& where, Fault fault, const referee::Script& script) {
    for (const Combination& it : combinations(where)) {
        INFO(it.name());
        for (const Fault what : {Fault::none, fault}) {
            ScriptedRing ring{it, what, script};
            ring.traffic(6);
            ring.driver->misbehave();
            ring.traffic(12);
            ring.drain();
            CHECK((ring.driver->in_flight() == 0) == (what == Fault::none));
        }
    }
}

} // namespace

TEST_CASE("SPLIT-011 nothing is assumed of what lies beyond the used length") { check_lengths("SPLIT-011"); }
TEST_CASE("SPLIT-011 twin") { check_lengths_twin("SPLIT-011"); }
TEST_CASE("SPLIT-012 what lies beyond the used length is ignored") { check_lengths("SPLIT-012"); }
TEST_CASE("SPLIT-012 twin") { check_lengths_twin("SPLIT-012"); }

TEST_CASE("SPLIT-015 after arming the driver looks again") { check_kept("SPLIT-015", kSplit, {}, used_while_arming); }
TEST_CASE("PACKED-016 after arming the driver looks again") { check_kept("PACKED-016", kPacked, {}, used_while_arming); }

TEST_CASE("X-PACKED-SKIP lists of any length are used in any order") {
    for (const Combination& it : combinations({.packed = kYes, .in_order = kNo})) {
        INFO(it.name());
        OurRing ring{it, {.seed = 9, .order = referee::Order::random, .delay = 2, .budget = 2}};
        ring.traffic(300);
        CHECK_MESSAGE(ring.mistakes.empty(), joined(ring.mistakes));
        CHECK(ring.completed == 300);
        CHECK(ring.judge.verdict().clean());
    }
}
TEST_CASE("X-PACKED-SKIP twin") { check_lost({.packed = kYes, .in_order = kNo}, Fault::skip_one, {.order = referee::Order::random}); }

TEST_CASE("X-ORDER-BATCH one used entry returns a batch") {
    for (const Combination& it : combinations({.in_order = kYes})) {
        INFO(it.name());
        OurRing ring{it, {.seed = 10, .order = referee::Order::batches, .delay = 2}};
        ring.traffic(300);
        CHECK_MESSAGE(ring.mistakes.empty(), joined(ring.mistakes));
        CHECK(ring.completed == 300);
        CHECK(ring.device.counters().entries < ring.device.counters().used);
        CHECK(ring.judge.verdict().clean());
    }
}
TEST_CASE("X-ORDER-BATCH twin") {
    check_lost({.in_order = kYes}, Fault::batch_oldest_only, {.order = referee::Order::batches, .delay = 2});
}
