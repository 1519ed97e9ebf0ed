// Clauses of reset, of a device and of one queue, and of the MMIO registers that take part in it (VIRTIO 1.4, 2.4, 2.6, 3.3, 4.2.2).
// libvirtio's transport, device and queues work at the referee's registers.
#include "tests/conformance/clause_check.hpp"
#include "tests/conformance/mmio_bench.hpp"
#include "tests/conformance/mmio_script.hpp"

using namespace conformance;
using scripted::MmioFault;

namespace {

/// Two queues at work, a reset of one with a buffer in flight while the other goes on, its second start with another size, the end.
void life(OurDevice& ours) {
    for (const std::string& mistake : ours.mistakes) FAIL_CHECK(mistake);
    if (!ours.mistakes.empty()) return;
    CHECK(ours.echo(0));
    CHECK(ours.echo(1));
    REQUIRE(ours.send(1));
    REQUIRE(ours.send(0));
    ours.size_at_first = ours.queues[1].size();
    REQUIRE(ours.device.reset_queue(ours.queues[1]));
    REQUIRE(ours.device.add_queue(1, ours.queues[1], {.maximum_size = 4}));
    ours.size_at_last = ours.queues[1].size();
    CHECK(ours.echo(1));
    CHECK(ours.echo(0));
    REQUIRE(ours.send(0));
    REQUIRE(ours.send(1));
    ours.step();
    CHECK(ours.device.stop());
}

referee::Script slow_reset() { return {.delay = 2, .status_reads = 4, .queue_reset_reads = 4}; }

void check_life(const std::string& clause, const Where& where) {
    for (const Combination& it : combinations(where)) {
        INFO(it.name());
        OurDevice ours{it.features() | referee::feature::kRingReset, it.size, slow_reset()};
        life(ours);
        const referee::Verdict verdict = ours.machine.verdict();
        CHECK_MESSAGE(verdict.clean(), verdict.text());
        CHECK_MESSAGE(verdict.of(clause) == referee::Value::held, clause << " was not exercised");
    }
}

void check_mmio_twin(const std::vector<std::string>& clauses, const Where& where, MmioFault fault) {
    for (const Combination& it : combinations(where)) {
        INFO(it.name());
        for (const MmioFault what : {MmioFault::none, fault}) {
            referee::Machine machine{{.memory = std::size_t{1} << 20}};
            machine.add_mmio(OurDevice::kBase, referee::Echo{.queue_sizes = {it.size, it.size},
                                                             .features = it.features() | referee::feature::kRingReset,
                                                             .script = slow_reset()});
            CHECK(scripted::drive_mmio(*machine.access(), OurDevice::kBase, it, what));
            const referee::Verdict verdict = machine.verdict();
            INFO(verdict.text());
            if (what == MmioFault::none) {
                CHECK(verdict.clean());
                for (const std::string& clause : clauses) CHECK(verdict.of(clause) == referee::Value::held);
            } else {
                CHECK(joined(violated(verdict)) == joined(clauses));
            }
        }
    }
}

} // namespace

TEST_CASE("RESET-001 a reset is complete when status reads 0") { check_life("RESET-001", kBoth); }
TEST_CASE("RESET-001 twin") { check_mmio_twin({"RESET-001"}, kBoth, MmioFault::reset_unproven); }

TEST_CASE("RESET-002 a queue's reset is proven before it is believed") { check_life("RESET-002", kBoth); }
TEST_CASE("RESET-002 twin") { check_mmio_twin({"RESET-002", "MMIO-023"}, kBoth, MmioFault::queue_reset_unproven); }

TEST_CASE("RESET-003 after a queue's reset its memory is freed") { check_life("RESET-003", kBoth); }

TEST_CASE("RESET-004 a queue that was reset is set up anew") { check_life("RESET-004", kBoth); }
TEST_CASE("RESET-004 twin") { check_mmio_twin({"RESET-004"}, kBoth, MmioFault::half_set_up); }

TEST_CASE("RESET-005 what is in flight stays as it is") {
    check_kept("RESET-005", kBoth, {.seed = 7, .delay = 3}, [](OurRing& ring) { ring.traffic(150); });
}
TEST_CASE("RESET-005 twin: split") {
    check_twin({"RESET-005"}, kSplit, Fault::rewrites, {.delay = 3}, [](ScriptedRing& ring) {
        ring.traffic(6);
        ring.drain();
        ring.driver->misbehave();
        ring.one({{64}, {64}}, scripted::Shape::direct);
        ring.driver->rewrite();
        for (unsigned i = 0; i < 5; ++i) ring.step();
    });
}

TEST_CASE("RESET-006 nothing is taken back before the reset") { check_life("RESET-006", kBoth); }
TEST_CASE("RESET-006 twin") { check_mmio_twin({"RESET-006"}, kBoth, MmioFault::freed_before_reset); }

TEST_CASE("MMIO-016 QueueSize is at most QueueSizeMax") { check_life("MMIO-016", kBoth); }
TEST_CASE("MMIO-016 twin") { check_mmio_twin({"MMIO-016"}, kBoth, MmioFault::queue_too_large); }

TEST_CASE("MMIO-017 a ready queue's registers are left alone") { check_life("MMIO-017", kBoth); }
TEST_CASE("MMIO-017 twin") { check_mmio_twin({"MMIO-017"}, kBoth, MmioFault::queue_while_ready); }

TEST_CASE("MMIO-023 a queue's reset is over when QueueReset reads 0") { check_life("MMIO-023", kBoth); }
TEST_CASE("MMIO-023 twin") { check_mmio_twin({"RESET-002", "MMIO-023"}, kBoth, MmioFault::queue_reset_unproven); }

TEST_CASE("MMIO-024 a queue that was reset is made ready again") {
    check_life("RESET-004", kBoth); // which ends with buffers through the queue's second ring
}
TEST_CASE("MMIO-025 a queue that was reset has other settings") {
    for (const Combination& it : combinations(kBoth)) {
        INFO(it.name());
        OurDevice ours{it.features() | referee::feature::kRingReset, it.size, slow_reset()};
        life(ours);
        CHECK(ours.size_at_first == it.size);
        CHECK(ours.size_at_last == 4);
        CHECK(ours.machine.verdict().clean());
    }
}

TEST_CASE("NOTIF_CONFIG_DATA is refused where no register says the value (FEAT-027 over MMIO)") {
    OurDevice ours{referee::kRingFeatures | referee::feature::kNotifConfigData, 16, {}};
    CHECK(ours.mistakes.empty());
    CHECK_FALSE(ours.device.features().has(virtio::RingFeature::notif_config_data));
    CHECK(ours.echo(0));
}
