// The console driver against a host that lies, floods, stalls, breaks its rings or goes away.
#include <doctest/doctest.h>

#include <memory>
#include <random>
#include <string>

#include "tests/unit/support/serial_host.hpp"

using namespace virtio;
using fake::SerialHost;

namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

} // namespace

TEST_CASE("B17: maximum port numbers of all kinds") {
    for (const std::uint32_t maximum : {0u, 1u, 2u, 31u, 32u, 33u, 511u, 0x7fff'ffffu, 0x8000'0000u, 0xffff'fffeu, 0xffff'ffffu}) {
        SerialHost host({.maximum = 4});
        host.device.config = fake::console_config(maximum);
        const auto started = host.console.start(host.platform, host.device);
        if (maximum == 0) {
            CHECK(started.error() == Error::bad_config);
            CHECK((host.device.status_writes.back() & 128) != 0); // FAILED
        } else {
            CHECK(started.has_value());
            CHECK(host.console.ports().size() == std::min(maximum, 4u)); // as many as it has queues for
            CHECK(host.console.stop().has_value());
        }
        CHECK(host.platform.live.empty());
        CHECK(host.device.violations.empty());
    }
}

TEST_CASE("B17, B44: control messages of every id, event, value and length") {
    SerialHost host({.maximum = 5});
    host.plugged_at_start = {{0, {"first", true}}};
    REQUIRE(host.start());
    const std::size_t memory = host.platform.live.size();
    std::mt19937 random(7);
    const std::uint32_t ids[] = {0, 1, 4, 5, 6, 31, 32, 33, 64, 0x7fff'ffff, 0x8000'0000, 0xffff'ffff};
    for (int i = 0; i < 60'000; ++i) {
        std::string message(8 + random() % 260, '\0');
        for (char& byte : message) byte = static_cast<char>(random());
        const std::uint32_t id = ids[random() % std::size(ids)];
        const auto event = static_cast<std::uint16_t>(random() % 4 != 0 ? random() % 10 : random());
        const auto value = static_cast<std::uint16_t>(random() % 3);
        std::memcpy(message.data(), &id, 4);
        std::memcpy(message.data() + 4, &event, 2);
        std::memcpy(message.data() + 6, &value, 2);
        if (random() % 8 == 0) message.resize(random() % 8);
        const std::uint32_t lies[] = {0, 1, 7, 8, 255, 256, 257, 0x8000'0000, 0xffff'ffff, static_cast<std::uint32_t>(message.size())};
        message.resize(std::min<std::size_t>(message.size(), 256));
        if (const auto chain = host.device.take(2)) {
            chain->write(0, message.data(), message.size());
            host.device.use(2, *chain, random() % 4 == 0 ? lies[random() % std::size(lies)] : static_cast<std::uint32_t>(message.size()));
        }
        if (random() % 16 == 0) host.console.poll();
    }
    host.settle();
    CHECK(host.console.counters().bad_control > 1'000);
    CHECK(host.console.counters().control_messages >= host.console.counters().bad_control);
    // B50: a port's memory at most for each of the five, twice.
    CHECK(host.platform.live.size() <= memory + 10);
    for (const ConsolePort& port : host.console.ports())
        for (const char letter : port.name()) CHECK(static_cast<unsigned char>(letter) >= 0x20);
    CHECK(host.console.stop().has_value());
    CHECK(host.platform.live.empty());
    CHECK(host.device.violations.empty());
}

TEST_CASE("B44: a flood of control messages: each poll does a bounded piece, answers do not pile up, ports still work") {
    SerialHost host;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start());
    ConsolePort* port = host.console.find("data");
    std::uint64_t sent = 0;
    bool flooding = true;
    // Each buffer that comes back is used again at once, even inside poll(): the device never stops.
    const auto flood = [&] {
        for (int i = 0; flooding && i < 64; ++i)
            if (host.control(1, static_cast<std::uint16_t>(sent % 2 == 0 ? 4 : 1), 1)) ++sent;
    };
    const auto before = host.device.on_notify;
    host.device.on_notify = [&](unsigned queue) {
        before(queue);
        if (queue == 2) flood();
    };
    flood();
    for (int i = 0; i < 1'000; ++i) {
        CHECK(host.console.poll() <= 2'000);
        CHECK(port->write(bytes("x"), host.platform.clock_ns + 1'000'000).value() == 1);
    }
    flooding = false;
    host.settle();
    CHECK(sent > 50'000);
    CHECK(host.ports[1].received.size() == 1'000);
    CHECK(host.console.device().watchdog_rescues() == 0);
    CHECK(host.device.violations.empty());
}

TEST_CASE("B3, B5: input lengths: nothing that was not written is ever seen") {
    SerialHost host;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start());
    ConsolePort* port = host.console.find("data");
    CHECK(port->open().has_value());
    host.settle();
    const std::uint32_t lent = ConsolePort::kReceiveBytes;
    std::string expected;
    std::uint64_t lies = 0;
    for (const std::uint32_t length : {0u, 1u, lent - 1, lent, lent + 1, 2 * lent, 0x7fff'ffffu, 0x8000'0000u, 0xffff'ffffu}) {
        for (int i = 0; i < 40; ++i) {
            const auto chain = host.device.take(SerialHost::receive_queue(1));
            REQUIRE(chain.has_value()); // buffers are recycled whatever the device said
            const std::string text(lent, static_cast<char>('a' + i % 26));
            chain->write(0, text.data(), text.size());
            host.device.use(SerialHost::receive_queue(1), *chain, length);
            if (length <= lent)
                expected += text.substr(0, length);
            else
                ++lies;
            host.console.poll();
            std::string got(lent, '\0');
            got.resize(port->take(std::as_writable_bytes(std::span(got))));
            CHECK(got == (length <= lent ? text.substr(0, length) : std::string()));
        }
    }
    CHECK(port->counters().received == expected.size());
    CHECK(port->counters().bad_lengths == lies);
    CHECK(host.device.violations.empty());
}

TEST_CASE("B1, B2, B7: a broken ring is noticed, recovery brings the ports back, open ones open") {
    for (const int lie : {0, 1, 2, 3}) {
        SerialHost host;
        host.plugged_at_start = {{0, {"", true}}, {1, {"data", false}}};
        REQUIRE(host.start());
        ConsolePort* port = host.console.find("data");
        CHECK(port->open().has_value());
        host.settle();
        switch (lie) {
        case 0: host.device.use(4, 0xffff'ffffu, 0); break; // an id that cannot be
        case 1: host.device.use(5, 3u, 0); break;           // one that was never lent
        case 2: host.device.poke_used_index(2, 500); break; // control: a jump
        case 3: host.device.poke_used_index(4, 40'000); break;
        }
        host.device.interrupt_queue(lie == 2 ? 2 : 4);
        host.settle();
        CHECK(host.console.needs_recovery());
        CHECK(host.platform.log_lines.size() == 1);
        CHECK(host.console.recover().has_value());
        host.settle();
        CHECK_FALSE(host.console.needs_recovery());
        CHECK(host.console.counters().recoveries == 1);
        REQUIRE(host.console.find("data") == port);
        CHECK(port->opened());
        CHECK(host.ports[1].guest_open);
        CHECK(port->write(bytes("works"), 0).value() == 5);
        CHECK(host.ports[1].received == "works");
        host.type(1, "too");
        host.settle();
        std::array<std::byte, 8> buffer;
        CHECK(port->read(buffer, 0).value() == 3);
        CHECK(host.console.stop().has_value());
        CHECK(host.platform.live.empty());
        CHECK(host.device.violations.empty());
    }
}

TEST_CASE("B6: descriptors rewritten by the device mean nothing to us") {
    SerialHost host;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start());
    ConsolePort* port = host.console.find("data");
    host.take_output = false;
    CHECK(port->put(bytes(std::string(20'000, 'x'))).value() == 20'000);
    std::vector<fake::Chain> chains;
    while (const auto chain = host.device.take(5)) chains.push_back(*chain);
    host.device.scribble_descriptors(5, 0xee);
    for (const fake::Chain& chain : chains) host.device.use(5, chain, 0);
    host.take_output = true;
    host.settle();
    CHECK_FALSE(host.console.needs_recovery());
    CHECK(port->put(bytes(std::string(20'000, 'y'))).value() == 20'000);
}

TEST_CASE("buffers that a host keeps when it closes: after enough of them the device is reset, and all works again") {
    SerialHost host;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start());
    ConsolePort* port = host.console.find("data");
    // As QEMU does it: a port that nobody reads, closed: the buffer in hand is never returned.
    for (int i = 0; i < 40; ++i) {
        host.ports[1].reading = false;
        (void)port->write(bytes(std::string(5'000, 'x')), host.platform.clock_ns + 1'000'000);
        host.close(1);
        host.settle();
        CHECK(port->write(bytes("x")).error() == Error::closed);
        host.ports[1].reading = true;
        host.open(1);
        host.settle();
        host.ports[1].received.clear();
        // Whatever was lost before: this connection works, perhaps after a reset.
        std::string heard;
        for (int tries = 0; tries < 100 && heard.empty(); ++tries) {
            if (host.console.find("data") != nullptr) (void)port->write(bytes("hello"), host.platform.clock_ns + 400'000'000);
            host.settle();
            heard = host.ports[1].received;
        }
        CHECK(heard.starts_with("hello"));
    }
    CHECK(host.console.counters().recoveries > 0);
    CHECK(host.console.counters().recoveries <= 40 / ConsolePort::kTransmitSlots + 1);
    CHECK(host.console.stop().has_value());
    CHECK(host.platform.live.empty());
    CHECK(host.device.violations.empty());
}

TEST_CASE("B24: whoever finds that the device needs a reset wakes whoever serves it") {
    SerialHost host;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start());
    ConsolePort* port = host.console.find("data");
    host.ports[1].reading = false;
    // All buffers of connections that are gone; the next writer sees it, and another task has to act.
    for (unsigned i = 0; i < ConsolePort::kTransmitSlots; ++i) {
        CHECK(port->put(bytes("x")).value() == 1);
        host.close(1);
        host.settle();
        host.open(1);
        host.ports[1].reading = false;
        host.settle();
    }
    CHECK(port->put(bytes("x")).value() == 0);
    host.platform.clock_ns += 1'000'000'000;
    host.settle();
    const unsigned wakes = host.platform.wakes;
    CHECK(port->put(bytes("x")).value() == 0);
    REQUIRE(host.console.needs_recovery());
    CHECK(host.console.device().event().pending());
    CHECK(host.platform.wakes == wakes + 1);
}

TEST_CASE("a port that goes with unread output: the next one of its number gets none of it") {
    for (const bool at_once : {false, true}) {
        SerialHost host;
        host.plugged_at_start = {{1, {"old", false}}};
        REQUIRE(host.start());
        for (int round = 0; round < 20; ++round) {
            host.settle();
            ConsolePort* port = host.console.find("old");
            REQUIRE(port != nullptr);
            host.ports[1].reading = false;
            (void)port->write(bytes(std::string(30'000, 'o')), host.platform.clock_ns + 1'000'000);
            host.unplug(1);
            if (!at_once) host.settle();
            host.plug(1, "new");
            host.plugged_at_start = {{1, {"new", false}}}; // as a reset announces it
            host.settle();
            // The buffers that the host lost may ask for a reset first.
            Result<std::size_t> written = fail(Error::timeout);
            for (int tries = 0; tries < 10 && !written; ++tries) {
                if (host.console.needs_recovery()) CHECK(host.console.recover().has_value());
                host.settle();
                port = host.console.find("new");
                REQUIRE(port != nullptr);
                written = port->write(bytes("new words"), host.platform.clock_ns + 400'000'000);
            }
            CHECK(written.has_value());
            host.settle();
            CHECK((host.ports[1].received == "new words")); // without a page of o in the report
            host.unplug(1);
            host.settle();
            host.plug(1, "old");
            host.plugged_at_start = {{1, {"old", false}}};
        }
        CHECK(host.console.counters().recoveries <= 21);
        CHECK(host.device.violations.empty());
    }
}

TEST_CASE("trap 28: a large write returns only when the device or a reset has let go of its memory") {
    for (const bool reopened : {false, true}) {
        SerialHost host;
        host.plugged_at_start = {{1, {"data", false}}};
        REQUIRE(host.start());
        ConsolePort* port = host.console.find("data");
        host.ports[1].reading = false;
        auto text = std::make_unique<std::string>(500'000, 'x'); // AddressSanitizer sees who touches it afterwards
        unsigned waits = 0;
        host.platform.on_wait = [&] {
            if (++waits == 2) host.close(1); // the one buffer is lost
            if (waits == 3 && reopened) host.open(1);
        };
        const auto result = port->write(bytes(*text));
        text.reset();
        REQUIRE_FALSE(result.has_value());
        CHECK((result.error() == Error::device_reset || result.error() == Error::closed));
        CHECK(host.console.counters().recoveries == 1);
        CHECK(waits < 20);
        host.platform.on_wait = nullptr;
        host.settle();
        CHECK(host.console.find("data") != nullptr);
        CHECK(host.device.violations.empty());
    }
}

TEST_CASE("B37, trap 20: a reset with everything in flight; one that is never confirmed keeps the memory") {
    for (const bool confirmed : {true, false}) {
        SerialHost host;
        host.plugged_at_start = {{0, {"", true}}, {1, {"data", false}}};
        REQUIRE(host.start());
        ConsolePort* port = host.console.find("data");
        host.ports[1].reading = false;
        CHECK(port->put(bytes(std::string(100'000, 'x'))).value() > 30'000);
        const std::size_t rings = host.platform.live.size();
        if (!confirmed) host.device.reset_reads = ~std::uint64_t{0};
        const auto stopped = host.console.stop();
        CHECK(stopped.has_value() == confirmed);
        if (confirmed) {
            CHECK(host.platform.live.empty());
        } else {
            // The device still writes where it was told to: that must be nobody else's memory.
            CHECK(host.platform.live.size() > rings / 2);
            if (const auto chain = host.device.take(0)) chain->write(0, "late", 4);
        }
        CHECK_FALSE(port->present());
        CHECK(port->write(bytes("x"), 0).error() == Error::device_gone);
        CHECK(host.console.poll() == 0);
    }
}

TEST_CASE("B41: the device vanishes at any step") {
    for (int step = 0; step < 6; ++step) {
        SerialHost host;
        host.plugged_at_start = {{1, {"data", false}}};
        if (step == 0) host.device.gone = true;
        if (step == 1) host.device.on_status = [&](std::uint8_t status) { host.device.gone = (status & 2) != 0; };
        const bool started = host.console.start(host.platform, host.device).has_value();
        if (step < 2) {
            CHECK_FALSE(started);
            continue;
        }
        host.settle();
        ConsolePort* port = host.console.find("data");
        REQUIRE(port != nullptr);
        CHECK(port->open().has_value());
        host.settle();
        host.device.gone = true;
        host.take_output = false;
        const std::uint64_t start = host.platform.clock_ns;
        std::array<std::byte, 8> buffer;
        switch (step) {
        case 2: CHECK(port->read(buffer, start + 10'000'000).error() == Error::timeout); break;
        case 3: CHECK(port->write(bytes(std::string(100'000, 'x')), start + 10'000'000).value() < 100'000); break;
        case 4: CHECK(port->drain(start + 10'000'000).has_value()); break;
        case 5: host.console.emergency_write("x", 1); break;
        }
        CHECK(host.platform.clock_ns - start < 20'000'000);
        CHECK_FALSE(host.console.stop().has_value());
        CHECK_FALSE(port->present());
    }
}

TEST_CASE("R13: every allocation that can fail does: no leak, no crash, PORT_READY 0 for a port without memory") {
    bool all_made = false;
    unsigned refused = 0;
    for (long failing = 1; failing < 100 && !all_made; ++failing) {
        SerialHost host;
        host.plugged_at_start = {{0, {"", true}}, {1, {"data", false}}};
        host.platform.allocations_until_failure = failing;
        const auto started = host.console.start(host.platform, host.device);
        if (started) host.settle();
        if (started) {
            for (const auto& [id, value] : host.readies)
                if (value == 0) ++refused;
            ConsolePort* port = host.console.find("data");
            all_made = host.platform.allocations_until_failure > 0;
            if (port != nullptr) CHECK(port->write(bytes("x"), 0).value() == 1);
            CHECK(host.console.stop().has_value());
        } else {
            CHECK(started.error() == Error::out_of_memory);
        }
        CHECK(host.platform.live.empty());
        CHECK(host.device.violations.empty());
    }
    CHECK(all_made);
    CHECK(refused > 0);
}

TEST_CASE("B25, B27: interrupts at every moment and for nothing") {
    SerialHost host;
    host.device.ignore_suppression = true;
    host.plugged_at_start = {{1, {"data", false}}};
    host.device.on_status = [&](std::uint8_t) {
        for (unsigned queue = 0; queue < host.device.queues.size(); ++queue) host.device.interrupt_queue(queue);
        host.console.on_interrupt(0);
        host.console.on_interrupt(999);
    };
    host.console.on_interrupt(0); // before anything
    REQUIRE(host.start());
    for (int i = 0; i < 10'000; ++i) {
        host.device.interrupt_queue(static_cast<unsigned>(i) % 4);
        if (i % 100 == 0) host.settle();
    }
    CHECK(host.console.find("data") != nullptr);
    CHECK(host.console.stop().has_value());
    host.console.on_interrupt(0); // after the end
    CHECK(host.console.poll() == 0);
    CHECK(host.platform.live.empty());
}

TEST_CASE("B24: lost interrupts are healed within 100 ms, and counted") {
    SerialHost host;
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start());
    ConsolePort* port = host.console.find("data");
    CHECK(port->open().has_value());
    host.settle();
    host.device.drop_interrupts = true;
    const std::uint64_t start = host.platform.clock_ns;
    unsigned waits = 0;
    host.platform.on_wait = [&] {
        if (++waits == 1) host.type(1, "late");
    };
    std::array<std::byte, 8> buffer;
    CHECK(port->read(buffer).value() == 4);
    CHECK(host.platform.clock_ns - start <= 2 * Device::kWatchdogNs);
    CHECK(host.console.device().watchdog_rescues() == 1);
}

TEST_CASE("B34: refused features and a wrong device end in a clear error") {
    SerialHost refusing;
    refusing.device.refuse_features = true;
    CHECK(refusing.console.start(refusing.platform, refusing.device).error() == Error::feature_refused);
    CHECK(refusing.platform.live.empty());
    fake::HostPlatform platform;
    fake::FakeDevice disk({.type = 2, .features = FeatureSet::of(RingFeature::version_1)});
    ConsoleDevice console;
    CHECK(console.start(platform, disk).error() == Error::no_device);
    fake::FakeDevice old({.type = 3});
    CHECK(console.start(platform, old).error() == Error::feature_missing); // trap 25
    CHECK(console.device().refusal().bit == 32);
}

TEST_CASE("a write that waits is not continued on the next connection, nor on another port of the same number") {
    for (const int how : {0, 1}) {
        for (const std::size_t size : {ConsolePort::kLargeWrite - 1, std::size_t{60'000}}) {
            SerialHost host;
            host.plugged_at_start = {{1, {"data", false}}};
            REQUIRE(host.start());
            ConsolePort* port = host.console.find("data");
            host.ports[1].reading = false;
            (void)port->put(bytes(std::string(100'000, 'o'))); // full
            unsigned waits = 0;
            host.platform.on_wait = [&] {
                if (++waits != 2) return;
                if (how == 0) {
                    host.close(1);
                    host.ports[1].reading = true;
                    host.open(1);
                } else {
                    host.unplug(1);
                    host.plug(1, "data");
                }
            };
            const auto written = port->write(bytes(std::string(size, 'o')), host.platform.clock_ns + 900'000'000);
            CHECK_FALSE(written.has_value());
            host.platform.on_wait = nullptr;
            if (host.console.needs_recovery()) CHECK(host.console.recover().has_value());
            host.settle();
            port = host.console.find("data");
            REQUIRE(port != nullptr);
            CHECK(port->write(bytes("new"), host.platform.clock_ns + 1'000'000).value() == 3);
            host.settle();
            CHECK((host.ports[1].received == "new"));
            // The same for a reader.
            CHECK(port->open().has_value());
            waits = 0;
            host.platform.on_wait = [&] {
                if (++waits != 1) return;
                host.unplug(1);
                host.plug(1, "data");
                host.ports[1].guest_open = true;
                host.type(1, "for the next one");
            };
            std::array<std::byte, 32> buffer;
            CHECK(port->read(buffer, host.platform.clock_ns + 900'000'000).error() == Error::device_gone);
        }
    }
}

TEST_CASE("input that came before a port went is not the next one's") {
    SerialHost host;
    host.plugged_at_start = {{1, {"old", false}}};
    REQUIRE(host.start());
    CHECK(host.console.find("old")->open().has_value());
    host.settle();
    for (int round = 0; round < 100; ++round) {
        host.type(1, "old words"); // used, and nobody has looked
        host.unplug(1);
        if (round % 2 == 0) host.settle();
        // QEMU's port lives on for a moment after its removal, and still fills buffers.
        if (const auto chain = host.device.take(SerialHost::receive_queue(1))) {
            chain->write(0, "late words", 10);
            host.device.use(SerialHost::receive_queue(1), *chain, 10);
        }
        if (round % 3 == 0) host.settle();
        host.plug(1, "new");
        host.settle();
        ConsolePort* port = host.console.find("new");
        REQUIRE(port != nullptr);
        CHECK_FALSE(port->readable());
        CHECK(port->open().has_value());
        host.settle();
        host.type(1, "new words");
        std::array<std::byte, 64> buffer;
        CHECK(port->read(buffer, host.platform.clock_ns + 1'000'000).value() == 9);
    }
    CHECK(host.device.violations.empty());
}

TEST_CASE("misuse: what was never started, second starts, ports that are not there") {
    ConsoleDevice never;
    CHECK(never.recover().error() == Error::not_started);
    CHECK(never.poll() == 0);
    never.emergency_write("x", 1);
    CHECK(never.find("") == nullptr);
    CHECK(never.console() == nullptr);
    ConsolePort port;
    CHECK(port.open().error() == Error::device_gone);
    std::array<std::byte, 8> out{};
    CHECK(port.take(out) == 0);

    SerialHost host({.maximum = 4});
    host.plugged_at_start = {{1, {"data", false}}};
    CHECK(host.console.start(host.platform, host.device, {.maximum_ports = 0}).error() == Error::invalid_argument);
    REQUIRE(host.start());
    CHECK(host.console.start(host.platform, host.device).error() == Error::already_started);
    ConsolePort* data = host.console.find("data");
    REQUIRE(data != nullptr); // it did no harm
    CHECK(data->read({}, 0).value() == 0);
    host.open(1);
    host.settle();
    ConsoleWrite write;
    CHECK(data->begin(write, {}).error() == Error::empty_request);
    CHECK(host.console.find("") == nullptr); // ports that were not announced have no name, not an empty one
    CHECK(host.console.stop().has_value());
    CHECK(host.device.violations.empty());
}

TEST_CASE("two large writes at once, and one object twice: busy, and the first goes on") {
    SerialHost host({.maximum = 4});
    host.plugged_at_start = {{1, {"data", false}}};
    REQUIRE(host.start());
    ConsolePort* port = host.console.find("data");
    REQUIRE(port != nullptr);
    host.open(1);
    host.settle();
    host.take_output = false;
    const std::string text(100'000, 'x');
    ConsoleWrite first, second;
    REQUIRE(port->begin(first, bytes(text)));
    CHECK(port->begin(second, bytes(text)).error() == Error::busy);
    CHECK(port->begin(first, bytes(text)).error() == Error::busy);
    host.take_output = true;
    for (int i = 0; i < 50 && !first.finished(); ++i) {
        host.read_on(1);
        host.settle();
    }
    CHECK(first.finished());
    CHECK(first.sent == text.size());
    CHECK(host.console.stop().has_value());
    CHECK(host.device.violations.empty());
}
