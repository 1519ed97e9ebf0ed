// Registers in motion: interrupts and their acknowledgement, changing configuration, one queue reset while another runs.
#include <doctest/doctest.h>

#include <cstring>
#include <memory>

#include "tests/referee/referee.hpp"
#include "tests/referee/toy_ring.hpp"

using namespace referee;

namespace {

constexpr std::uint64_t kBase = 0x0a00'0000;

/// A driver that brings a device up as the text says, with toy rings on its queues.
struct Seat {
    explicit Seat(const Echo& device, std::uint64_t wanted = kRingFeatures)
        : mmio(machine.add_mmio(kBase, device)), queues(device.queue_sizes.size()) {
        for (const std::uint64_t offset : {mmio::kMagicValue, mmio::kVersion, mmio::kDeviceId}) read(offset);
        write(mmio::kStatus, 0);
        read(mmio::kStatus);
        write(mmio::kStatus, 1);
        write(mmio::kStatus, 3);
        std::uint64_t offered = 0;
        for (std::uint32_t word = 2; word-- > 0;) {
            write(mmio::kDeviceFeaturesSel, word);
            offered = (offered << 32) | read(mmio::kDeviceFeatures);
        }
        features = offered & wanted;
        for (std::uint32_t word = 2; word-- > 0;) {
            write(mmio::kDriverFeaturesSel, word);
            write(mmio::kDriverFeatures, static_cast<std::uint32_t>(features >> (32 * word)));
        }
        write(mmio::kStatus, 11);
        REQUIRE(read(mmio::kStatus) == 11);
        for (std::size_t i = 0; i < queues.size(); ++i) start(static_cast<std::uint16_t>(i));
        write(mmio::kStatus, 15);
        machine.access()->connect(machine.access()->context, kBase, [](void* self) { static_cast<Seat*>(self)->interrupt(); }, this);
    }
    void write(std::uint64_t offset, std::uint32_t value) { machine.access()->write(machine.access()->context, kBase + offset, 4, value); }
    std::uint32_t read(std::uint64_t offset) {
        return static_cast<std::uint32_t>(machine.access()->read(machine.access()->context, kBase + offset, 4));
    }
    /// Everything of a queue is programmed; with `skip` all but that register.
    void start(std::uint16_t index, std::uint64_t skip = 0, std::uint16_t size = 8) {
        queues[index] = std::make_unique<toy::Ring>(machine.memory(), size, features);
        const QueueSetup setup = queues[index]->setup();
        write(mmio::kQueueSel, index);
        const auto put = [&](std::uint64_t offset, std::uint64_t value) {
            if (offset != skip) write(offset, static_cast<std::uint32_t>(value));
        };
        put(mmio::kQueueSize, setup.size);
        put(mmio::kQueueDescLow, setup.descriptors);
        put(mmio::kQueueDescHigh, setup.descriptors >> 32);
        put(mmio::kQueueDriverLow, setup.driver);
        put(mmio::kQueueDriverHigh, setup.driver >> 32);
        put(mmio::kQueueDeviceLow, setup.device);
        put(mmio::kQueueDeviceHigh, setup.device >> 32);
        write(mmio::kQueueReady, 1);
    }
    void interrupt() {
        ++interrupts;
        if (!acknowledge) return;
        const std::uint32_t cause = look_at_cause ? read(mmio::kInterruptStatus) : 1;
        causes |= cause;
        write(mmio::kInterruptAck, cause);
    }
    void send(std::uint16_t index) {
        toy::Ring& ring = *queues[index];
        const std::uint64_t data = machine.memory().allocate(16);
        REQUIRE(ring.add({{data, 8, false}, {data + 8, 8, true}}));
        ring.publish();
        if (ring.needs_kick()) write(mmio::kQueueNotify, ring.kick_value(index));
    }
    unsigned reap(std::uint16_t index) {
        unsigned count = 0;
        while (queues[index]->take()) ++count;
        static_cast<void>(queues[index]->arm());
        return count;
    }
    Value of(std::string_view id) { return machine.verdict().of(id); }

    Machine machine{{.memory = 1 << 20, .seed = 3}};
    Mmio& mmio;
    std::uint64_t features = 0;
    std::vector<std::unique_ptr<toy::Ring>> queues;
    unsigned interrupts = 0;
    std::uint32_t causes = 0;
    bool acknowledge = true;
    bool look_at_cause = true;
};

const std::uint64_t kRings[] = {kRingFeatures, kRingFeatures | feature::kRingPacked,
                                kRingFeatures | feature::kRingPacked | feature::kInOrder};

} // namespace

TEST_CASE("interrupts come through the handler, are acknowledged, and keep coming until they are") {
    for (const std::uint64_t features : kRings) {
        Seat seat{{.queue_sizes = {8, 8}, .features = features}, features};
        for (int i = 0; i < 20; ++i) {
            seat.send(0);
            seat.send(1);
            seat.machine.step();
            CHECK(seat.reap(0) == 1);
            CHECK(seat.reap(1) == 1);
        }
        CHECK(seat.interrupts == 20); // one line: once for both queues
        CHECK(seat.causes == 1);
        CHECK_MESSAGE(seat.machine.verdict().clean(), seat.machine.verdict().text());
        CHECK(seat.of("MMIO-021") == Value::held);
        CHECK(seat.of("MMIO-032") == Value::held);

        seat.acknowledge = false;
        seat.interrupts = 0;
        seat.send(0);
        for (int i = 0; i < 200; ++i) seat.machine.step();
        CHECK(seat.interrupts == 200);
        CHECK(seat.of("MMIO-021") == Value::violated);
    }
    Seat blind{{.queue_sizes = {8}}};
    blind.look_at_cause = false;
    blind.send(0);
    blind.machine.step();
    CHECK(blind.of("MMIO-032") == Value::violated);
}

TEST_CASE("configuration changes with a new generation and an interrupt of its own, and a device can ask to be reset") {
    Machine machine{{.memory = 1 << 16}};
    Mmio& disk = machine.add_mmio(kBase, Block{.sectors = 16});
    const referee_access* access = machine.access();
    const auto read = [&](std::uint64_t offset, unsigned width = 4) { return access->read(access->context, kBase + offset, width); };
    const std::uint64_t before = read(mmio::kConfigGeneration);
    CHECK(read(mmio::kConfig) == 16);
    const std::uint8_t twice[] = {32};
    disk.change_config(0, twice);
    CHECK(read(mmio::kConfig) == 32);
    CHECK(read(mmio::kConfig, 1) == 32);
    CHECK(read(mmio::kConfigGeneration) != before);
    CHECK(read(mmio::kInterruptStatus) == 2);
    disk.need_reset();
    CHECK((read(mmio::kStatus) & status::kNeedsReset) != 0);
}

TEST_CASE("one queue is reset and comes back while another runs") {
    for (const std::uint64_t features : kRings)
        for (const std::uint32_t reads : {0u, 3u}) {
            CAPTURE(features);
            Seat seat{{.queue_sizes = {8, 8},
                       .features = features,
                       .script = {.withhold = features & feature::kInOrder ? 0u : 1u, .queue_reset_reads = reads}},
                      features};
            seat.send(0);
            seat.machine.step();
            seat.write(mmio::kQueueSel, 0);
            seat.write(mmio::kQueueReset, 1);
            unsigned polls = 0;
            while (seat.read(mmio::kQueueReset) != 0) ++polls;
            CHECK(polls == reads);
            CHECK(seat.read(mmio::kQueueReady) == 0);
            CHECK(seat.mmio.queue(0)->in_flight() == 0);
            const QueueSetup old = seat.queues[0]->setup();
            seat.machine.memory().release(old.descriptors);
            // A different size than before is allowed.
            seat.start(0, 0, 4);
            seat.mmio.queue(0)->script().withhold = 0;
            seat.mmio.queue(1)->script().withhold = 0;
            for (const std::uint16_t index : {std::uint16_t{0}, std::uint16_t{1}}) {
                seat.send(index);
                seat.machine.step();
                CHECK(seat.reap(index) == 1);
            }
            const Verdict verdict = seat.machine.verdict();
            CHECK_MESSAGE(verdict.clean(), verdict.text());
            for (const char* id : {"RESET-002", "RESET-003", "RESET-004", "MMIO-023"}) CHECK_MESSAGE(verdict.of(id) == Value::held, id);
            if (!(features & feature::kInOrder)) CHECK(verdict.of("RESET-006") == Value::held);
        }
}

TEST_CASE("a queue's reset that is not waited for, half programmed, or taken for done too early") {
    const auto reset = [](Seat& seat) {
        seat.send(0);
        seat.machine.step();
        seat.write(mmio::kQueueSel, 0);
        seat.write(mmio::kQueueReset, 1);
    };
    Seat hasty{{.queue_sizes = {8}}};
    reset(hasty);
    hasty.start(0);
    CHECK(hasty.of("RESET-002") == Value::violated);
    CHECK(hasty.of("MMIO-023") == Value::violated);

    Seat half{{.queue_sizes = {8}}};
    reset(half);
    CHECK(half.read(mmio::kQueueReset) == 0);
    half.start(0, mmio::kQueueSize);
    CHECK(half.of("RESET-004") == Value::violated);

    Seat early{{.queue_sizes = {8}, .script = {.withhold = 1, .queue_reset_reads = Script::kNever}}};
    reset(early);
    for (int i = 0; i < 1000; ++i) CHECK(early.read(mmio::kQueueReset) == 1);
    early.machine.memory().release(early.queues[0]->setup().driver);
    CHECK(early.of("RESET-002") == Value::violated);
    CHECK(early.of("RESET-006") == Value::violated);

    Seat unasked{{.queue_sizes = {8}}, feature::kVersion1};
    unasked.write(mmio::kQueueReset, 1);
    CHECK(unasked.of("MMIO-001") == Value::violated);
}

TEST_CASE("what was in flight must not change, until the reset is confirmed") {
    for (const std::uint64_t features : {kRings[0], kRings[1]}) {
        for (const bool after : {false, true}) {
            Seat seat{{.queue_sizes = {8}, .features = features, .script = {.withhold = 1}}, features};
            seat.send(0);
            seat.machine.step();
            seat.write(mmio::kQueueSel, 0);
            seat.write(mmio::kQueueReset, 1);
            if (after) CHECK(seat.read(mmio::kQueueReset) == 0);
            seat.queues[0]->descriptor(0)[8] ^= std::byte{1};
            if (!after) CHECK(seat.read(mmio::kQueueReset) == 0);
            CHECK(seat.of("RESET-005") == (after ? Value::held : Value::violated));
        }
    }
}
