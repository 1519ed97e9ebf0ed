// The machine: registers, a disk, interrupts, threads; with the C driver of the example.
#include <doctest/doctest.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "tests/referee/example_driver.h"
#include "tests/referee/referee.hpp"

using namespace referee;

namespace {

constexpr std::uint64_t kBase = 0x0a00'0000;
using Sector = std::array<std::uint8_t, EXAMPLE_SECTOR>;

Sector pattern(std::uint64_t number) {
    Sector sector{};
    Random random{number};
    for (std::uint8_t& byte : sector) byte = static_cast<std::uint8_t>(random.next());
    return sector;
}

} // namespace

TEST_CASE("a driver in C keeps the rules past the 65,536 wrap, and its data arrives") {
    Machine machine{{.memory = 1 << 20, .seed = 7}};
    Mmio& disk = machine.add_mmio(kBase, Block{.sectors = 64, .order = Order::random});
    example_disk driver{};
    REQUIRE(example_probe(&driver, machine.access(), kBase) == 0);
    CHECK(driver.sectors == 64);
    CHECK(disk.negotiated() == feature::kVersion1);
    for (std::uint64_t i = 0; i < 64; ++i) REQUIRE(example_write(&driver, i, pattern(i).data()) == 0);
    Sector sector{};
    for (std::uint64_t i = 0; i < 70'000; ++i) {
        REQUIRE(example_read(&driver, i % 64, sector.data()) == 0);
        if (i % 997 == 0) REQUIRE(sector == pattern(i % 64));
    }
    CHECK(disk.contents()[5 * EXAMPLE_SECTOR] == pattern(5)[0]);
    CHECK(example_stop(&driver) == 0);
    const Verdict verdict = machine.verdict("INIT STATUS FEAT MMIO VQ SPLIT NOTIF RESET BLK RULE");
    CHECK_MESSAGE(verdict.clean(), verdict.text());
    for (const char* id : {"INIT-001",  "INIT-002",  "INIT-005",  "INIT-006", "INIT-007",  "INIT-010",  "FEAT-001",
                           "FEAT-014",  "MMIO-014",  "MMIO-016",  "MMIO-026", "MMIO-027",  "SPLIT-001", "SPLIT-003",
                           "SPLIT-010", "NOTIF-006", "NOTIF-009", "VQ-001",   "RESET-001", "BLK-015",   "BLK-019"})
        CHECK_MESSAGE(verdict.of(id) == Value::held, id);
    // Its own mistakes are seen: a sector that is not there.
    Machine second{{.memory = 1 << 20, .seed = 7}};
    second.add_mmio(kBase, Block{.sectors = 64});
    REQUIRE(example_probe(&driver, second.access(), kBase) == 0);
    CHECK(example_read(&driver, 64, sector.data()) == -1);
    CHECK(second.verdict("BLK").of("BLK-015") == Value::violated);
}

TEST_CASE("every clause of the ring that applies can be put to the test in one run") {
    Machine machine{{.memory = 1 << 20, .seed = 7}};
    machine.add_mmio(kBase, Block{.sectors = 64,
                                  .order = Order::random,
                                  .script = {.delay = 1, .notify = Notify::random, .junk_events = true, .spurious = 50}});
    example_disk driver{};
    REQUIRE(example_probe(&driver, machine.access(), kBase) == 0);
    Sector sector{};
    for (std::uint64_t i = 0; i < 1000; ++i) REQUIRE(example_read(&driver, i % 64, sector.data()) == 0);
    CHECK(example_stop(&driver) == 0);
    const Verdict verdict = machine.verdict("INIT FEAT VQ SPLIT NOTIF");
    CHECK(verdict.clean());
    CHECK_MESSAGE(verdict.not_exercised == 0, verdict.text());
}

TEST_CASE("the line that a verdict prints replays the run, event by event") {
    const auto run = [](std::uint64_t seed, const Script& script) {
        Machine machine{{.memory = 1 << 20, .seed = seed}};
        machine.add_mmio(kBase, Block{.sectors = 64, .script = script});
        example_disk driver{};
        REQUIRE(example_probe(&driver, machine.access(), kBase) == 0);
        Sector sector{};
        for (std::uint64_t i = 0; i < 50; ++i) REQUIRE(example_read(&driver, i, sector.data()) == 0);
        return std::pair{machine.judge().log().last(Log::kKept), machine.verdict().replay};
    };
    const auto [events, line] = run(12345, {.delay = 2, .notify = Notify::random, .junk_events = true, .spurious = 3});
    CHECK(line == "seed=12345 delay=2 notify=random junk_events=1 spurious=3");
    CHECK(run(1, {}).first != events);
    setenv("RINGSIDE_REFEREE", line.c_str(), 1); // NOLINT(concurrency-mt-unsafe): one thread
    const auto again = run(1, {});
    unsetenv("RINGSIDE_REFEREE"); // NOLINT(concurrency-mt-unsafe)
    CHECK(again.first == events);
    CHECK(again.second == line);
}

TEST_CASE("late, polled and never: the driver waits, and gives up where the device never answers") {
    Sector sector{};
    example_disk driver{};
    for (const Script& script : {Script{.delay = 5}, Script{.notify = Notify::never}, Script{.notify = Notify::busy, .junk_events = true},
                                 Script{.eager = true}, Script{.patient = true}}) {
        CAPTURE(script.text());
        Machine machine{{.memory = 1 << 20}};
        machine.add_mmio(kBase, Block{.sectors = 8, .script = script});
        REQUIRE(example_probe(&driver, machine.access(), kBase) == 0);
        for (int i = 0; i < 100; ++i) REQUIRE(example_read(&driver, 3, sector.data()) == 0);
        CHECK_MESSAGE(machine.verdict().clean(), machine.verdict().text());
    }
    Machine machine{{.memory = 1 << 20}};
    machine.add_mmio(kBase, Block{.sectors = 8, .script = {.withhold = 1}});
    REQUIRE(example_probe(&driver, machine.access(), kBase) == 0);
    CHECK(example_read(&driver, 3, sector.data()) == -2);
}

TEST_CASE("a reset that takes its time is waited for, one that never comes is reported, and memory given back too early is seen") {
    example_disk driver{};
    for (const std::uint32_t reads : {0u, 1u, 50u}) {
        Machine machine{{.memory = 1 << 20}};
        machine.add_mmio(kBase, Block{.script = {.status_reads = reads}});
        REQUIRE(example_probe(&driver, machine.access(), kBase) == 0);
        CHECK(example_stop(&driver) == 0);
        CHECK_MESSAGE(machine.verdict("RESET").clean(), machine.verdict("RESET").text());
        CHECK(machine.memory().live() == 0);
    }
    Machine never{{.memory = 1 << 20}};
    never.add_mmio(kBase, Block{.script = {.status_reads = Script::kNever}});
    REQUIRE(example_probe(&driver, never.access(), kBase) == 0);
    CHECK(example_stop(&driver) == -1);
    CHECK(never.memory().live() == 2);

    Machine early{{.memory = 1 << 20}};
    early.add_mmio(kBase, Block{});
    REQUIRE(example_probe(&driver, early.access(), kBase) == 0);
    early.access()->write(early.access()->context, kBase + mmio::kStatus, 4, 0);
    early.access()->release(early.access()->context, driver.ring);
    CHECK(early.verdict("RESET").of("RESET-006") == Value::violated);
}

TEST_CASE("registers: each misuse is one clause") {
    const auto violated = [](auto&& misuse) {
        Machine machine{{.memory = 1 << 20}};
        machine.add_mmio(kBase, Block{});
        example_disk driver{};
        REQUIRE(example_probe(&driver, machine.access(), kBase) == 0);
        const referee_access* access = machine.access();
        misuse([&](std::uint64_t offset, std::uint64_t value,
                   unsigned width = 4) { access->write(access->context, kBase + offset, width, value); },
               [&](std::uint64_t offset, unsigned width = 4) { return access->read(access->context, kBase + offset, width); });
        std::string ids;
        for (const Finding& finding : machine.verdict().violations) ids += std::string{ids.empty() ? "" : " "} += finding.id;
        return ids;
    };
    CHECK(violated([](auto&&, auto&& read) { read(0x018); }) == "MMIO-001");
    CHECK(violated([](auto&& write, auto&&) { write(mmio::kVersion, 1); }) == "MMIO-002");
    CHECK(violated([](auto&&, auto&& read) { read(mmio::kQueueNotify); }) == "MMIO-003");
    CHECK(violated([](auto&&, auto&& read) { read(mmio::kStatus, 1); }) == "MMIO-004");
    CHECK(violated([](auto&& write, auto&&) { write(mmio::kQueueSize, 4); }) == "MMIO-017");
    CHECK(violated([](auto&& write, auto&&) { write(mmio::kInterruptAck, 5); }) == "MMIO-022");
    CHECK(violated([](auto&& write, auto&&) { write(mmio::kStatus, 7); }) == "STATUS-002");
    CHECK(violated([](auto&& write, auto&&) { write(mmio::kDriverFeatures, 1); }) == "INIT-005");
    CHECK(violated([](auto&& write, auto&&) { write(mmio::kQueueNotify, 3); }) == "RULE-007");
    CHECK(violated([](auto&& write, auto&&) {
              write(mmio::kStatus, 0);
              write(mmio::kStatus, 1);
          }) == "RESET-001");
}

TEST_CASE("there is nothing where no device stands, and an empty slot is left alone") {
    Machine machine{{.memory = 1 << 16}};
    machine.add_mmio(kBase, Device{});
    example_disk driver{};
    CHECK(machine.access()->read(machine.access()->context, kBase - 4, 4) == 0xffff'ffff);
    CHECK(machine.access()->read(machine.access()->context, kBase + 0x200, 2) == 0xffff);
    CHECK(example_probe(&driver, machine.access(), kBase + 0x1000) == -1);
    CHECK(example_probe(&driver, machine.access(), kBase) == -1);
    CHECK_MESSAGE(machine.verdict("MMIO INIT").clean(), machine.verdict("MMIO INIT").text());
}

TEST_CASE("a device that vanishes: registers read all ones, and what was in flight never comes back") {
    Machine machine{{.memory = 1 << 20}};
    Mmio& disk = machine.add_mmio(kBase, Block{.sectors = 8});
    example_disk driver{};
    Sector sector{};
    REQUIRE(example_probe(&driver, machine.access(), kBase) == 0);
    REQUIRE(example_read(&driver, 1, sector.data()) == 0);
    disk.vanish();
    CHECK(example_read(&driver, 1, sector.data()) == -2);
    CHECK(machine.access()->read(machine.access()->context, kBase + mmio::kStatus, 4) == 0xffff'ffff);
    CHECK(machine.access()->read(machine.access()->context, kBase + mmio::kConfig, 1) == 0xff);
    CHECK(example_stop(&driver) == -1);
    CHECK(example_probe(&driver, machine.access(), kBase) == -1);
}

TEST_CASE("driver and device at once, each on its own thread") {
    Machine machine{{.memory = 1 << 20, .seed = 11}};
    machine.add_mmio(kBase, Block{.sectors = 64, .order = Order::random, .script = {.notify = Notify::busy}});
    example_disk driver{};
    REQUIRE(example_probe(&driver, machine.access(), kBase) == 0);
    machine.run_on_thread();
    Sector sector{};
    for (std::uint64_t i = 0; i < 64; ++i) REQUIRE(example_write(&driver, i, pattern(i).data()) == 0);
    for (std::uint64_t i = 0; i < 2000; ++i) {
        REQUIRE(example_read(&driver, i % 64, sector.data()) == 0);
        REQUIRE(sector == pattern(i % 64));
    }
    machine.stop_thread();
    const Verdict verdict = machine.verdict("VQ SPLIT NOTIF RESET");
    CHECK_MESSAGE(verdict.clean(), verdict.text());
    CHECK(verdict.of("SPLIT-010") == Value::held);
}
