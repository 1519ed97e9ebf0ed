// Clauses of the packed ring (VIRTIO 1.4, 2.8).
#include "tests/conformance/clause_check.hpp"

using namespace conformance;

namespace {
constexpr auto kYes = Where::Need::yes, kNo = Where::Need::no;
constexpr Where kIndirect{.packed = kYes, .indirect = kYes};
constexpr Where kDirectOnly{.packed = kYes, .indirect = kNo};

const Shape whole_ring{std::vector<std::uint32_t>(13, 64), {}};

void usual(OurRing& ring) { ring.traffic(150); }

void rewrite_in_flight(ScriptedRing& ring) {
    ring.traffic(6);
    ring.drain();
    ring.driver->misbehave();
    ring.one({{64}, {64}}, scripted::Shape::direct);
    ring.driver->rewrite();
    for (unsigned i = 0; i < 5; ++i) ring.step();
}
void list_behind_one(ScriptedRing& ring) {
    ring.one({{64}, {}}, scripted::Shape::direct);
    ring.one({{64}, {64}}, scripted::Shape::direct);
    ring.driver->misbehave();
    ring.one({{64}, {64, 64}}, scripted::Shape::direct);
}
void long_list_behind_six(ScriptedRing& ring) {
    ring.one({{64, 64}, {64, 64}}, scripted::Shape::direct);
    ring.one({{64}, {64}}, scripted::Shape::direct);
    ring.driver->misbehave();
    ring.one({{64, 64, 64, 64}, {64, 64, 64, 64}}, scripted::Shape::direct); // eight; seven are free
    for (unsigned i = 0; i < 5; ++i) ring.step();
}
} // namespace

TEST_CASE("PACKED-001 the areas are aligned") { check_kept("PACKED-001", kPacked); }
TEST_CASE("PACKED-001 twin") { check_twin({"PACKED-001"}, kPacked, Fault::misaligned); }

TEST_CASE("PACKED-002 a descriptor stays until it was used") { check_kept("PACKED-002", kPacked, {.seed = 5, .delay = 3}, usual); }
TEST_CASE("PACKED-002 twin") {
    check_twin({"PACKED-002", "PACKED-003", "RESET-005"}, kPacked, Fault::rewrites, {.delay = 3}, rewrite_in_flight);
}
TEST_CASE("PACKED-003 a descriptor stays once it is available") { check_kept("PACKED-003", kPacked, {.seed = 6, .delay = 3}, usual); }
TEST_CASE("PACKED-003 twin") {
    check_twin({"PACKED-002", "PACKED-003", "RESET-005"}, kPacked, Fault::rewrites, {.delay = 3}, rewrite_in_flight);
}

TEST_CASE("PACKED-004 no list longer than the device allows") { check_kept("PACKED-004", kPacked); }
TEST_CASE("PACKED-004 twin") {
    check_twin_at_end({"PACKED-004"}, kPacked, Fault::too_long, scripted::Shape::direct, {{64, 64, 64}, {64, 64, 64}},
                      {.longest_chain = 4});
}

TEST_CASE("PACKED-005 no list longer than the queue") { check_kept("PACKED-005", kPacked); }
TEST_CASE("PACKED-005 twin") { check_twin_at_end({"PACKED-005"}, kPacked, Fault::endless_list, scripted::Shape::direct, whole_ring); }

TEST_CASE("PACKED-006 writable elements follow readable ones") { check_kept("PACKED-006", kPacked); }
TEST_CASE("PACKED-006 twin") { check_twin({"VQ-001", "PACKED-006"}, kPacked, Fault::writable_first); }

TEST_CASE("PACKED-007 no list waits for the device") { check_kept("PACKED-007", kPacked); }
TEST_CASE("PACKED-007 twin: there was room") {
    check_twin({"PACKED-007", "PACKED-009"}, kPacked, Fault::partial_list, {.delay = 9, .notify = referee::Notify::never}, list_behind_one);
}
TEST_CASE("PACKED-007 twin: there was none") {
    check_twin({"PACKED-007", "PACKED-008", "PACKED-009"}, kPacked, Fault::partial_list, {.delay = 9, .notify = referee::Notify::never},
               long_list_behind_six);
}

TEST_CASE("PACKED-008 there is room for the whole list") { check_kept("PACKED-008", kPacked); }
TEST_CASE("PACKED-008 twin: a part of it") {
    check_twin({"PACKED-007", "PACKED-008", "PACKED-009"}, kPacked, Fault::partial_list, {.delay = 9, .notify = referee::Notify::never},
               long_list_behind_six);
}
TEST_CASE("PACKED-008 twin: over what is in use") {
    check_twin({"PACKED-002", "PACKED-003", "PACKED-008", "RESET-005"}, kPacked, Fault::no_room_check,
               {.delay = 9, .notify = referee::Notify::never}, long_list_behind_six);
}

TEST_CASE("PACKED-009 the first descriptor of a list is shown last") { check_kept("PACKED-009", kPacked); }
TEST_CASE("PACKED-009 twin: it is shown first") {
    check_twin_at_end({"PACKED-009"}, kPacked, Fault::flags_before_rest, scripted::Shape::direct);
}
TEST_CASE("PACKED-009 twin: the others never") {
    check_twin_at_end({"PACKED-009"}, {.packed = kYes, .notification_data = kNo}, Fault::used_bit_not_inverse, scripted::Shape::direct);
}

TEST_CASE("PACKED-010 no indirect table without INDIRECT_DESC") { check_kept("PACKED-010", kPacked); }
TEST_CASE("PACKED-010 twin") { check_twin_at_end({"PACKED-010"}, kDirectOnly, Fault::indirect_unnegotiated, scripted::Shape::indirect); }

TEST_CASE("PACKED-011 entries of a table have no flag but WRITE") { check_kept("PACKED-011", kIndirect); }
TEST_CASE("PACKED-011 twin") { check_twin({"PACKED-011"}, kIndirect, Fault::flags_in_table); }

TEST_CASE("PACKED-012 no table longer than the device allows") { check_kept("PACKED-012", kIndirect); }
TEST_CASE("PACKED-012 twin") {
    check_twin_at_end({"PACKED-012"}, kIndirect, Fault::too_long, scripted::Shape::indirect, {std::vector<std::uint32_t>(14, 64), {}});
}

TEST_CASE("PACKED-013 no table inside a list") { check_kept("PACKED-013", kIndirect); }
TEST_CASE("PACKED-013 twin") { check_twin({"PACKED-013"}, kIndirect, Fault::indirect_in_list); }

TEST_CASE("PACKED-015 a request may span several descriptors") { check_kept("PACKED-015", kPacked); }

TEST_CASE("RULE-005 AVAIL and USED follow the wrap counter") { check_kept("RULE-005", kPacked); }
TEST_CASE("RULE-005 twin") {
    check_twin({"RULE-005"}, {.packed = kYes, .notification_data = kNo}, Fault::wrap_stuck, {}, [](ScriptedRing& ring) {
        ring.driver->misbehave();
        for (unsigned i = 0; i < 14; ++i) { // once round the ring
            ring.one({{64}, {}}, scripted::Shape::direct);
            ring.service();
        }
    });
}

TEST_CASE("RULE-009 the driver's event structure is valid") { check_kept("RULE-009", kPacked); }
TEST_CASE("RULE-009 twin: reserved bits") { check_twin({"RULE-009"}, kPacked, Fault::event_reserved_bits); }
TEST_CASE("RULE-009 twin: a descriptor asked for without EVENT_IDX") {
    check_twin({"RULE-009"}, {.packed = kYes, .event_index = kNo}, Fault::event_unnegotiated);
}
TEST_CASE("RULE-009 twin: a descriptor beyond the ring") {
    check_twin({"RULE-009"}, {.packed = kYes, .event_index = kYes}, Fault::event_beyond_ring);
}
