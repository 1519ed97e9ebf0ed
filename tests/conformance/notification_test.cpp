// Clauses of notifications and their suppression (VIRTIO 1.4, 2.7.7, 2.7.10, 2.8.10, 2.9).
#include "tests/conformance/clause_check.hpp"

using namespace conformance;

namespace {
constexpr auto kYes = Where::Need::yes, kNo = Where::Need::no;
constexpr Where kFlags{.packed = kNo, .event_index = kNo};
constexpr Where kEvents{.packed = kNo, .event_index = kYes};
constexpr Where kSplitData{.packed = kNo, .notification_data = kYes};
constexpr Where kPackedData{.packed = kYes, .notification_data = kYes};

/// What is used while the driver wants to hear nothing is not announced, and not lost.
void quiet(OurRing& ring) {
    for (unsigned round = 0; round < 40; ++round) {
        REQUIRE(ring.add({{64}, {64}}));
        ring.kick();
        ring.step();
        CHECK(ring.interrupted);
        ring.interrupted = false;
        ring.queue.suppress_interrupts();
        REQUIRE(ring.add({{64}, {64}}));
        REQUIRE(ring.add({{64}, {}}));
        ring.kick();
        ring.step();
        CHECK_FALSE(ring.interrupted);
        ring.service();
        CHECK(ring.in_flight() == 0);
    }
}
} // namespace

TEST_CASE("NOTIF-001 avail.flags is 0 or 1") { check_kept("NOTIF-001", kFlags); }
TEST_CASE("NOTIF-001 twin") { check_twin({"NOTIF-001"}, kFlags, Fault::undefined_flags); }

TEST_CASE("NOTIF-002 avail.flags may be 1 while nothing is wanted") { check_kept("NOTIF-002", kFlags, {}, quiet); }

TEST_CASE("NOTIF-003 with EVENT_IDX avail.flags stays 0") { check_kept("NOTIF-003", kEvents); }
TEST_CASE("NOTIF-003 twin") { check_twin({"NOTIF-003"}, kEvents, Fault::flags_despite_event); }

TEST_CASE("NOTIF-004 with EVENT_IDX a notification comes at used_event") { check_kept("NOTIF-004", kEvents, {}, quiet); }

TEST_CASE("NOTIF-005 a notification with nothing behind it does no harm") { check_kept("NOTIF-005", kBoth); }

TEST_CASE("NOTIF-005 twin") {
    // A driver that takes each interrupt for a completion: what came back without having been used is what only it can tell.
    for (const Combination& it : combinations(kBoth)) {
        INFO(it.name());
        for (const Fault fault : {Fault::none, Fault::interrupt_is_completion}) {
            ScriptedRing ring{it, fault, {.delay = 5}};
            ring.driver->misbehave();
            ring.one({{64}, {64}}, scripted::Shape::direct);
            ring.device.interrupt_anyway();
            ring.completed += ring.driver->reap().size();
            if (ring.completed > ring.device.counters().used)
                ring.judge.tell("NOTIF-005", referee::Value::violated, "a buffer was taken back that the device has not used");
            CHECK(joined(violated(ring.judge.verdict())) == (fault == Fault::none ? "" : "NOTIF-005\n"));
            if (fault != Fault::none) continue;
            ring.drain();
            ring.traffic(2);
            CHECK(ring.judge.verdict().of("NOTIF-005") == referee::Value::held);
        }
    }
}

TEST_CASE("NOTIF-006 used.flags is 0 when the queue is handed over") { check_kept("NOTIF-006", kSplit); }
TEST_CASE("NOTIF-006 twin") { check_twin({"NOTIF-006"}, kSplit, Fault::dirty_used_flags); }

TEST_CASE("NOTIF-007 without EVENT_IDX avail_event is ignored") { check_kept("NOTIF-007", kFlags); }

TEST_CASE("NOTIF-007 twin") { check_twin({"NOTIF-007", "NOTIF-009"}, kFlags, Fault::obey_event_unasked, {.junk_events = true}); }

TEST_CASE("NOTIF-008 no notification while used.flags is 1") { check_kept("NOTIF-008", kFlags); }
TEST_CASE("NOTIF-008 twin") { check_twin({"NOTIF-008"}, kFlags, Fault::kick_always, {.notify = referee::Notify::never}); }

TEST_CASE("NOTIF-009 a notification while used.flags is 0") { check_kept("NOTIF-009", kFlags); }
TEST_CASE("NOTIF-009 twin") { check_twin({"NOTIF-009"}, kFlags, Fault::kick_never); }

TEST_CASE("NOTIF-010 with EVENT_IDX used.flags is ignored") { check_kept("NOTIF-010", kEvents); }

TEST_CASE("NOTIF-010 twin") { check_twin({"NOTIF-010", "NOTIF-011"}, kEvents, Fault::obey_flags_despite_event, {.junk_events = true}); }

TEST_CASE("NOTIF-011 with EVENT_IDX a notification when avail_event is passed") { check_kept("NOTIF-011", kEvents); }
TEST_CASE("NOTIF-011 twin: never") { check_twin({"NOTIF-011"}, kEvents, Fault::kick_never); }

TEST_CASE("NOTIF-011 twin: inside a batch") {
    check_twin({"NOTIF-011"}, kEvents, Fault::event_last_only, {.notify = referee::Notify::ahead, .ahead = 1});
}

TEST_CASE("NOTIF-012 with EVENT_IDX no notification before avail_event") { check_kept("NOTIF-012", kEvents); }
TEST_CASE("NOTIF-012 twin") { check_twin({"NOTIF-012"}, kEvents, Fault::kick_always, {.notify = referee::Notify::ahead, .ahead = 5}); }

TEST_CASE("NOTIF-014 packed: a notification names the next slot") { check_kept("NOTIF-014", kPackedData); }
TEST_CASE("NOTIF-014 twin: the slot before") { check_twin({"NOTIF-014"}, kPackedData, Fault::wrong_position); }
TEST_CASE("NOTIF-014 twin: the other wrap counter") { check_twin({"NOTIF-014"}, kPackedData, Fault::wrong_wrap); }

TEST_CASE("NOTIF-015 packed: a notification without anything new") {
    check_kept("NOTIF-015", kPacked, {}, [](OurRing& ring) {
        ring.traffic(20);
        ring.queue.kick_always();
        ring.queue.kick_always();
        ring.traffic(20);
    });
}

TEST_CASE("RULE-007 a notification names its queue") { check_kept("RULE-007", kBoth); }
TEST_CASE("RULE-007 twin") { check_twin({"RULE-007"}, kBoth, Fault::wrong_queue); }

TEST_CASE("RULE-008 split: a notification carries the available index") { check_kept("RULE-008", kSplitData); }
TEST_CASE("RULE-008 twin") { check_twin({"RULE-008"}, kSplitData, Fault::wrong_position); }

TEST_CASE("RULE-010 packed: a notification where the device asks for it") { check_kept("RULE-010", kPacked); }
TEST_CASE("RULE-010 twin: never") { check_twin({"RULE-010"}, kPacked, Fault::kick_never); }

TEST_CASE("RULE-010 twin: inside a batch") {
    check_twin({"RULE-010"}, {.packed = kYes, .event_index = kYes}, Fault::event_last_slot_only,
               {.notify = referee::Notify::ahead, .ahead = 1});
}

TEST_CASE("RULE-011 packed: no notification where the device does not ask for it") { check_kept("RULE-011", kPacked); }
TEST_CASE("RULE-011 twin") { check_twin({"RULE-011"}, kPacked, Fault::kick_always, {.notify = referee::Notify::never}); }

TEST_CASE("With EVENT_IDX an interrupt comes after as many more completions as were asked for") {
    for (const Combination& it : combinations({.event_index = kYes})) {
        INFO(it.name());
        OurRing ring{it, {.order = it.in_order ? referee::Order::batches : referee::Order::random, .batch = 1}};
        for (unsigned round = 0; round < 60; ++round) {
            ring.queue.suppress_interrupts();
            CHECK_FALSE(ring.queue.arm_interrupts(3));
            for (unsigned i = 0; i < 3; ++i) {
                CHECK_FALSE(ring.interrupted);
                REQUIRE(ring.add({{}, {64}}));
                ring.kick();
                ring.step();
            }
            CHECK(ring.interrupted);
            ring.interrupted = false;
            CHECK(ring.queue.poll(8) == 3);
        }
        CHECK(ring.mistakes.empty());
        CHECK(ring.judge.verdict().clean());
    }
}
