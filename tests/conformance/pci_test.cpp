// Clauses of the PCI transport that concern the rings' features, and which of those features are accepted. libvirtio's own
// transport, device and queues work against a PciSeat, which judges them; the twins break a rule at it by hand.
#include <doctest/doctest.h>

#include "libvirtio/device.hpp"
#include "libvirtio/transport/pci_modern.hpp"
#include "tests/conformance/pci_script.hpp"
#include "tests/conformance/pci_seat.hpp"

using namespace virtio;
using conformance::PciSeat;
using scripted::PciFault;

namespace {

constexpr std::uint64_t bit(unsigned number) { return std::uint64_t{1} << number; }
constexpr std::uint64_t kVersion1 = bit(32), kPacked = bit(34), kInOrder = bit(35), kOrderPlatform = bit(36), kData = bit(38),
                        kConfig = bit(39), kReset = bit(40);

/// Brings a device up, publishes a buffer in each queue, resets queue 1 where that can be done, and starts it again with half its size.
struct Run {
    explicit Run(std::uint64_t features, unsigned reset_reads = 3) : seat(kVersion1 | features) {
        seat.queue_reset_reads = reset_reads;
        REQUIRE(transport.open(PciFunction{seat, {}}));
        REQUIRE(device.begin(seat, transport, 2));
        REQUIRE(device.negotiate({}, {}));
        for (std::uint16_t i = 0; i < PciSeat::kQueues; ++i) REQUIRE(device.add_queue(i, queues[i], {}));
        REQUIRE(device.run());
        for (unsigned i = 0; i < PciSeat::kQueues; ++i) kick(i);
        if ((features & kReset) == 0) return;
        REQUIRE(device.reset_queue(queues[1]));
        CHECK(requests[1].error == Error::device_reset);
        REQUIRE(device.add_queue(1, queues[1], {.maximum_size = 32}));
        kick(1);
    }
    ~Run() { static_cast<void>(device.stop()); }
    void kick(unsigned i) {
        const unsigned before = seat.notifications;
        const Segment segment{{0x1000}, 64};
        REQUIRE(queues[i].add({&segment, 1}, {}, requests[i]));
        queues[i].kick();
        CHECK(seat.notifications == before + 1);
    }
    PciSeat seat;
    PciTransport transport;
    Device device;
    Virtqueue queues[PciSeat::kQueues];
    Request requests[PciSeat::kQueues];
};

void check_held(const char* clause, std::initializer_list<std::uint64_t> feature_sets) {
    for (const std::uint64_t features : feature_sets) {
        CAPTURE(features);
        const Run run{features};
        INFO(run.seat.verdict.text());
        CHECK(run.seat.verdict.held(clause));
        CHECK(run.seat.verdict.violated().empty());
    }
}

/// What the script breaks, and nothing else, is reported; without the fault nothing is.
void check_twin(std::vector<std::string> clauses, std::uint64_t features, PciFault fault) {
    for (const PciFault it : {PciFault::none, fault}) {
        PciSeat seat{kVersion1 | features};
        seat.queue_reset_reads = 3;
        scripted::drive(seat, it);
        INFO(seat.verdict.text());
        if (it == PciFault::none) {
            CHECK(seat.verdict.violated().empty());
            for (const std::string& clause : clauses) CHECK(seat.verdict.held(clause));
        } else {
            CHECK(seat.verdict.violated() == clauses);
        }
    }
}

} // namespace

TEST_CASE("FEAT-019 RING_PACKED is accepted when it is offered") {
    check_held("FEAT-019", {kPacked, kPacked | kInOrder, kPacked | kData | kReset});
}
TEST_CASE("FEAT-019 twin") { check_twin({"FEAT-019"}, kPacked, PciFault::refuse_packed); }

TEST_CASE("FEAT-020 ORDER_PLATFORM is accepted when it is offered") { check_held("FEAT-020", {kOrderPlatform, kOrderPlatform | kData}); }
TEST_CASE("FEAT-020 twin") { check_twin({"FEAT-020"}, kOrderPlatform, PciFault::refuse_order); }

TEST_CASE("FEAT-027 NOTIF_CONFIG_DATA is accepted when it is offered") { check_held("FEAT-027", {kConfig, kConfig | kData}); }
TEST_CASE("FEAT-027 twin") { check_twin({"FEAT-027"}, kConfig, PciFault::refuse_config_data); }

TEST_CASE("PCI-018 queue_notif_config_data and the other read-only fields are never written") {
    check_held("PCI-018", {0, kConfig, kConfig | kData | kReset});
}
TEST_CASE("PCI-018 twin") { check_twin({"PCI-018"}, kConfig, PciFault::write_read_only); }

TEST_CASE("PCI-019 a packed ring's queue_size is never 0") {
    check_held("PCI-019", {kPacked, kPacked | kReset});
    PciSeat seat{kVersion1 | kPacked};
    seat.maximum = {1, 1000};
    PciTransport transport;
    Device device;
    Virtqueue queues[2];
    REQUIRE(transport.open(PciFunction{seat, {}}));
    REQUIRE(device.begin(seat, transport, 2));
    REQUIRE(device.negotiate({}, {}));
    REQUIRE(device.add_queue(0, queues[0], {}));
    REQUIRE_FALSE(device.add_queue(1, queues[1], {.maximum_size = 0}));
    REQUIRE(device.add_queue(1, queues[1], {.maximum_size = 1000}));
    CHECK(seat.size_of(0) == 1);
    CHECK(seat.size_of(1) == 1000); // no power of two, which it need not be
    CHECK(seat.verdict.held("PCI-019"));
    static_cast<void>(device.stop());
}
TEST_CASE("PCI-019 twin") { check_twin({"PCI-019"}, kPacked, PciFault::size_zero); }

TEST_CASE("PCI-020 a split ring's queue_size is a power of two, whatever the device offers") {
    check_held("PCI-020", {0, kData, kReset});
    PciSeat seat{kVersion1};
    seat.maximum = {1, 1024};
    PciTransport transport;
    Device device;
    Virtqueue queues[2];
    REQUIRE(transport.open(PciFunction{seat, {}}));
    REQUIRE(device.begin(seat, transport, 2));
    REQUIRE(device.negotiate({}, {}));
    REQUIRE(device.add_queue(0, queues[0], {}));
    REQUIRE(device.add_queue(1, queues[1], {.maximum_size = 1000})); // a cap that is no power of two
    CHECK(seat.size_of(0) == 1);
    CHECK(seat.size_of(1) == 512);
    CHECK(seat.verdict.held("PCI-020"));
    static_cast<void>(device.stop());
}
TEST_CASE("PCI-020 twin") { check_twin({"PCI-020"}, 0, PciFault::size_not_a_power); }

TEST_CASE("PCI-024 a queue is left alone until queue_reset reads 0") {
    check_held("PCI-024", {kReset, kReset | kData});
    const Run late{kReset, 50};
    CHECK(late.seat.verdict.held("PCI-024"));
}
TEST_CASE("PCI-024 twin") { check_twin({"PCI-024", "RESET-002"}, kReset, PciFault::impatient); }

TEST_CASE("PCI-025 a queue that was reset is enabled again") { check_held("PCI-025", {kReset, kReset | kConfig}); }
TEST_CASE("PCI-026 a queue that was reset is enabled with another size") {
    check_held("PCI-026", {kReset});
    const Run run{kReset};
    CHECK(run.seat.size_of(1) == 32);
    CHECK(run.seat.size_of(0) == 64);
}

TEST_CASE("PCI-040 without NOTIFICATION_DATA a notification is 16 bits wide") { check_held("PCI-040", {0, kConfig, kReset}); }
TEST_CASE("PCI-040 twin") { check_twin({"PCI-040"}, 0, PciFault::wrong_width); }
TEST_CASE("PCI-041 with NOTIFICATION_DATA a notification is 32 bits wide") { check_held("PCI-041", {kData, kData | kConfig}); }
TEST_CASE("PCI-041 twin") { check_twin({"PCI-041"}, kData, PciFault::wrong_width); }
TEST_CASE("PCI-042 a notification without features is the queue's index") { check_held("PCI-042", {0, kReset}); }
TEST_CASE("PCI-042 twin") { check_twin({"PCI-042"}, 0, PciFault::wrong_name); }
TEST_CASE("PCI-043 with NOTIFICATION_DATA alone the low half is the queue's index") { check_held("PCI-043", {kData, kData | kReset}); }
TEST_CASE("PCI-043 twin") { check_twin({"PCI-043"}, kData, PciFault::wrong_name); }
TEST_CASE("PCI-044 with NOTIF_CONFIG_DATA alone a notification is what the device chose for the queue") {
    check_held("PCI-044", {kConfig, kConfig | kReset});
}
TEST_CASE("PCI-044 twin") { check_twin({"PCI-044"}, kConfig, PciFault::wrong_name); }
TEST_CASE("PCI-045 with both the low half is what the device chose for the queue") { check_held("PCI-045", {kConfig | kData}); }
TEST_CASE("PCI-045 twin") { check_twin({"PCI-045"}, kConfig | kData, PciFault::wrong_name); }
