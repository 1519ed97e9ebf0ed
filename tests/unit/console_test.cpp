// The console driver against a well-behaved host (support/serial_host.hpp): ports, names, streams, sizes, many operations.
#include <doctest/doctest.h>

#include <numeric>
#include <string>

#include "tests/unit/support/serial_host.hpp"

using namespace virtio;
using fake::SerialHost;

namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }
std::string pattern(std::size_t size, unsigned seed = 1) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>((i * 31 + i / 251 + seed) & 0xff);
    return text;
}
std::string read_all(ConsolePort& port, std::size_t chunk = 4096) {
    std::string all, buffer(chunk, '\0');
    while (const std::size_t count = port.take(std::as_writable_bytes(std::span(buffer)))) all.append(buffer, 0, count);
    return all;
}
void clean(SerialHost& host) {
    CHECK(host.device.violations.empty());
    for (const std::string& violation : host.device.violations) MESSAGE(violation);
    CHECK(host.console.device().watchdog_rescues() == 0);
    CHECK(host.console.stop().has_value());
    CHECK(host.platform.live.empty());
}

} // namespace

TEST_CASE("one console port without MULTIPORT") {
    for (const bool event_index : {true, false}) {
        SerialHost host({.multiport = false, .event_index = event_index});
        REQUIRE(host.start());
        ConsolePort* port = host.console.console();
        REQUIRE(port != nullptr);
        CHECK(port->host_open());
        CHECK(port->opened());
        CHECK(host.device.accepted == (host.device.offered & FeatureSet::of(0u, 2u, 29u, 32u, 34u)));
        CHECK(port->write(bytes("hello"), 0).value() == 5);
        CHECK(host.ports[0].received == "hello");
        host.type(0, "typed");
        host.settle();
        CHECK(read_all(*port) == "typed");
        CHECK_FALSE(host.console.ports().size() > 1);
        clean(host);
    }
}

TEST_CASE("trap 35: queue numbers of port 0, control and later ports") {
    SerialHost host({.maximum = 3});
    host.plugged_at_start = {{0, {"zero", true}}, {2, {"two", false}}};
    REQUIRE(host.start());
    for (unsigned queue = 0; queue < 8; ++queue) CHECK(host.device.queues[queue].enabled);
    ConsolePort* two = host.console.find("two");
    REQUIRE(two != nullptr);
    CHECK(two->id() == 2);
    CHECK(two->receive_queue().index() == 6);
    CHECK(two->transmit_queue().index() == 7);
    CHECK(two->write(bytes("for two"), 0).value() == 7);
    CHECK(host.ports[2].received == "for two");
    CHECK(host.ports[0].received.empty());
    clean(host);
}

TEST_CASE("31 ports are announced, named and opened though the device drops messages that find no buffer") {
    for (const std::uint16_t control_queue : std::initializer_list<std::uint16_t>{4, 8, 32, 128}) {
        SerialHost host({.maximum = 31, .control_queue = control_queue});
        REQUIRE(host.start());
        // As hot-plug does it: what does not fit at once is announced later.
        for (std::uint32_t id = 0; id < 31; ++id) {
            host.plug(id, "port " + std::to_string(id), id % 8 == 0);
            host.settle();
        }
        CHECK(host.lost_control == 0);
        for (std::uint32_t id = 0; id < 31; ++id) {
            ConsolePort* port = host.console.find("port " + std::to_string(id));
            REQUIRE(port != nullptr);
            CHECK(port->id() == id);
            CHECK(port->host_open());
            CHECK(port->is_console() == (id % 8 == 0));
            CHECK(host.ports[id].guest_open == (id % 8 == 0)); // CONS-005
        }
        CHECK(host.device_ready == 1); // CONS-003
        CHECK(host.console.settled());
        clean(host);
    }
    // All at once, right after DEVICE_READY: 31 messages into a queue of 32 buffers, then up to three answers for each port.
    SerialHost host({.maximum = 31, .control_queue = 32});
    for (std::uint32_t id = 0; id < 31; ++id) host.plugged_at_start[id] = {"n" + std::to_string(id), true};
    REQUIRE(host.start());
    CHECK(host.lost_control == 0);
    for (std::uint32_t id = 0; id < 31; ++id) CHECK(host.console.find("n" + std::to_string(id)) != nullptr);
    clean(host);
}

TEST_CASE("a host that is short of time is waited for before anybody asks where the ports are; one that never answers is not") {
    constexpr std::uint64_t kNever = 1'000'000'000'000;
    for (const std::uint64_t slow : {std::uint64_t{0}, std::uint64_t{3'000'000'000}, kNever}) {
        SerialHost host;
        host.plugged_at_start[0] = {"the console", true};
        const std::uint64_t answers_from = host.platform.clock_ns + slow;
        const auto answer = host.device.on_notify;
        host.device.on_notify = [&](unsigned queue) {
            if (queue != 3 || host.platform.clock_ns >= answers_from) answer(queue);
        };
        host.platform.on_wait = [&] {
            if (host.platform.clock_ns >= answers_from) answer(3);
        };
        REQUIRE(host.console.start(host.platform, host.device));
        const bool comes = slow != kNever;
        CHECK(host.console.settle() == comes);
        CHECK((host.console.find("the console") != nullptr) == comes);
        CHECK((host.console.console() != nullptr && host.console.console()->host_open()) == comes);
        CHECK(host.platform.clock_ns <= answers_from - slow + ConsoleDevice::kSettleNs + 1'000'000);
        clean(host);
    }
}

TEST_CASE("a device that never stops talking is not listened to for ever before anybody else may go on") {
    SerialHost host;
    const auto answer = host.device.on_notify;
    unsigned told = 0;
    bool inside = false;
    host.device.on_notify = [&](unsigned queue) {
        answer(queue);
        if (queue != 2 || inside) return;
        inside = true;
        while (told < 1'000'000 && host.control(0, 99, 0)) ++told;
        inside = false;
    };
    host.platform.tick_ns = 100'000'000;
    REQUIRE(host.console.start(host.platform, host.device));
    host.console.settle();
    CHECK(told > 32);
    CHECK(told < 1'000'000);
}

TEST_CASE("more ports than we serve are refused with PORT_READY 0") {
    SerialHost host({.maximum = 8});
    host.plugged_at_start = {{0, {"a", false}}, {5, {"b", false}}};
    REQUIRE(host.start({.maximum_ports = 4}));
    CHECK(host.console.find("a") != nullptr);
    CHECK(host.console.find("b") == nullptr);
    CHECK(host.console.counters().ports_refused == 1);
    CHECK(host.readies == std::vector<std::pair<std::uint32_t, std::uint16_t>>{{0, 1}, {5, 0}});
    clean(host);
}

TEST_CASE("trap 35: control messages before the port is announced are remembered") {
    SerialHost host;
    REQUIRE(host.start());
    host.control(1, 7, 1, "early");
    host.control(1, 6, 1);
    host.control(1, 4, 1);
    host.resize(1, 132, 50);
    host.settle();
    CHECK(host.console.find("early") == nullptr); // not announced yet
    host.control(1, 1, 1);
    host.settle();
    ConsolePort* port = host.console.find("early");
    REQUIRE(port != nullptr);
    CHECK(port->host_open());
    CHECK(port->is_console());
    CHECK(port->size().columns == 132);
    CHECK(port->size().rows == 50);
    clean(host);
}

TEST_CASE("trap 35: resize by control message and by configuration") {
    SerialHost host({.size = true});
    host.device.config = fake::console_config(4, 80, 24);
    host.plugged_at_start = {{0, {"", true}}, {1, {"", true}}};
    REQUIRE(host.start());
    ConsolePort& zero = host.console.ports()[0];
    ConsolePort& one = host.console.ports()[1];
    CHECK(zero.size().columns == 80);
    CHECK(zero.size().rows == 24);
    CHECK(one.size().columns == 0); // the configuration is port 0's
    host.resize(1, 100, 30);
    host.settle();
    CHECK(one.size().columns == 100);
    CHECK(one.size().rows == 30);
    host.device.config = fake::console_config(4, 200, 60);
    host.device.config_changed();
    CHECK(host.console.device().event().pending());
    host.settle();
    CHECK(zero.size().columns == 200);
    CHECK(zero.size().rows == 60);
    CHECK(one.size().columns == 100);
    host.control(1, 5, 0, "\x01"); // too short for a size
    host.settle();
    CHECK(one.size().columns == 100);
    CHECK(host.console.counters().bad_control == 1);
    clean(host);
}

TEST_CASE("names are printable, cut, and unique to the port that is there") {
    SerialHost host;
    host.plugged_at_start = {{1, {"a\x1b[2Jb\nc\x7f", false}}, {2, {std::string(300, 'x'), false}}};
    REQUIRE(host.start());
    CHECK(host.console.ports()[1].name() == "a?[2Jb?c?");
    CHECK(host.console.ports()[2].name() == std::string(ConsolePort::kNameBytes, 'x'));
    host.unplug(1);
    host.settle();
    CHECK(host.console.find("a?[2Jb?c?") == nullptr);
    host.plug(1, "new");
    host.settle();
    CHECK(host.console.find("new") != nullptr);
    clean(host);
}

TEST_CASE("streams: any chunking, both ways, in order") {
    SerialHost host;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start());
    ConsolePort* port = host.console.find("data");
    REQUIRE(port != nullptr);
    const std::string text = pattern(300'000);
    // Host to guest: nothing comes before the port is open.
    host.type(1, text);
    host.settle();
    CHECK(read_all(*port).empty());
    CHECK(port->open().has_value());
    std::string got;
    for (int i = 0; i < 10'000 && got.size() < text.size(); ++i) {
        host.settle();
        got += read_all(*port, static_cast<std::size_t>(1 + i % 1500));
    }
    CHECK(got == text);
    // Guest to host.
    std::size_t sent = 0;
    for (std::size_t i = 1; sent < text.size(); i = i * 7 % 5003 + 1) {
        const std::size_t now = std::min(i, text.size() - sent);
        REQUIRE(port->write(bytes(std::string_view(text).substr(sent, now)), host.platform.clock_ns + 1'000'000).value() == now);
        sent += now;
    }
    host.settle();
    CHECK(host.ports[1].received == text);
    CHECK(port->counters().sent == text.size());
    CHECK(port->counters().received == text.size());
    CHECK(port->counters().dropped == 0);
    clean(host);
}

TEST_CASE("1 MiB in one write: no copy, at most 4 kicks") {
    SerialHost host;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start());
    ConsolePort* port = host.console.find("data");
    const std::string text = pattern(1 << 20);
    const unsigned kicks = host.device.queues[5].kicks;
    bool ours = false;
    host.take_output = false;
    host.platform.on_wait = [&] {
        while (const auto chain = host.device.take(5)) {
            ours = !host.platform.in_place() || chain->readable[0].data == reinterpret_cast<const std::byte*>(text.data());
            std::string part(chain->readable_bytes(), '\0');
            chain->read(0, part.data(), part.size());
            host.ports[1].received += part;
            host.device.use(5, *chain, 0);
        }
    };
    CHECK(port->write(bytes(text)).value() == text.size());
    CHECK(ours);
    CHECK(host.device.queues[5].kicks - kicks <= 4);
    CHECK(host.ports[1].received == text);
    clean(host);
}

TEST_CASE("B48: a large write from memory that is contiguous by the page only") {
    SerialHost host;
    host.platform.contiguous_limit = 4096;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start());
    ConsolePort* port = host.console.find("data");
    CHECK(port->write(bytes("before "), 0).value() == 7);
    const std::string text = pattern(777'777);
    CHECK(port->write(bytes(text)).value() == text.size());
    CHECK(host.ports[1].received == "before " + text);
    clean(host);
}

TEST_CASE("many small writes: few kicks while the device is busy, and nothing is left behind") {
    for (const bool event_index : {true, false}) {
        SerialHost host({.event_index = event_index});
        host.plugged_at_start = {{1, {"data", false}}};
        REQUIRE(host.start());
        ConsolePort* port = host.console.find("data");
        const std::string text = pattern(1 << 20);
        // The device looks at its queue when the driver waits, or after a while: like an I/O thread of its own.
        host.take_output = false;
        const auto device_runs = [&] {
            host.take_output = true;
            host.read_on(1);
            host.take_output = false;
        };
        host.platform.on_wait = device_runs;
        const unsigned kicks = host.device.queues[5].kicks;
        for (std::size_t at = 0; at < text.size(); at += 64) {
            REQUIRE(port->write(bytes(std::string_view(text).substr(at, 64)), ~std::uint64_t{0} - 1).value() == 64);
            if (at % (64 * 128) == 0) device_runs();
        }
        CHECK(port->drain(host.platform.clock_ns + 1'000'000'000).has_value());
        CHECK(host.ports[1].received == text);
        CHECK(host.device.queues[5].kicks - kicks <= 16384 / 16);
        clean(host);
    }
}

TEST_CASE("output waits for room while the host side is open and loses nothing") {
    SerialHost host;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start());
    ConsolePort* port = host.console.find("data");
    host.ports[1].reading = false;
    const std::string text = pattern(200'000);
    // B44: nobody reads; the deadline ends the wait, and what was accepted stays.
    const std::uint64_t start = host.platform.clock_ns;
    const std::size_t first = port->write(bytes(text), start + 50'000'000).value();
    CHECK(first < text.size());
    CHECK(first > 0);
    CHECK(host.platform.clock_ns - start < 60'000'000);
    CHECK(port->write(bytes(text), host.platform.clock_ns + 1'000'000).error() == Error::timeout);
    CHECK(port->put(bytes(text)).value() == 0);
    CHECK_FALSE(port->writable());
    CHECK(port->drain(host.platform.clock_ns + 1'000'000).error() == Error::timeout);
    // Somebody reads again, while the rest is being written.
    unsigned waits = 0;
    host.platform.on_wait = [&] {
        if (++waits == 5) host.read_on(1);
    };
    CHECK(port->write(bytes(std::string_view(text).substr(first))).value() == text.size() - first);
    host.settle();
    CHECK(host.ports[1].received == text);
    CHECK(port->counters().dropped == 0);
    clean(host);
}

TEST_CASE("a closed host side: an error, what waited is dropped and counted, and all is well after it opens again") {
    SerialHost host;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start());
    ConsolePort* port = host.console.find("data");
    CHECK(port->open().has_value());
    host.type(1, "last words");
    host.close(1);
    host.settle();
    CHECK_FALSE(port->host_open());
    CHECK(port->write(bytes("x")).error() == Error::closed);
    CHECK(port->put(bytes("x")).error() == Error::closed);
    CHECK(port->drain(~std::uint64_t{0} - 1).error() == Error::closed);
    std::array<std::byte, 64> buffer;
    CHECK(port->read(buffer, 0).value() == 10); // what came before the end is still read
    CHECK(port->read(buffer, 0).error() == Error::closed);
    host.open(1);
    host.settle();
    CHECK(port->write(bytes("again"), 0).value() == 5);
    CHECK(host.ports[1].received == "again");
    clean(host);
}

TEST_CASE("the host closes while a write waits") {
    for (const std::size_t size : {std::size_t{100'000}, ConsolePort::kLargeWrite - 1, std::size_t{1} << 20}) {
        SerialHost host;
        host.plugged_at_start = {{1, {"data", false}}};
        REQUIRE(host.start());
        ConsolePort* port = host.console.find("data");
        host.ports[1].reading = false;
        REQUIRE(port->put(bytes(pattern(40'000))).value() > 0);
        unsigned waits = 0;
        host.platform.on_wait = [&] {
            if (++waits == 3) host.close(1);
        };
        const auto result = port->write(bytes(pattern(size)));
        // What the device took back at the end counts as written, as in a pipe whose reader leaves.
        if (result)
            CHECK(*result <= size);
        else
            CHECK((result.error() == Error::closed || result.error() == Error::device_gone || result.error() == Error::device_reset));
        CHECK_FALSE(port->host_open());
        CHECK(port->write(bytes("x")).error() == (port->present() ? Error::closed : Error::device_gone));
        CHECK(waits < 50);
        host.platform.on_wait = nullptr;
        host.ports[1].reading = true;
        host.settle();
        CHECK(host.console.stop().has_value());
        CHECK(host.platform.live.empty());
        CHECK(host.device.violations.empty());
    }
}

TEST_CASE("hot-plug: a port goes and comes while others work; nothing of the old one is seen in the new one") {
    SerialHost host;
    host.plugged_at_start = {{1, {"stays", false}}, {2, {"goes", false}}};
    REQUIRE(host.start());
    ConsolePort* stays = host.console.find("stays");
    for (unsigned round = 0; round < 300; ++round) {
        ConsolePort* port = host.console.find(round % 2 == 0 ? "goes" : "back");
        REQUIRE(port != nullptr);
        CHECK(port->open().has_value());
        host.settle();
        host.type(2, "unread");
        host.settle();
        CHECK(port->write(bytes("text"), 0).value() == 4);
        host.unplug(2);
        host.settle();
        CHECK_FALSE(port->present());
        CHECK(port->write(bytes("x"), 0).error() == Error::device_gone);
        std::array<std::byte, 16> buffer;
        CHECK(port->read(buffer, 0).error() == Error::device_gone);
        CHECK(port->open().error() == Error::device_gone);
        CHECK(stays->write(bytes("s"), 0).value() == 1);
        host.plug(2, round % 2 == 0 ? "back" : "goes");
        host.settle();
        CHECK(port->take(buffer) == 0);
        CHECK_FALSE(port->opened());
    }
    CHECK(host.ports[1].received == std::string(300, 's'));
    clean(host);
}

TEST_CASE("B28: 70,000 operations each way, past the wrap of the indices") {
    for (const bool event_index : {true, false}) {
        SerialHost host({.maximum = 2, .event_index = event_index, .port_queue = 32});
        host.plugged_at_start = {{1, {"echo", false}}};
        REQUIRE(host.start());
        ConsolePort* port = host.console.find("echo");
        CHECK(port->open().has_value());
        host.settle();
        std::array<std::byte, 64> buffer;
        for (std::uint32_t i = 0; i < 70'000; ++i) {
            const std::string text = std::to_string(i);
            host.type(1, text);
            host.console.poll();
            const auto count = port->read(buffer, host.platform.clock_ns + 1'000'000);
            REQUIRE(count.has_value());
            REQUIRE(port->write(std::span(buffer).first(*count), host.platform.clock_ns + 1'000'000).has_value());
            REQUIRE(host.ports[1].received == text);
            host.ports[1].received.clear();
        }
        CHECK(port->counters().sent == port->counters().received);
        clean(host);
    }
}

TEST_CASE("B12: output buffers come back in any order") {
    SerialHost host;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start());
    ConsolePort* port = host.console.find("data");
    host.take_output = false;
    std::uint32_t random = 1;
    std::size_t accepted = 0;
    for (int round = 0; round < 2'000; ++round) {
        accepted += port->put(bytes(pattern(5'000))).value();
        std::vector<fake::Chain> chains;
        while (const auto chain = host.device.take(5)) chains.push_back(*chain);
        for (; !chains.empty(); random = random * 1664525 + 1013904223) {
            const std::size_t pick = (random >> 8) % chains.size();
            host.device.use(5, chains[pick], 0);
            chains.erase(chains.begin() + static_cast<std::ptrdiff_t>(pick));
        }
        host.console.poll();
    }
    CHECK(port->counters().sent == accepted);
    CHECK(accepted > 2'000 * 4'096);
    host.take_output = true;
    host.read_on(1);
    clean(host);
}

TEST_CASE("emergency output: no ring, no wait, in any state") {
    SerialHost host;
    host.plugged_at_start = {{0, {"", true}}};
    std::string seen;
    host.device.on_config_write = [&](std::size_t offset, unsigned width, std::uint32_t value) {
        CHECK(offset == 8);
        CHECK(width == 4);
        seen += static_cast<char>(value);
    };
    host.console.emergency_write("too early", 9);
    REQUIRE(host.start());
    const unsigned kicks = host.device.queues[1].kicks;
    const unsigned waits = host.platform.waits;
    CHECK(host.console.has_emergency_write());
    host.console.emergency_write("PANIC\xff", 6);
    CHECK(seen == "PANIC\xff");
    host.device.poke_used_index(1, 77); // rings may be wrecks
    host.settle();
    host.console.emergency_write("!", 1);
    CHECK(seen == "PANIC\xff!");
    CHECK(host.device.queues[1].kicks == kicks);
    CHECK(host.platform.waits == waits);

    SerialHost without({.emergency = false});
    without.device.on_config_write = [&](std::size_t, unsigned, std::uint32_t) { FAIL("written without EMERG_WRITE"); };
    REQUIRE(without.start());
    CHECK_FALSE(without.console.has_emergency_write());
    without.console.emergency_write("x", 1);
}

TEST_CASE("emergency output through the queue: behind what was said before, and the device has it") {
    struct Log : ConsoleObserver {
        unsigned seen = 0;
    } log;
    log.changed = [](ConsoleObserver& observer, ConsolePort&, ConsoleChange) noexcept { ++static_cast<Log&>(observer).seen; };
    SerialHost host;
    host.plugged_at_start = {{0, {"", true}}};
    CHECK_FALSE(ConsolePort().emergency_put("too early", 1'000'000));
    REQUIRE(host.start({.observer = &log}));
    ConsolePort& port = host.console.ports()[0];
    const auto moments = [&, told = log.seen](std::string_view said, bool expected) {
        const std::uint64_t before = host.platform.clock_ns;
        CHECK(port.emergency_put(said, 1'000'000) == expected);
        CHECK(host.platform.waits == 0);
        CHECK(log.seen == told); // whoever is told could do anything
        return host.platform.clock_ns - before;
    };
    std::string& received = host.ports[0].received;
    std::string expected = "on its way, behind it, PANIC\n";
    host.take_output = false;
    REQUIRE(port.put(bytes("on its way, ")).has_value());
    REQUIRE(port.put(bytes("behind it, ")).has_value());
    // The device begins while it is being waited for.
    host.platform.on_look = [&, looks = 0]() mutable {
        if (++looks != 20) return;
        CHECK(received.empty());
        host.take_output = true;
        host.read_on(0);
    };
    CHECK(moments("PANIC\n", true) < 100'000);
    CHECK(received == expected);
    host.platform.on_look = nullptr;

    const std::string much = pattern(100'000); // more than all buffers together
    expected += much;
    CHECK(moments(much, true) < 1'000'000);
    CHECK(received == expected);

    // It takes nothing any more: not for ever. And nobody listens: at once.
    host.take_output = false;
    const std::uint64_t waited = moments("never taken", false);
    CHECK(waited >= 1'000'000);
    CHECK(waited < 1'100'000);
    host.close(0);
    host.settle();
    CHECK(moments("closed", false) < 1'000);
    CHECK(received == expected);
}

TEST_CASE("an observer hears of everything, and may answer at once") {
    struct Log : ConsoleObserver {
        std::vector<std::pair<std::uint32_t, ConsoleChange>> seen;
    } log;
    log.changed = [](ConsoleObserver& observer, ConsolePort& port, ConsoleChange change) noexcept {
        static_cast<Log&>(observer).seen.emplace_back(port.id(), change);
        std::array<std::byte, 32> buffer;
        if (change == ConsoleChange::named) (void)port.open();
        if (change != ConsoleChange::readable) return;
        const std::size_t count = port.take(buffer);
        (void)port.put(std::span(buffer).first(count));
    };
    SerialHost host;
    host.plugged_at_start = {{1, {"echo", false}}};
    REQUIRE(host.start({.observer = &log}));
    host.type(1, "ping");
    host.settle();
    CHECK(host.ports[1].received == "ping");
    host.close(1);
    host.unplug(1);
    host.settle();
    using Seen = std::vector<std::pair<std::uint32_t, ConsoleChange>>;
    CHECK(log.seen == Seen{{1, ConsoleChange::added},
                           {1, ConsoleChange::named},
                           {1, ConsoleChange::host_opened},
                           {1, ConsoleChange::readable},
                           {1, ConsoleChange::host_closed},
                           {1, ConsoleChange::removed}});
    clean(host);
}

TEST_CASE("input is not seen before the control messages that went before it: who answers what he reads finds the host's side open") {
    // Each way in which bytes can be taken while the message about their port still waits in the control queue.
    enum class When : std::uint8_t { asked_directly, after_control, among_control };
    for (const When when : {When::asked_directly, When::after_control, When::among_control}) {
        CAPTURE(static_cast<int>(when));
        struct Echo : ConsoleObserver {
            SerialHost* host = nullptr;
            When when{};
            bool done = false;
        } echo;
        static constexpr std::string_view kText = "sent the moment it was opened";
        static constexpr auto kAnswer = [](ConsolePort& port) {
            std::array<std::byte, 64> buffer;
            const std::size_t count = port.take(buffer);
            if (count != 0) CHECK(port.put(std::span(buffer).first(count)).value_or(0) == count);
        };
        static constexpr auto kConnect = [](SerialHost& host) {
            host.open(2);
            host.type(2, kText);
        };
        echo.changed = [](ConsoleObserver& observer, ConsolePort& port, ConsoleChange change) noexcept {
            auto& self = static_cast<Echo&>(observer);
            if (change == ConsoleChange::named) (void)port.open();
            if (change == ConsoleChange::readable && port.id() == 2) kAnswer(port);
            // Port 1 is served between the control queue and port 2.
            if (self.when == When::after_control && change == ConsoleChange::readable && port.id() == 1) kConnect(*self.host);
            // Here the next message in the queue is the one about port 2.
            if (self.when == When::among_control && change == ConsoleChange::resized && !self.done) {
                self.done = true;
                kAnswer(self.host->console.ports()[2]);
            }
        };
        SerialHost host;
        echo.host = &host;
        echo.when = when;
        host.plugged_at_start = {{1, {"one", false}}, {2, {"two", false}}};
        REQUIRE(host.start({.observer = &echo}));
        host.close(2);
        host.settle();
        if (when == When::asked_directly) {
            kConnect(host);
            kAnswer(host.console.ports()[2]);
        } else if (when == When::after_control) {
            host.type(1, "go");
        } else {
            host.resize(1, 80, 24);
            kConnect(host);
        }
        host.settle();
        CHECK(host.ports[2].received == kText);
        CHECK(host.console.ports()[2].counters().received == kText.size());
        clean(host);
    }
}

TEST_CASE("B26: every kind of interrupts works") {
    for (const std::uint16_t messages : std::initializer_list<std::uint16_t>{0, 1, 2, 3, 64}) {
        SerialHost host({.messages = messages});
        host.plugged_at_start = {{1, {"data", false}}};
        REQUIRE(host.start());
        ConsolePort* port = host.console.find("data");
        REQUIRE(port != nullptr);
        CHECK(port->open().has_value());
        host.settle();
        host.type(1, "in");
        CHECK(host.console.device().event().pending());
        std::array<std::byte, 8> buffer;
        CHECK(port->read(buffer, host.platform.clock_ns + 1'000'000).value() == 2);
        clean(host);
    }
}
