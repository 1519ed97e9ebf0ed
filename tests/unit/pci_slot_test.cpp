// Native hot-plug over a port whose registers do what the specification says, and over ports that do not.
#include <doctest/doctest.h>

#include "drivers/bus/pci_slot.hpp"
#include "tests/unit/support/fake_pci_tree.hpp"

using namespace virtio;
using fake::PciNode;
using fake::PciTree;
using Happened = PciSlot::Event;

namespace {

constexpr std::uint16_t kControl = 0x58, kStatus = 0x5a; // the capability stands at 0x40
constexpr std::uint16_t kPressed = 1, kChanged = 8, kDone = 0x10, kPresent = 0x40;
constexpr std::uint16_t kOff = 0x400;

/// A root port with a slot that behaves.
struct Rig {
    explicit Rig(std::uint32_t capabilities = 0x7b) {
        port.put(0x18, 0x0001'0100);
        port.slot(capabilities);
        port.allow(kControl, 0xffff, 2);
        port.put(kControl, kOff, 2);
        port.allow(kStatus, 0xffff, 2);
        tree.on_write = [this](PciNode& node, std::uint16_t offset) { written(node, offset); };
    }
    void written(PciNode& node, std::uint16_t offset) {
        if (&node != &port) return;
        if (offset == kStatus) { // events are cleared by ones, the rest cannot be written
            status = static_cast<std::uint16_t>(status & ~(port.get(kStatus, 2) & 0x11f));
        } else if (offset == kControl) {
            ++commands;
            if (completes && (port.get(0x54) & 1u << 18) == 0) status |= kDone;
            const bool off = (port.get(kControl, 2) & kOff) != 0;
            if (off && card != nullptr && leaves) pull();
            if (!off && card != nullptr && answers) card->put(0, 0x1042'1af4);
        }
        port.put(kStatus, status, 2);
    }
    void raise(unsigned bits) {
        status = static_cast<std::uint16_t>(status | bits);
        port.put(kStatus, status, 2);
    }
    void plug(unsigned events = kPressed | kChanged) {
        card = &tree.add(&port, 0);
        card->put(0, (port.get(kControl, 2) & kOff) != 0 ? 0xffff'ffff : 0x1042'1af4);
        raise(kPresent | events);
    }
    void pull(unsigned events = kChanged) {
        tree.take_out(*card);
        card = nullptr;
        status = static_cast<std::uint16_t>(status & ~kPresent);
        raise(events);
    }
    Result<> open() { return slot.open({tree, {0, 0, 3, 0}}); }

    PciTree tree;
    PciNode& port = tree.add_bridge(nullptr, 3);
    PciNode* card = nullptr;
    std::uint16_t status = 0;
    unsigned commands = 0;
    bool completes = true, answers = true, leaves = true;
    PciSlot slot;
};

} // namespace

TEST_CASE("slot: comes, leaves when asked, comes again") {
    Rig rig;
    REQUIRE(rig.open());
    CHECK(rig.slot.bus() == 1);
    CHECK(!rig.slot.occupied());
    REQUIRE(rig.slot.interrupts(true));
    CHECK((rig.port.get(kControl, 2) & 0x3f) == 0x29); // button, presence, interrupt; not the completion of commands
    CHECK(rig.slot.look() == Happened::none);
    for (unsigned round = 0; round < 3; ++round) {
        rig.plug();
        CHECK(rig.slot.look() == Happened::arrived);
        CHECK((rig.status & 0x11f & ~kDone) == 0); // all acknowledged
        REQUIRE(rig.slot.power_on());
        CHECK(rig.slot.occupied());
        CHECK((rig.port.get(kControl, 2) & (kOff | 0x3c0)) == 0x1c0); // power, its light on, the other one off
        CHECK(rig.slot.look() == Happened::none);
        rig.raise(kPressed);
        CHECK(rig.slot.look() == Happened::leaving);
        CHECK(rig.slot.look() == Happened::none);
        REQUIRE(rig.slot.power_off());
        CHECK(rig.card == nullptr);
        CHECK((rig.port.get(kControl, 2) & (kOff | 0x300)) == (kOff | 0x300));
        CHECK((rig.port.get(kControl, 2) & 0x29) == 0x29);
        CHECK(rig.slot.look() == Happened::none);
    }
}

TEST_CASE("slot: torn out, replaced, given up and pressed again") {
    Rig rig;
    rig.plug(0);
    rig.port.put(kControl, 0, 2);
    rig.card->put(0, 0x1042'1af4);
    REQUIRE(rig.open());
    CHECK(rig.slot.occupied()); // it was there at the start
    rig.pull();
    CHECK(rig.slot.look() == Happened::gone);
    CHECK(rig.slot.look() == Happened::none);
    rig.plug(kChanged);
    CHECK(rig.slot.look() == Happened::arrived);
    REQUIRE(rig.slot.power_on());
    rig.raise(kChanged); // out and in again between two looks
    CHECK(rig.slot.look() == Happened::gone);
    CHECK(rig.slot.look() == Happened::arrived);
    REQUIRE(rig.slot.power_on());

    rig.leaves = false; // a card of metal stays where it is until somebody pulls it
    rig.raise(kPressed);
    CHECK(rig.slot.look() == Happened::leaving);
    REQUIRE(rig.slot.power_off());
    CHECK(rig.slot.look() == Happened::none);
    rig.raise(kPressed);
    CHECK(rig.slot.look() == Happened::arrived);
    REQUIRE(rig.slot.power_on());
    REQUIRE(rig.slot.power_off());
    rig.pull();
    CHECK(rig.slot.look() == Happened::none);
    rig.plug();
    CHECK(rig.slot.look() == Happened::arrived);
}

TEST_CASE("slot: events that come while others are acknowledged are not lost") {
    Rig rig;
    REQUIRE(rig.open());
    rig.plug(kChanged);
    rig.tree.on_write = [&](PciNode& node, std::uint16_t offset) {
        rig.written(node, offset);
        if (offset == kStatus && (rig.status & kPressed) == 0 && rig.commands < 100) {
            rig.commands = 100;
            rig.raise(kPressed);
        }
    };
    CHECK(rig.slot.look() == Happened::arrived);
    CHECK((rig.status & kPressed) == 0);
    rig.tree.on_write = [&](PciNode& node, std::uint16_t offset) { // and one that never ends
        rig.written(node, offset);
        if (offset == kStatus) rig.raise(kPressed);
    };
    CHECK(rig.slot.look() == Happened::arrived);
}

TEST_CASE("slot: without power controller, lights and completion") {
    Rig rig(0x40 | 1u << 18);
    REQUIRE(rig.open());
    rig.port.put(kControl, 0, 2);
    rig.plug(kChanged);
    CHECK(rig.slot.look() == Happened::arrived);
    REQUIRE(rig.slot.power_on());
    CHECK((rig.port.get(kControl, 2) & 0x7c0) == 0);
    REQUIRE(rig.slot.power_off());
    CHECK((rig.port.get(kControl, 2) & kOff) == 0);
}

TEST_CASE("slot: what is none") {
    Rig card;
    card.port.space[0x0e] = 0;
    CHECK(card.open().error() == Error::unsupported_device);
    Rig plain;
    plain.port.put(6, 0, 2); // no capabilities
    CHECK(plain.open().error() == Error::unsupported_device);
    Rig fixed(0x3b);
    CHECK(fixed.open().error() == Error::unsupported_device);
    Rig none;
    none.port.put(0x42, 0x0042, 2);
    CHECK(none.open().error() == Error::unsupported_device);
    Rig back;
    back.port.put(0x18, 0);
    CHECK(back.open().error() == Error::unsupported_device);
    Rig edge; // the capability does not fit behind its header
    edge.port.space[0x34] = 0xf0;
    edge.port.put(0xf0, 0x0142'0010);
    edge.tree.on_read = [](PciNode&, std::uint16_t offset) { CHECK(offset < 0x100); };
    edge.port.put(0xfc, 0xffff'ffff);
    CHECK(edge.open().error() == Error::unsupported_device);
    Rig message;
    message.port.put(0x42, 0x0142 | 3 << 9, 2);
    REQUIRE(message.open());
    CHECK(message.slot.message() == 3);
}

TEST_CASE("slot: a port that vanishes, commands that never complete, a card that does not answer") {
    Rig rig;
    REQUIRE(rig.open());
    rig.plug();
    CHECK(rig.slot.look() == Happened::arrived);
    rig.answers = false;
    CHECK(rig.slot.power_on().error() == Error::timeout);
    REQUIRE(rig.slot.power_off());
    rig.plug();
    CHECK(rig.slot.look() == Happened::arrived);
    rig.tree.on_read = [&](PciNode& node, std::uint16_t offset) { // pulled out while it gets power
        if (&node == &rig.port && offset == kStatus && rig.card != nullptr && (rig.port.get(kControl, 2) & kOff) == 0) rig.pull();
    };
    CHECK(rig.slot.power_on().error() == Error::no_device);
    rig.tree.on_read = nullptr;
    rig.completes = false;
    rig.status = 0;
    CHECK(rig.slot.power_off().error() == Error::timeout);
    const std::uint64_t before = rig.tree.clock;
    CHECK(rig.slot.interrupts(true).error() == Error::timeout);
    CHECK(rig.tree.clock - before < 2 * PciSlot::kCommandNs);

    Rig gone;
    gone.plug(0);
    gone.port.put(kControl, 0, 2);
    REQUIRE(gone.open());
    gone.port.allow(kStatus, 0, 2);
    gone.tree.on_write = nullptr;
    gone.port.put(kStatus, 0xffff, 2);
    CHECK(gone.slot.look() == Happened::gone);
    CHECK(gone.slot.look() == Happened::none);
    const unsigned writes = gone.tree.writes;
    CHECK(gone.slot.look() == Happened::none);
    CHECK(gone.tree.writes == writes);
    CHECK(gone.slot.interrupts(true).error() == Error::device_gone);
    CHECK(gone.open().error() == Error::device_gone);
    gone.port.put(kControl, 0xffff, 2);
    const unsigned quiet = gone.tree.writes;
    CHECK(gone.slot.power_off().error() == Error::device_gone);
    CHECK(gone.tree.writes == quiet);
}
