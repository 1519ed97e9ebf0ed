// Clauses of the split ring (VIRTIO 1.4, 2.7).
#include "tests/conformance/clause_check.hpp"

using namespace conformance;

namespace {
constexpr auto kYes = Where::Need::yes, kNo = Where::Need::no;
constexpr Where kIndirect{.packed = kNo, .indirect = kYes};
constexpr Where kDirectOnly{.packed = kNo, .indirect = kNo};
constexpr Where kInOrder{.packed = kNo, .in_order = kYes};
constexpr Where kIndirectInOrder{.packed = kNo, .indirect = kYes, .in_order = kYes};
} // namespace

TEST_CASE("SPLIT-001 the areas are aligned") { check_kept("SPLIT-001", kSplit); }
TEST_CASE("SPLIT-001 twin") { check_twin({"SPLIT-001"}, kSplit, Fault::misaligned); }

TEST_CASE("SPLIT-002 a chain is no longer than 2^32 bytes") { check_kept("SPLIT-002", kSplit); }
TEST_CASE("SPLIT-002 twin") { check_twin_at_end({"SPLIT-002"}, kSplit, Fault::huge_lengths, scripted::Shape::direct); }

TEST_CASE("SPLIT-003 a chain never loops") { check_kept("SPLIT-003", kSplit); }
TEST_CASE("SPLIT-003 twin") {
    check_twin({"SPLIT-003"}, kSplit, Fault::loop, {}, [](ScriptedRing& ring) {
        ring.driver->misbehave();
        ring.one({{64, 64, 64, 64, 64, 64, 64, 64}, {64, 64, 64, 64, 64, 64, 64, 64}}, scripted::Shape::direct); // the whole table
    });
}

TEST_CASE("SPLIT-004 with IN_ORDER next is the next descriptor") { check_kept("SPLIT-004", kInOrder); }
TEST_CASE("SPLIT-004 twin") { check_twin_at_end({"SPLIT-004"}, kInOrder, Fault::next_swapped, scripted::Shape::direct); }

TEST_CASE("SPLIT-005 no indirect table without INDIRECT_DESC") { check_kept("SPLIT-005", kSplit); }
TEST_CASE("SPLIT-005 twin") { check_twin_at_end({"SPLIT-005"}, kDirectOnly, Fault::indirect_unnegotiated, scripted::Shape::indirect); }

TEST_CASE("SPLIT-006 no table inside a table") { check_kept("SPLIT-006", kIndirect); }
TEST_CASE("SPLIT-006 twin") { check_twin_at_end({"SPLIT-006"}, kIndirect, Fault::nested_table, scripted::Shape::indirect); }

TEST_CASE("SPLIT-007 no chain longer than the queue") { check_kept("SPLIT-007", kSplit); }
TEST_CASE("SPLIT-007 twin") {
    check_twin_at_end({"SPLIT-007"}, kIndirect, Fault::too_long, scripted::Shape::indirect, {std::vector<std::uint32_t>(17, 64), {}});
}

TEST_CASE("SPLIT-008 INDIRECT and NEXT never together") { check_kept("SPLIT-008", kIndirect); }
TEST_CASE("SPLIT-008 twin") { check_twin_at_end({"SPLIT-008"}, kIndirect, Fault::indirect_and_next, scripted::Shape::indirect); }

TEST_CASE("SPLIT-009 with IN_ORDER a table is in sequence") { check_kept("SPLIT-009", kIndirectInOrder); }
TEST_CASE("SPLIT-009 twin") { check_twin_at_end({"SPLIT-009"}, kIndirectInOrder, Fault::table_out_of_order, scripted::Shape::indirect); }

TEST_CASE("SPLIT-010 avail.idx never steps back") { check_kept("SPLIT-010", kSplit); }
TEST_CASE("SPLIT-010 twin") { check_twin({"SPLIT-010"}, kSplit, Fault::index_back); }

TEST_CASE("SPLIT-014 several chains by one index update") { check_kept("SPLIT-014", kSplit); }

TEST_CASE("RULE-001 entries and next fields name descriptors of the queue") { check_kept("RULE-001", kSplit); }
TEST_CASE("RULE-001 twin") { check_twin_at_end({"RULE-001"}, kSplit, Fault::entry_beyond_queue, scripted::Shape::direct); }

TEST_CASE("RULE-003 no more buffers than the queue has entries") { check_kept("RULE-003", kSplit); }
TEST_CASE("RULE-003 twin") { check_twin({"RULE-003"}, kSplit, Fault::index_jump); }

TEST_CASE("RULE-006 with IN_ORDER descriptors are taken in ring order") { check_kept("RULE-006", kInOrder); }
TEST_CASE("RULE-006 twin") { check_twin_at_end({"RULE-006"}, kInOrder, Fault::starts_elsewhere, scripted::Shape::direct); }
