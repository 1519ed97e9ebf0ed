// Each check of the console driver that another test would not miss: messages about ports that were not announced, misuse, ends of
// requests that a reset brings, platforms that map badly.
#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/unit/support/crooked_domain.hpp"
#include "tests/unit/support/serial_host.hpp"

using namespace virtio;
using fake::SerialHost;

namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

struct Listener : ConsoleObserver {
    std::vector<std::pair<std::uint32_t, ConsoleChange>> seen;
    Listener() {
        changed = [](ConsoleObserver& observer, ConsolePort& port, ConsoleChange change) noexcept {
            static_cast<Listener&>(observer).seen.emplace_back(port.id(), change);
        };
    }
    [[nodiscard]] std::size_t count(std::uint32_t port, ConsoleChange change) const {
        std::size_t found = 0;
        for (const auto& one : seen) found += one == std::pair{port, change} ? 1 : 0;
        return found;
    }
};

constexpr std::uint16_t kAdd = 1, kRemove = 2, kConsole = 4, kResize = 5, kOpen = 6, kName = 7;

} // namespace

TEST_CASE("console: nobody hears of a port before it is announced, and then of everything") {
    SerialHost host;
    Listener listener;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start({.observer = &listener}));
    listener.seen.clear();
    host.control(2, kConsole, 1);
    host.resize(2, 80, 25);
    host.control(2, kName, 1, "two");
    host.control(2, kOpen, 1);
    host.settle();
    CHECK(listener.seen.empty());
    CHECK(host.console.console() == nullptr);
    CHECK(host.console.find("two") == nullptr);
    CHECK(host.console.counters().bad_control == 0);
    host.plug(2, "two");
    host.settle();
    CHECK(listener.count(2, ConsoleChange::added) == 1);
    CHECK(listener.count(2, ConsoleChange::became_console) == 1);
    CHECK(host.console.console() != nullptr);
    CHECK(host.ports[2].guest_open);
    CHECK(host.device.violations.empty());
}

TEST_CASE("console: PORT_OPEN waits until its port was announced") {
    SerialHost host;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start());
    host.ports[2].ready = true; // so that the host would listen
    host.control(2, kConsole, 1);
    host.settle();
    CHECK_FALSE(host.ports[2].guest_open);
}

TEST_CASE("console: bad messages are counted and change nothing") {
    SerialHost host;
    Listener listener;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start({.maximum_ports = 3, .observer = &listener}));
    listener.seen.clear();
    std::uint64_t bad = 0;
    const auto is_bad = [&] {
        host.settle();
        return host.console.counters().bad_control == ++bad && listener.seen.empty();
    };
    const std::uint64_t refused = host.console.counters().ports_refused;
    host.control(1, kAdd, 1); // it is there
    CHECK(is_bad());
    host.control(2, kRemove, 1); // it is not
    CHECK(is_bad());
    host.control(4, kAdd, 1); // the device has four
    CHECK(is_bad());
    host.control(3, kName, 1, "far"); // one that is not served, and no PORT_ADD
    CHECK(is_bad());
    std::string add(8, '\0');
    add[0] = 2;
    add[4] = kAdd;
    host.raw_control(add, 7);
    CHECK(is_bad());
    host.raw_control(add, 0);
    CHECK(is_bad());
    CHECK(host.console.counters().ports_refused == refused);
    host.control(3, kAdd, 1); // a real port, but one too many
    host.settle();
    CHECK(host.console.counters().ports_refused == refused + 1);
    host.control(1, kOpen, 1); // it is open
    host.settle();
    CHECK(listener.seen.empty());
    CHECK(host.console.counters().bad_control == bad);
}

TEST_CASE("console: a size that did not change is no news, one that comes with the end is nobody's") {
    SerialHost host({.size = true});
    Listener listener;
    host.device.config = fake::console_config(4, 80, 24);
    host.plugged_at_start = {{0, {"", true}}};
    REQUIRE(host.start({.observer = &listener}));
    listener.seen.clear();
    host.device.config_changed();
    host.settle();
    CHECK(listener.seen.empty());
    host.device.config = fake::console_config(4, 100, 30);
    host.device.config_changed();
    ConsolePort& port = host.console.ports()[0];
    CHECK(host.console.stop());
    CHECK(host.console.poll() == 0);
    CHECK(port.size().columns == 80);
}

TEST_CASE("console: an owner who wants no news, more ports wanted than there is room for") {
    SerialHost host({.maximum = 40});
    ConsoleObserver deaf;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start({.maximum_ports = 1000, .observer = &deaf}));
    CHECK(host.console.ports().size() == ConsoleDevice::kMaximumPorts);
    CHECK(host.console.find("data") != nullptr);
    host.unplug(1);
    host.settle();
    CHECK(host.console.find("data") == nullptr);
}

TEST_CASE("console: input that is empty, or comes for a port that has gone, is no input") {
    SerialHost host;
    Listener listener;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start({.observer = &listener}));
    ConsolePort* port = host.console.find("data");
    REQUIRE(port != nullptr);
    REQUIRE(port->open());
    host.settle();
    const unsigned queue = SerialHost::receive_queue(1);
    const auto empty = host.device.take(queue);
    const auto late = host.device.take(queue);
    REQUIRE((empty && late));
    listener.seen.clear();
    host.device.use(queue, *empty, 0);
    host.settle();
    CHECK(listener.count(1, ConsoleChange::readable) == 0);
    host.unplug(1);
    host.settle();
    listener.seen.clear();
    const std::uint64_t received = port->counters().received;
    late->write(0, "late", 4);
    host.device.use(queue, *late, 4);
    host.settle();
    CHECK(listener.seen.empty());
    CHECK(port->counters().received == received);
    std::array<std::byte, 8> out{};
    CHECK(port->take(out) == 0);
    CHECK(host.device.violations.empty());
}

TEST_CASE("console: closing twice says so once; a closed port is not read") {
    SerialHost host;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start());
    ConsolePort* port = host.console.find("data");
    REQUIRE(port != nullptr);
    REQUIRE(port->open());
    host.settle();
    port->close();
    host.settle();
    const unsigned kicks = host.device.queues[3].kicks;
    port->close();
    host.settle();
    CHECK(host.device.queues[3].kicks == kicks);
    std::array<std::byte, 8> out{};
    const auto got = port->read(out, host.platform.clock_ns + 1'000'000);
    REQUIRE_FALSE(got);
    CHECK(got.error() == Error::closed);
}

TEST_CASE("console: output that a reset or a closed host ended counts as dropped") {
    for (const bool closed : {false, true}) {
        SerialHost host;
        host.plugged_at_start = {{1, {"data", false}}};
        REQUIRE(host.start());
        ConsolePort* port = host.console.find("data");
        REQUIRE(port != nullptr);
        host.take_output = false;
        CHECK(port->write(bytes("0123456789"), 0).value() == 10);
        const unsigned queue = SerialHost::receive_queue(1) + 1;
        const auto chain = host.device.take(queue);
        REQUIRE(chain);
        CHECK(port->counters().dropped == 0);
        const std::uint64_t messages = host.console.counters().control_messages;
        if (closed) {
            host.ports[1].open = false;
            host.control(1, kOpen, 0);
            host.settle();
            host.device.use(queue, *chain, 0); // late: nobody knows whether it was read
            host.settle();
        } else {
            CHECK(host.console.stop());
            CHECK(host.console.counters().control_messages == messages); // the buffers that ended were no messages
        }
        CHECK(port->counters().dropped == 10);
        CHECK(port->counters().sent == 0);
    }
}

TEST_CASE("console: a recovery waits for what is on its way, a while, and not for what is broken") {
    SerialHost host;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start());
    ConsolePort* port = host.console.find("data");
    REQUIRE(port != nullptr);
    host.take_output = false;
    CHECK(port->write(bytes("0123456789"), 0).value() == 10);
    std::uint64_t before = host.platform.clock_ns;
    CHECK(host.console.recover());
    CHECK(host.platform.clock_ns - before >= 40'000'000);
    CHECK(host.platform.clock_ns - before < 200'000'000);
    host.settle();
    port = host.console.find("data");
    REQUIRE(port != nullptr);
    CHECK(port->write(bytes("0123456789"), 0).value() == 10);
    const unsigned queue = SerialHost::receive_queue(1);
    host.device.use(queue, 0xfffeu, 1);
    host.settle();
    CHECK(host.console.needs_recovery());
    before = host.platform.clock_ns;
    CHECK(host.console.recover());
    CHECK(host.platform.clock_ns - before < 40'000'000);
}

TEST_CASE("console: a control queue that is broken in the other direction is noticed too") {
    SerialHost host;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start());
    host.device.use(3, 0xfffeu, 0);
    host.settle();
    ConsolePort* port = host.console.find("data");
    REQUIRE(port != nullptr);
    port->close(); // a message of ours: the queue is looked at
    host.settle();
    CHECK(host.console.needs_recovery());
}

TEST_CASE("console: large writes: memory that maps badly, a queue that is broken, a host that closes, an object of another port") {
    const std::string text(100'000, 'x');
    {
        SerialHost host;
        fake::CrookedPlatform platform{host.platform};
        host.plugged_at_start = {{1, {"data", false}}};
        REQUIRE(host.console.start(platform, host.device));
        host.settle();
        ConsolePort* port = host.console.find("data");
        REQUIRE(port != nullptr);
        platform.domain.lengths = [](unsigned, std::size_t) { return std::size_t{0}; };
        ConsoleWrite write;
        const Result<> begun = port->begin(write, bytes(text));
        REQUIRE_FALSE(begun);
        CHECK(begun.error() == Error::dma_map_failed);
        CHECK(write.finished());
        CHECK(host.console.stop());
    }
    {
        SerialHost host;
        host.plugged_at_start = {{1, {"data", false}}, {2, {"more", false}}};
        REQUIRE(host.start());
        ConsolePort* port = host.console.find("data");
        ConsolePort* other = host.console.find("more");
        REQUIRE((port != nullptr && other != nullptr));
        host.take_output = false;
        ConsoleWrite write;
        REQUIRE(port->begin(write, bytes(text)));
        CHECK(other->begin(write, bytes(text)).error() == Error::busy);
        const unsigned queue = SerialHost::receive_queue(1) + 1;
        const auto chain = host.device.take(queue);
        REQUIRE(chain);
        host.ports[1].open = false;
        host.control(1, kOpen, 0);
        host.settle();
        host.device.use(queue, *chain, 0);
        host.settle();
        CHECK(write.finished());
        CHECK(write.error == Error::closed);
        CHECK(write.sent == 0);
        CHECK(port->counters().dropped == text.size());

        const unsigned broken = SerialHost::receive_queue(2) + 1;
        CHECK(other->write(bytes("x"), 0).value() == 1);
        host.device.use(broken, 0xfffeu, 0);
        host.settle();
        REQUIRE(host.console.needs_recovery());
        ConsoleWrite late;
        const Result<> begun = other->begin(late, bytes(text));
        REQUIRE_FALSE(begun);
        CHECK(begun.error() == Error::queue_broken);
        CHECK(late.finished());
    }
}

TEST_CASE("console: what waited when the host closed does not go to whoever opens next, in the same breath") {
    SerialHost host;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start());
    ConsolePort* port = host.console.find("data");
    REQUIRE(port != nullptr);
    for (const bool by_reading : {false, true}) {
        CAPTURE(by_reading);
        host.take_output = false;
        CHECK(port->put(bytes("on its way")).value() == 10);
        CHECK(port->put(bytes("behind it")).value() == 9);
        host.take_output = true;
        host.close(1); // the first one comes back used
        host.open(1);
        std::array<std::byte, 8> buffer;
        if (by_reading) { // whoever reads gets to know of it before poll() does
            CHECK(port->open());
            host.console.poll();
            host.ports[1].received.clear();
            CHECK(port->take(buffer) == 0);
        }
        host.settle();
        CHECK(host.ports[1].received.empty());
        CHECK(port->counters().dropped >= 9);
        CHECK(port->write(bytes("for the new one"), 0).value() == 15);
        CHECK(host.ports[1].received == "for the new one");
        host.ports[1].received.clear();
    }
    {
        const std::string text(3u << 20, 'x');
        host.take_output = false;
        ConsoleWrite write;
        REQUIRE(port->begin(write, bytes(text)));
        const auto chain = host.device.take(SerialHost::receive_queue(1) + 1);
        REQUIRE(chain);
        host.control(1, kOpen, 0);
        host.control(1, kOpen, 1);
        host.device.use(SerialHost::receive_queue(1) + 1, *chain, 0);
        host.take_output = true;
        host.settle();
        CHECK(write.finished());
        CHECK(write.sent < text.size());
        CHECK(host.ports[1].received.empty());
        CHECK(port->host_open());
    }
    CHECK(host.console.stop());
    CHECK(host.device.violations.empty());
}

TEST_CASE("console: B40: DEVICE_NEEDS_RESET is noticed and healed, and a recovery that fails is asked for again") {
    SerialHost host;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start());
    host.device.needs_reset();
    host.settle();
    REQUIRE(host.console.needs_recovery());
    host.platform.allocations_until_failure = 1; // no memory now
    CHECK_FALSE(host.console.recover());
    CHECK(host.console.needs_recovery());
    host.platform.allocations_until_failure = -1;
    CHECK(host.console.recover());
    host.settle();
    CHECK_FALSE(host.console.needs_recovery());
    ConsolePort* port = host.console.find("data");
    REQUIRE(port != nullptr);
    CHECK(port->write(bytes("well"), 0).value() == 4);
    CHECK(host.console.stop());
}

TEST_CASE("console: a large write that a reset ended was not sent") {
    SerialHost host;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start());
    ConsolePort* port = host.console.find("data");
    REQUIRE(port != nullptr);
    const std::string text(100'000, 'x');
    host.take_output = false;
    ConsoleWrite write;
    REQUIRE(port->begin(write, bytes(text)));
    CHECK(host.console.recover());
    CHECK(write.finished());
    CHECK(write.error == Error::device_reset);
    CHECK(write.sent == 0);
    CHECK(host.console.stop());
}

TEST_CASE("console: a large write that could not begin is not continued on the next connection") {
    SerialHost host;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start());
    ConsolePort* port = host.console.find("data");
    REQUIRE(port != nullptr);
    const std::string text(100'000, 'x');
    host.take_output = false;
    ConsoleWrite first;
    REQUIRE(port->begin(first, bytes(text)));
    const auto chain = host.device.take(SerialHost::receive_queue(1) + 1);
    REQUIRE(chain);
    unsigned waits = 0;
    host.platform.on_wait = [&] {
        if (++waits == 1) { // the host closes, and somebody else opens
            host.control(1, kOpen, 0);
            host.control(1, kOpen, 1);
            host.device.use(SerialHost::receive_queue(1) + 1, *chain, 0);
            host.take_output = true;
        }
    };
    const auto sent = port->write(bytes(text));
    REQUIRE_FALSE(sent);
    CHECK(sent.error() == Error::closed);
    CHECK(host.ports[1].received.empty());
    host.platform.on_wait = [] {};
}
