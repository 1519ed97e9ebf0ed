// Lines and messages of ARM machines: what reaches the controller, and a GICv2m frame that says nonsense about itself.
#include <doctest/doctest.h>

#include <array>
#include <map>

#include "arch/arm/gic.hpp"
#include "arch/arm/gic_v2m.hpp"
#include "arch/arm/interrupt_vectors.hpp"

namespace arch {

constinit InterruptVectors interrupt_vectors;

} // namespace arch

namespace {

using arch::Gic;
using arch::InterruptChip;
using arch::Trigger;

class FakeGic final : public Gic {
public:
    const char* start(const arch::Hardware&, arch::MapRegisters) noexcept override { return nullptr; }
    bool enable(std::uint32_t intid, Trigger trigger) noexcept override {
        if (intid >= inputs) return false;
        enabled[intid] = trigger;
        return true;
    }
    void disable(std::uint32_t intid) noexcept override { enabled.erase(intid); }
    bool start_here() noexcept override { return true; }
    std::uint32_t acknowledge() noexcept override { return kNothing; }
    void end(std::uint32_t) noexcept override {}
    void wake(std::uint64_t) noexcept override {}

    std::uint32_t inputs = 288;
    std::map<std::uint32_t, Trigger> enabled;
};

FakeGic gic;
std::array<std::uint32_t, 1024> frame_registers;

std::uintptr_t map(std::uint64_t, std::uint64_t) { return reinterpret_cast<std::uintptr_t>(frame_registers.data()); }

arch::Hardware with_frame(std::uint32_t first, std::uint32_t count, std::uint32_t type_register) {
    arch::Hardware hardware;
    InterruptChip chip{.kind = InterruptChip::Kind::gic_v2m, .first = first, .count = count};
    chip.registers[0] = {0x8020000, 0x1000};
    hardware.chips[hardware.chip_count++] = chip;
    frame_registers[2] = type_register;
    return hardware;
}

} // namespace

namespace arch {

Gic* choose_gic(const Hardware& hardware) noexcept { return hardware.chip_count == 0 ? nullptr : &gic; }

} // namespace arch

TEST_CASE("a machine without a controller that we know is said to be one") {
    CHECK(arch::start_interrupts(arch::Hardware{}, map) != nullptr);
}

TEST_CASE("messages take inputs of the frame, one each, and give them back") {
    gic.enabled.clear();
    REQUIRE(arch::start_interrupts(with_frame(80, 2, 0), map) == nullptr);
    arch::Message first, second, third;
    REQUIRE(arch::connect_message(0x40, 8, 0, first));
    REQUIRE(arch::connect_message(0x41, 8, 1, second));
    CHECK(first.address == 0x8020040);
    CHECK(first.data == 80);
    CHECK(second.data == 81);
    CHECK(gic.enabled.at(80) == Trigger::edge);
    CHECK(arch::interrupt_vectors.of_intid[81] == 0x41);
    CHECK_FALSE(arch::connect_message(0x42, 8, 2, third)); // none is left
    arch::disconnect_message(0x40);
    CHECK_FALSE(gic.enabled.contains(80));
    CHECK(arch::interrupt_vectors.of_intid[80] == 0);
    arch::disconnect_message(0x40); // again: nothing happens
    REQUIRE(arch::connect_message(0x42, 9, 0, third));
    CHECK(third.data == 80);
    // What the controller does not have is not kept.
    arch::disconnect_message(0x41);
    gic.inputs = 81;
    CHECK_FALSE(arch::connect_message(0x43, 9, 1, second));
    gic.inputs = 288;
    CHECK(arch::connect_message(0x43, 9, 1, second));
    arch::disconnect_message(0x42);
    arch::disconnect_message(0x43);
}

TEST_CASE("lines are INTIDs that the controller has") {
    gic.enabled.clear();
    REQUIRE(arch::route_line({.gsi = 33, .trigger = Trigger::level}, 0x50));
    CHECK(gic.enabled.at(33) == Trigger::level);
    CHECK(arch::interrupt_vectors.of_intid[33] == 0x50);
    CHECK_FALSE(arch::route_line({.gsi = 288}, 0x51));
    CHECK(arch::interrupt_vectors.of_intid[288] == 0);
    for (const std::uint32_t gsi : {1020u, 8192u, ~0u}) CHECK_FALSE(arch::route_line({.gsi = gsi}, 0x51));
    arch::mask_line(33);
    CHECK(gic.enabled.empty());
    arch::mask_line(~0u);
}

TEST_CASE("a frame's own word is taken where the firmware gives none, as far as it makes sense") {
    struct Case {
        std::uint32_t type;
        bool usable;
        std::uint32_t first;
    };
    for (const Case& c : {Case{64 << 16 | 32, true, 64}, Case{0, false, 0}, Case{31 << 16 | 8, false, 0}, Case{1023 << 16 | 8, false, 0},
                          Case{64 << 16, false, 0}, Case{1019 << 16 | 1023, true, 1019}, Case{~0u, false, 0}}) {
        CAPTURE(c.type);
        arch::GicV2m frame;
        CHECK(frame.start(with_frame(0, 0, c.type), map) == c.usable);
        CHECK(frame.started() == c.usable);
        CHECK(frame.allocate(0x30) == c.first);
        if (c.first == 1019) CHECK(frame.allocate(0x31) == 0); // not beyond the last input
    }
}
