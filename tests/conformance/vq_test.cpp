// Clauses that both kinds of ring share: message framing, and the referee's rules without a keyword that concern both.
#include "tests/conformance/clause_check.hpp"

using namespace conformance;

TEST_CASE("VQ-001 readable parts come before writable ones") { check_kept("VQ-001", kBoth); }
TEST_CASE("VQ-001 twin: split") { check_twin({"VQ-001"}, kSplit, Fault::writable_first); }
TEST_CASE("VQ-001 twin: packed") { check_twin({"VQ-001", "PACKED-006"}, kPacked, Fault::writable_first); }

TEST_CASE("VQ-002 no buffer of an excessive number of descriptors") { check_kept("VQ-002", kBoth); }
TEST_CASE("VQ-002 twin") { check_twin({"VQ-002"}, kBoth, Fault::splinters, {.excessive = 8}); }

TEST_CASE("RULE-002 a buffer in flight is not offered again") { check_kept("RULE-002", kBoth); }
TEST_CASE("RULE-002 twin: split") { check_twin_at_end({"RULE-002"}, kSplit, Fault::offered_twice, scripted::Shape::direct); }
TEST_CASE("RULE-002 twin: packed") {
    check_twin({"RULE-002"}, kPacked, Fault::offered_twice, {}, [](ScriptedRing& ring) {
        ring.traffic(6);
        ring.drain();
        ring.driver->misbehave();
        ring.add({{64}, {}}, scripted::Shape::direct);
        ring.one({{64}, {}}, scripted::Shape::direct);
    });
}

TEST_CASE("RULE-004 an indirect table is a whole number of entries") { check_kept("RULE-004", {.indirect = Where::Need::yes}); }
TEST_CASE("RULE-004 twin") { check_twin_at_end({"RULE-004"}, {.indirect = Where::Need::yes}, Fault::odd_table, scripted::Shape::indirect); }

TEST_CASE("RULE-012 a ring starts empty") { check_kept("RULE-012", kBoth); }
TEST_CASE("RULE-012 twin") {
    check_twin({"RULE-012"}, kBoth, Fault::dirty_ring, {}, [](ScriptedRing&) {});
}

TEST_CASE("Queues of every size, from one descriptor on") {
    for (Combination it : combinations(kBoth)) {
        for (const std::uint16_t size :
             it.packed ? std::vector<std::uint16_t>{1, 2, 3, 5, 64, 255} : std::vector<std::uint16_t>{1, 2, 4, 64, 256}) {
            it.size = size;
            INFO(it.name());
            for (const Way way : {Way::general, Way::presets, Way::fixed}) {
                OurRing ring{it, {.seed = 11, .order = it.in_order ? referee::Order::batches : referee::Order::random, .delay = 1}, way};
                ring.observed = size < 10; // each look of the referee's takes in the whole ring
                ring.traffic(40 + 3u * size);
                CHECK_MESSAGE(ring.mistakes.empty(), joined(ring.mistakes));
                const referee::Verdict verdict = ring.judge.verdict();
                CHECK_MESSAGE(verdict.clean(), verdict.text());
            }
        }
    }
}

TEST_CASE("Indices that pass 65,536") {
    for (Combination it : combinations({.indirect = Where::Need::no, .notification_data = Where::Need::yes})) {
        it.size = it.packed ? 37 : 32;
        INFO(it.name());
        OurRing ring{
            it,
            {.seed = 12, .order = it.in_order ? referee::Order::batches : referee::Order::random, .notify = referee::Notify::ahead},
            Way::fixed};
        ring.observed = false;
        ring.traffic(70'000);
        CHECK_MESSAGE(ring.mistakes.empty(), joined(ring.mistakes));
        CHECK(ring.completed == 70'000);
        const referee::Verdict verdict = ring.judge.verdict();
        CHECK_MESSAGE(verdict.clean(), verdict.text());
        CHECK(verdict.of(it.packed ? "NOTIF-014" : "RULE-008") == referee::Value::held);
    }
}
