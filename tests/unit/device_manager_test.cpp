// The device manager's parts that need no machine: whom an interrupt calls, and why a device did not start, in words.
#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "drivers/blk/blk.hpp"
#include "kernel/device_manager/device_text.hpp"
#include "kernel/device_manager/pci_windows.hpp"
#include "kernel/device_manager/routes.hpp"
#include "kernel/processor/processor.hpp"

namespace {

constexpr std::uint32_t kSender = 0x18, kUnknownSender = 0xffff;

/// The machine's vectors and lines, as kernel/interrupt/interrupts.hpp has them.
struct Machine {
    struct Slot {
        kernel::InterruptHandler handler = nullptr;
        void* context = nullptr;
    };
    std::array<Slot, 256> slots{};
    std::vector<std::uint32_t> masked;
    std::array<int, 32> routed{};                                 // the vector of each line, 0: none
    std::vector<std::pair<std::uint32_t, std::uint32_t>> senders; // of messages, and which of theirs
    unsigned vectors = 200;                                       // how many there are
    unsigned inputs = 24;
    kernel::Processor* here = &kernel::processors::boot;
    std::vector<kernel::Processor*> notified, called; // by others

    void raise(std::uint32_t vector) {
        REQUIRE((slots[vector].handler != nullptr));
        slots[vector].handler(slots[vector].context);
    }
    [[nodiscard]] unsigned used() const {
        unsigned count = 0;
        for (const Slot& slot : slots) count += slot.handler != nullptr ? 1u : 0u;
        return count;
    }
} machine;

struct Device {
    std::vector<unsigned> heard;
    bool interrupts = true; // it was this one, so that somebody is woken
    virtio::InterruptTarget target() {
        return {[](void* context, std::uint16_t vector) noexcept {
                    auto& device = *static_cast<Device*>(context);
                    device.heard.push_back(vector);
                    if (device.interrupts) machine.here->scheduler.hint();
                },
                this};
    }
};

} // namespace

namespace kernel {
virtio::Result<Vector> allocate_vector(InterruptHandler handler, void* context, const char*) {
    if (machine.used() == machine.vectors) return virtio::fail(virtio::Error::interrupt_unavailable);
    for (unsigned number = 0x30; number < 256; ++number) {
        if (machine.slots[number].handler != nullptr) continue;
        machine.slots[number] = {handler, context};
        return Vector{static_cast<std::uint8_t>(number)};
    }
    return virtio::fail(virtio::Error::interrupt_unavailable);
}
void free_vector(Vector vector) { machine.slots[vector.number] = {}; }
virtio::Result<MsiMessage> connect_message(Vector vector, std::uint32_t device, std::uint32_t index) {
    if (device == kUnknownSender) return virtio::fail(virtio::Error::interrupt_unavailable);
    machine.senders.push_back({device, index});
    return MsiMessage{0xfee00000, vector.number};
}
virtio::Result<> route_line(const Line& line, Vector vector) {
    if (line.gsi >= machine.inputs) return virtio::fail(virtio::Error::out_of_range);
    machine.routed[line.gsi] = vector.number;
    return {};
}
void mask_line(std::uint32_t gsi) { machine.masked.push_back(gsi); }
constinit Processor processors::boot;
void Processor::notify() noexcept { machine.notified.push_back(this); }
void call_on(Processor& where, void (*run)(void*), void* context) {
    Processor* const caller = std::exchange(machine.here, &where);
    if (caller != &where) machine.called.push_back(&where);
    run(context);
    machine.here = caller;
}
bool interrupts_enabled() noexcept { return false; }
void enable_interrupts() noexcept {}
void disable_interrupts() noexcept {}
} // namespace kernel

extern "C" void* ringside_test_processor() { return machine.here; }

using namespace kernel;

TEST_CASE("routes: the interrupt controller hears who sends a message; one that it cannot serve costs no vector") {
    machine = {};
    InterruptRoutes routes;
    Device device;
    REQUIRE(routes.add_message(device.target(), kSender, 3, "pci 00:03.0"));
    CHECK((machine.senders == std::vector<std::pair<std::uint32_t, std::uint32_t>>{{kSender, 3}}));
    CHECK(routes.add_message(device.target(), kUnknownSender, 0, "pci 00:04.0").error() == virtio::Error::interrupt_unavailable);
    CHECK(machine.used() == 1);
}

TEST_CASE("routes: each message calls its own device with its own number") {
    machine = {};
    InterruptRoutes routes;
    Device one, two;
    const auto a = routes.add_message(one.target(), kSender, 0, "pci 00:01.0");
    const auto b = routes.add_message(one.target(), kSender, 1, "pci 00:01.0");
    const auto c = routes.add_message(two.target(), kSender, 0, "pci 00:02.0");
    REQUIRE((a && b && c));
    machine.raise(b->data);
    machine.raise(c->data);
    machine.raise(a->data);
    CHECK(one.heard == std::vector<unsigned>{1, 0});
    CHECK(two.heard == std::vector<unsigned>{0});
    routes.remove(one.target());
    CHECK(machine.used() == 1);
    CHECK((machine.slots[a->data].handler == nullptr));
    machine.raise(c->data);
    CHECK(two.heard.size() == 2);
}

TEST_CASE("routes: B26: no vectors left is an error value, and a freed one comes back") {
    machine = {};
    machine.vectors = 2;
    InterruptRoutes routes;
    Device device;
    REQUIRE(routes.add_message(device.target(), kSender, 0, "a"));
    REQUIRE(routes.add_message(device.target(), kSender, 1, "a"));
    CHECK(routes.add_message(device.target(), kSender, 2, "a").error() == virtio::Error::interrupt_unavailable);
    CHECK(routes.add_line({.gsi = 5}, device.target(), "a").error() == virtio::Error::interrupt_unavailable);
    routes.remove(device.target());
    CHECK(machine.used() == 0);
    CHECK(routes.add_line({.gsi = 5}, device.target(), "a"));
    machine = {};
    machine.vectors = 250;
    InterruptRoutes many;
    for (std::size_t i = 0; i < InterruptRoutes::kMostMessages; ++i) REQUIRE(many.add_message(device.target(), kSender, 0, "x"));
    CHECK(many.add_message(device.target(), kSender, 0, "x").error() == virtio::Error::interrupt_unavailable);
}

TEST_CASE("routes: trap 30: a shared line calls everybody on it, and is masked when the last one goes") {
    machine = {};
    InterruptRoutes routes;
    Device one, two, other;
    REQUIRE(routes.add_line({.gsi = 11, .trigger = Trigger::level, .polarity = Polarity::low}, one.target(), "pci 00:01.0"));
    REQUIRE(routes.add_line({.gsi = 11, .trigger = Trigger::level, .polarity = Polarity::low}, two.target(), "pci 00:02.0"));
    REQUIRE(routes.add_line({.gsi = 10}, other.target(), "pci 00:03.0"));
    CHECK(machine.used() == 2);
    machine.raise(static_cast<std::uint32_t>(machine.routed[11]));
    CHECK(one.heard.size() == 1);
    CHECK(two.heard.size() == 1);
    CHECK(other.heard.empty());
    routes.remove(one.target());
    CHECK(machine.masked.empty());
    machine.raise(static_cast<std::uint32_t>(machine.routed[11]));
    CHECK(one.heard.size() == 1);
    CHECK(two.heard.size() == 2);
    routes.remove(two.target());
    CHECK(machine.masked == std::vector<std::uint32_t>{11});
    CHECK(machine.used() == 1);
    routes.remove(two.target()); // nothing left to forget
    CHECK(machine.masked.size() == 1);
    // A line that no chip has leaves nothing behind; too many on one line is an error.
    CHECK(routes.add_line({.gsi = 99}, one.target(), "x").error() == virtio::Error::out_of_range);
    CHECK(machine.used() == 1);
    std::array<Device, InterruptRoutes::kSharers + 1> crowd;
    for (std::size_t i = 0; i < InterruptRoutes::kSharers; ++i) REQUIRE(routes.add_line({.gsi = 7}, crowd[i].target(), "x"));
    CHECK(routes.add_line({.gsi = 7}, crowd.back().target(), "x").error() == virtio::Error::interrupt_unavailable);
}

TEST_CASE("routes: a line that processors share comes to the first of them, and the others are woken for their devices") {
    machine = {};
    InterruptRoutes routes;
    Processor second;
    Device one, two;
    REQUIRE(routes.add_line({.gsi = 11}, one.target(), "pci 00:01.0"));
    machine.here = &second;
    REQUIRE(routes.add_line({.gsi = 11}, two.target(), "pci 00:05.0"));
    // Whoever handles the line's interrupts must not look at the list while it changes.
    CHECK(machine.called == std::vector<Processor*>{&processors::boot});
    machine.here = &processors::boot;
    machine.raise(static_cast<std::uint32_t>(machine.routed[11]));
    CHECK(one.heard.size() == 1);
    CHECK(two.heard.size() == 1);
    CHECK(machine.notified == std::vector<Processor*>{&second});
    two.interrupts = false; // it was the other one's
    machine.raise(static_cast<std::uint32_t>(machine.routed[11]));
    CHECK(machine.notified.size() == 1);

    machine.here = &second;
    routes.remove(two.target());
    CHECK(machine.called == std::vector<Processor*>{&processors::boot, &processors::boot});
    routes.remove(two.target()); // it is on no list: nobody is asked
    CHECK(machine.called.size() == 2);
    machine.here = &processors::boot;
    machine.raise(static_cast<std::uint32_t>(machine.routed[11]));
    CHECK(two.heard.size() == 2);
}

TEST_CASE("device text: the reason names the feature") {
    const auto text = [](virtio::Error error, virtio::Refusal refusal) {
        char buffer[96];
        describe_failure(buffer, error, refusal, virtio::BlockDevice::feature_names());
        return std::string(buffer);
    };
    using virtio::Error;
    CHECK(text(Error::feature_missing, {Error::feature_missing, 32}) == "feature VERSION_1 is not offered");
    CHECK(text(Error::feature_missing, {Error::feature_missing, 9}) == "feature FLUSH is not offered");
    CHECK(text(Error::feature_missing, {Error::feature_missing, 99}) == "feature bit 99 is not offered");
    CHECK(text(Error::dma_domain_missing, {Error::dma_domain_missing, 33}) ==
          "feature ACCESS_PLATFORM is offered, but there is no IOMMU domain");
    CHECK(text(Error::feature_refused, {Error::feature_refused, 0}).find("FEATURES_OK") != std::string::npos);
    // A refusal of an earlier life does not explain another error.
    CHECK(text(Error::reset_timeout, {Error::feature_missing, 32}) == virtio::message(Error::reset_timeout));
    char tiny[8];
    describe_failure(tiny, Error::feature_missing, {Error::feature_missing, 32}, {});
    CHECK(std::strlen(tiny) == 7);
}

TEST_CASE("device text: names of device types") {
    CHECK(std::string(virtio_type_name(8)) == "SCSI host");
    CHECK(std::string(virtio_type_name(2)) == "block device");
    CHECK(virtio_type_name(0) == nullptr);
    CHECK(virtio_type_name(0xffff'ffff) == nullptr);
}

TEST_CASE("windows: a function's memory is where its bridge has it, and nowhere if no bridge passes it on") {
    constexpr std::uint64_t kEnd = 0x80'0000'0000 + 0x1000'0000; // of the window of 64 bits
    std::array<kernel::PciHost, 2> hosts{};
    // The first host is QEMU's virt; on the second the addresses of the bus are others than the processor's.
    hosts[0].windows = {kernel::PciWindow{kernel::PciWindow::Kind::port, 0, 0x3eff'0000, 0x1'0000},
                        kernel::PciWindow{kernel::PciWindow::Kind::memory32, 0x1000'0000, 0x1000'0000, 0x2eff'0000},
                        kernel::PciWindow{kernel::PciWindow::Kind::memory64, 0x80'0000'0000, 0x80'0000'0000, 0x1000'0000}};
    hosts[0].window_count = 3;
    hosts[1].windows[0] = {kernel::PciWindow::Kind::memory32, 0xc000'0000, 0x6'0000'0000, 0x1000'0000};
    hosts[1].window_count = 1;
    CHECK(kernel::memory_behind(hosts, 0x1000'4000, 0x4000) == 0x1000'4000);
    CHECK(kernel::memory_behind(hosts, 0x3efe'f000, 0x1000) == 0x3efe'f000); // the last page
    CHECK(kernel::memory_behind(hosts, kEnd - 0x4000, 0x4000) == kEnd - 0x4000);
    CHECK(kernel::memory_behind(hosts, 0xc000'1000, 0x1000) == 0x6'0000'1000);
    CHECK_FALSE(kernel::memory_behind(hosts, 0x0800'0000, 0x1000).has_value()); // the interrupt controller
    CHECK_FALSE(kernel::memory_behind(hosts, 0x0fff'f000, 0x2000).has_value());
    CHECK_FALSE(kernel::memory_behind(hosts, 0x3efe'f000, 0x1001).has_value());
    CHECK_FALSE(kernel::memory_behind(hosts, kEnd - 0x4000, 0x4001).has_value());
    CHECK_FALSE(kernel::memory_behind(hosts, 0x6'0000'1000, 0x1000).has_value()); // the processor's address of it
    CHECK_FALSE(kernel::memory_behind(hosts, ~std::uint64_t{0}, 0x1000).has_value());
    CHECK(kernel::memory_behind(std::span(hosts).first(1), 0x1000'0000, 1) == 0x1000'0000);

    CHECK(kernel::ports_behind(hosts, 0x1000, 0x20) == 0x3eff'1000);
    CHECK_FALSE(kernel::ports_behind(hosts, 0xfff0, 0x20).has_value());
    hosts[0].windows[0].base = 0;
    CHECK_FALSE(kernel::ports_behind(hosts, 0x1000, 0x20).has_value()); // the processor's own

    // Who has no memory window passes no memory on.
    hosts[0].window_count = 1;
    CHECK_FALSE(kernel::memory_behind(std::span(hosts).first(1), 0x1000'0000, 1).has_value());
    // ACPI's tables do not say what a bridge passes on: everything, as it is.
    hosts[0].window_count = hosts[1].window_count = 0;
    CHECK(kernel::memory_behind(hosts, 0xfebf'0000, 0x1000) == 0xfebf'0000);
    CHECK(kernel::memory_behind(hosts, 0x38'0000'0000, 0x4000) == 0x38'0000'0000);
    CHECK(kernel::memory_behind({}, 0xfebf'0000, 0x1000) == 0xfebf'0000);
}
