// The verdict's three values, what counts as applicable and visible, and the table of clauses; constants against Linux's headers.
#include <doctest/doctest.h>

#define VIRTIO_RING_NO_LEGACY // its functions are no C++
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include <set>
#include <sstream>

#include "tests/referee/referee.hpp"
#include "tests/referee/toy_table.hpp"

using namespace referee;
using toy::Table;

TEST_CASE("numbers are those of Linux's headers, where they have the names") {
    CHECK(feature::kIndirectDesc == 1ull << VIRTIO_RING_F_INDIRECT_DESC);
    CHECK(feature::kEventIdx == 1ull << VIRTIO_RING_F_EVENT_IDX);
    CHECK(feature::kVersion1 == 1ull << VIRTIO_F_VERSION_1);
    CHECK(feature::kAccessPlatform == 1ull << VIRTIO_F_ACCESS_PLATFORM);
    CHECK(feature::kRingPacked == 1ull << VIRTIO_F_RING_PACKED);
    CHECK(feature::kOrderPlatform == 1ull << VIRTIO_F_ORDER_PLATFORM);
    CHECK(desc::kNext == VRING_DESC_F_NEXT);
    CHECK(desc::kWrite == VRING_DESC_F_WRITE);
    CHECK(desc::kIndirect == VRING_DESC_F_INDIRECT);
    CHECK(feature::kInOrder == 1ull << VIRTIO_F_IN_ORDER);
    CHECK(feature::kRingReset == 1ull << VIRTIO_F_RING_RESET);
    CHECK(desc::kAvail == 1 << VRING_PACKED_DESC_F_AVAIL);
    CHECK(desc::kUsed == 1 << VRING_PACKED_DESC_F_USED);
    CHECK(event::kEnable == VRING_PACKED_EVENT_FLAG_ENABLE);
    CHECK(event::kDisable == VRING_PACKED_EVENT_FLAG_DISABLE);
    CHECK(event::kDesc == VRING_PACKED_EVENT_FLAG_DESC);
    CHECK(status::kAcknowledge == VIRTIO_CONFIG_S_ACKNOWLEDGE);
    CHECK(status::kDriver == VIRTIO_CONFIG_S_DRIVER);
    CHECK(status::kDriverOk == VIRTIO_CONFIG_S_DRIVER_OK);
    CHECK(status::kFeaturesOk == VIRTIO_CONFIG_S_FEATURES_OK);
    CHECK(status::kNeedsReset == VIRTIO_CONFIG_S_NEEDS_RESET);
    CHECK(status::kFailed == VIRTIO_CONFIG_S_FAILED);
    CHECK(mmio::kMagicValue == VIRTIO_MMIO_MAGIC_VALUE);
    CHECK(mmio::kVersion == VIRTIO_MMIO_VERSION);
    CHECK(mmio::kDeviceId == VIRTIO_MMIO_DEVICE_ID);
    CHECK(mmio::kVendorId == VIRTIO_MMIO_VENDOR_ID);
    CHECK(mmio::kDeviceFeatures == VIRTIO_MMIO_DEVICE_FEATURES);
    CHECK(mmio::kDeviceFeaturesSel == VIRTIO_MMIO_DEVICE_FEATURES_SEL);
    CHECK(mmio::kDriverFeatures == VIRTIO_MMIO_DRIVER_FEATURES);
    CHECK(mmio::kDriverFeaturesSel == VIRTIO_MMIO_DRIVER_FEATURES_SEL);
    CHECK(mmio::kQueueSel == VIRTIO_MMIO_QUEUE_SEL);
    CHECK(mmio::kQueueSizeMax == VIRTIO_MMIO_QUEUE_NUM_MAX);
    CHECK(mmio::kQueueSize == VIRTIO_MMIO_QUEUE_NUM);
    CHECK(mmio::kQueueReady == VIRTIO_MMIO_QUEUE_READY);
    CHECK(mmio::kQueueNotify == VIRTIO_MMIO_QUEUE_NOTIFY);
    CHECK(mmio::kInterruptStatus == VIRTIO_MMIO_INTERRUPT_STATUS);
    CHECK(mmio::kInterruptAck == VIRTIO_MMIO_INTERRUPT_ACK);
    CHECK(mmio::kStatus == VIRTIO_MMIO_STATUS);
    CHECK(mmio::kQueueDescLow == VIRTIO_MMIO_QUEUE_DESC_LOW);
    CHECK(mmio::kQueueDriverLow == VIRTIO_MMIO_QUEUE_AVAIL_LOW);
    CHECK(mmio::kQueueDeviceHigh == VIRTIO_MMIO_QUEUE_USED_HIGH);
    CHECK(mmio::kShmSel == VIRTIO_MMIO_SHM_SEL);
    CHECK(mmio::kConfigGeneration == VIRTIO_MMIO_CONFIG_GENERATION);
    CHECK(mmio::kConfig == VIRTIO_MMIO_CONFIG);
    // The index test of both sides.
    for (const unsigned before : {0u, 7u, 65530u})
        for (unsigned moved = 0; moved < 12; ++moved)
            for (unsigned wanted = 0; wanted < 0x10000; wanted += 1) {
                const auto from = static_cast<std::uint16_t>(before);
                const auto to = static_cast<std::uint16_t>(before + moved);
                const auto at = static_cast<std::uint16_t>(wanted);
                if (passes(at, to, from) != (vring_need_event(at, to, from) != 0))
                    FAIL("passes(" << at << ", " << to << ", " << from << ")");
            }
}

TEST_CASE("the table: every clause once, under the name of its enumerator") {
    std::set<std::string_view> ids;
    for (unsigned i = 0; i < kClauses; ++i) {
        const ClauseInfo& its = info(static_cast<Clause>(i));
        CHECK(ids.insert(its.id).second);
        CHECK(find_clause(its.id) == static_cast<Clause>(i));
        CHECK(its.text.size() > 20);
        CHECK(name(its.level) != "?");
    }
    CHECK(info(Clause::split_003).id == "SPLIT-003");
    CHECK(info(Clause::packed_016).id == "PACKED-016");
    CHECK(info(Clause::blk_021).id == "BLK-021");
    CHECK(info(Clause::notif_008).level == Level::should_not);
    CHECK_FALSE(find_clause("SPLIT-016"));
    CHECK(selects("", "VQ-001"));
    CHECK(selects(" NOTIF  VQ ", "VQ-001"));
    CHECK(selects("SPLIT-003", "SPLIT-003"));
    CHECK_FALSE(selects("SPLIT-003", "SPLIT-004"));
    CHECK_FALSE(selects("SPL", "SPLIT-004"));
    CHECK_FALSE(selects("VQ", "SPLIT-004"));
}

TEST_CASE("silence is no pass: three values, and what does not apply or cannot be seen stands apart") {
    Table table{0, {}};
    const Verdict before = table.verdict("VQ SPLIT NOTIF PACKED");
    CHECK(before.clean());
    CHECK(before.of("SPLIT-001") == Value::held);
    CHECK(before.of("SPLIT-003") == Value::not_exercised);
    CHECK(before.not_exercised > 5);
    REQUIRE(table.run(20));
    const Verdict after = table.verdict("VQ SPLIT NOTIF PACKED");
    CHECK(after.of("SPLIT-003") == Value::held);
    CHECK(after.not_exercised < before.not_exercised);
    const auto listed = [](const std::vector<Finding>& findings, std::string_view id) {
        for (const Finding& finding : findings)
            if (finding.id == id) return true;
        return false;
    };
    CHECK(listed(after.findings, "SPLIT-003"));
    CHECK(listed(after.out_of_sight, "SPLIT-013")); // a memory barrier
    CHECK(listed(after.out_of_sight, "VQ-004"));    // the legacy interface
    CHECK(listed(after.out_of_sight, "SPLIT-012")); // only a test sees what is done with data
    CHECK(listed(after.not_applicable, "PACKED-001"));
    CHECK(listed(after.not_applicable, "NOTIF-011")); // without EVENT_IDX
    CHECK(listed(after.not_applicable, "SPLIT-004")); // without IN_ORDER
    CHECK(after.of("VQ-999") == Value::not_exercised);
    CHECK(table.judge.tell("SPLIT-012", Value::held, "nothing beyond the length was handed up"));
    CHECK(table.verdict().of("SPLIT-012") == Value::held);
    CHECK_FALSE(table.judge.tell("SPLIT-099", Value::held, ""));
    // A permission that was not used is no gap.
    Judge quiet;
    quiet.applies(RingKind::split, 0);
    for (const Finding& finding : quiet.verdict().findings) CHECK(finding.value == Value::not_exercised);
    const auto missing = quiet.verdict("SPLIT-014 SPLIT-015 NOTIF-002").not_exercised;
    CHECK(missing == 0);
}

TEST_CASE("a violation says what was seen, what came before, and how to see it again") {
    Table table{0, {.seed = 42, .order = Order::reversed}};
    // A chain whose readable part comes after the writable one.
    const std::uint64_t data = table.memory.allocate(32);
    table.ring.add({{data, 16, true}, {data + 16, 16, false}});
    table.kick();
    table.queue.step();
    const Verdict verdict = table.verdict("VQ SPLIT");
    REQUIRE_FALSE(verdict.clean());
    REQUIRE(verdict.violations.size() == 1);
    CHECK_FALSE(verdict.lawful());
    const Finding& finding = verdict.violations[0];
    CHECK(finding.id == "VQ-001");
    CHECK(finding.level == Level::must);
    CHECK(finding.violated == 1);
    CHECK(finding.seen == "buffer 0: a readable element after a writable one");
    CHECK(finding.events.size() > 1);
    CHECK(finding.events.back() == "step 0, queue 0: 1 new available, position 0x1");
    std::ostringstream text;
    text << verdict << finding.value;
    CHECK(text.str().find("1 violated") != std::string::npos);
    CHECK(text.str().find("seed=42 order=reversed") != std::string::npos);
    CHECK(text.str().find("SPLIT-014") == std::string::npos);
    CHECK(text.str().ends_with("violated"));
}

TEST_CASE("a SHOULD that was broken is not clean, but lawful") {
    Table table{0, {.notify = Notify::never}};
    table.submit();
    table.ring.publish();
    table.queue.notify(0); // though used.flags is 1
    const Verdict verdict = table.verdict("NOTIF");
    CHECK_FALSE(verdict.clean());
    CHECK(verdict.lawful());
    CHECK(verdict.of("NOTIF-008") == Value::violated);
    // A notification that was due and did not come is a MUST.
    Table lost{0, {}};
    lost.submit();
    lost.ring.publish();
    lost.queue.step();
    CHECK(lost.verdict().of("NOTIF-009") == Value::violated);
    CHECK_FALSE(lost.verdict().lawful());
}

TEST_CASE("guest memory: bounds, alignment, freeing") {
    Memory memory{{.size = 4096, .address = 0x1000}};
    CHECK(memory.at(0x1000, 4096) == memory.data());
    CHECK(memory.at(0x1fff, 1) == memory.data() + 4095);
    CHECK(memory.at(0x1fff, 2) == nullptr);
    CHECK(memory.at(0xfff, 1) == nullptr);
    CHECK(memory.at(0x1001, ~std::uint64_t{0}) == nullptr);
    CHECK(memory.at(~std::uint64_t{0}, 1) == nullptr);
    CHECK(memory.guest(memory.data() + 7) == 0x1007);
    CHECK(memory.guest(&memory) == 0);
    const std::uint64_t first = memory.allocate(100, 64);
    const std::uint64_t second = memory.allocate(100, 256);
    REQUIRE(first != 0);
    CHECK(first % 64 == 0);
    CHECK(second % 256 == 0);
    CHECK(*memory.at(first, 1) == Memory::kJunk);
    CHECK(memory.allocate(4096) == 0);
    CHECK(memory.allocate(0) == 0);
    CHECK(memory.allocate(1, 3) == 0);
    CHECK(memory.release(first));
    CHECK_FALSE(memory.release(first));
    CHECK(memory.allocate(100, 64) == first);
    CHECK(memory.live() == 2);

    alignas(16) std::byte bytes[64];
    Memory borrowed{{.address = Memory::kHostAddress, .junk = false, .existing = bytes}};
    CHECK(borrowed.address() == reinterpret_cast<std::uintptr_t>(bytes));
    CHECK(borrowed.at(borrowed.allocate(64), 64) == bytes);
    CHECK(bytes[63] == std::byte{0});
}

TEST_CASE("dice repeat, and differ by seed") {
    Random one{1};
    Random again{1};
    Random other{2};
    bool same = true;
    for (int i = 0; i < 100; ++i) {
        const std::uint64_t value = one.next();
        CHECK(value == again.next());
        same = same && value == other.next();
    }
    CHECK_FALSE(same);
    CHECK(one.below(0) == 0);
    CHECK_FALSE(one.one_in(0));
    CHECK(one.one_in(1));
}
