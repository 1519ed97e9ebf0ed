// The host's side of a console device on the fake device: ports, control messages, chardevs, as QEMU does it: a control message that
// finds no buffer is lost, a port that nobody reads keeps the buffer in hand, and closing then loses that buffer for good.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "drivers/console/console.hpp"
#include "tests/unit/support/fake_device.hpp"

namespace fake {

inline std::vector<std::uint8_t> console_config(std::uint32_t ports, std::uint16_t columns = 0, std::uint16_t rows = 0) {
    std::vector<std::uint8_t> config(12);
    std::memcpy(config.data(), &columns, 2);
    std::memcpy(config.data() + 2, &rows, 2);
    std::memcpy(config.data() + 4, &ports, 4);
    return config;
}

class SerialHost {
public:
    struct Port {
        std::string name;
        bool console = false;
        bool open = true;    // somebody holds the host's side
        bool reading = true; // and reads
        bool guest_open = false;
        bool ready = false;
        std::string received;
        std::vector<Chain> held; // the one taken and not used: nobody reads
        std::string to_guest;
    };
    struct Options {
        unsigned maximum = 4;
        bool multiport = true, event_index = true, emergency = true, size = false;
        std::uint16_t messages = 64;
        std::uint16_t control_queue = 32, port_queue = 128;
    };

    SerialHost() : SerialHost(Options{}) {}
    explicit SerialHost(const Options& options) : device{device_options(options)}, maximum(options.maximum), multiport(options.multiport) {
        device.firewall = &platform.firewall;
        device.on_notify = [this](unsigned queue) { notified(queue); };
        if (!multiport) {
            ports[0].console = true;
            ports[0].guest_open = ports[0].ready = true;
        }
    }

    static FakeDevice::Options device_options(const Options& options) {
        FakeDevice::Options made;
        made.type = 3;
        made.features = virtio::FeatureSet::of(virtio::RingFeature::version_1);
        if (options.event_index) made.features.insert(virtio::RingFeature::event_idx);
        if (options.size) made.features.insert(0u);
        if (options.multiport) made.features.insert(1u);
        if (options.emergency) made.features.insert(2u);
        made.config = console_config(options.maximum);
        made.messages = options.messages;
        const unsigned queues = options.multiport ? 2 * (options.maximum + 1) : 2;
        for (unsigned i = 0; i < queues; ++i)
            made.queue_sizes.push_back(options.multiport && (i == 2 || i == 3) ? options.control_queue : options.port_queue);
        return made;
    }

    static unsigned receive_queue(unsigned id) { return id == 0 ? 0 : 2 + 2 * id; }

    bool control(std::uint32_t id, std::uint16_t event, std::uint16_t value, std::string_view payload = {}) {
        std::string message(8, '\0');
        std::memcpy(message.data(), &id, 4);
        std::memcpy(message.data() + 4, &event, 2);
        std::memcpy(message.data() + 6, &value, 2);
        message += payload;
        return raw_control(message, static_cast<std::uint32_t>(message.size()));
    }
    bool raw_control(std::string_view message, std::uint32_t claimed) {
        const auto chain = device.take(2);
        if (!chain) {
            ++lost_control;
            return false;
        }
        chain->write(0, message.data(), message.size());
        device.use(2, *chain, claimed);
        return true;
    }
    void resize(std::uint32_t id, std::uint16_t columns, std::uint16_t rows) {
        std::string size(4, '\0');
        std::memcpy(size.data(), &columns, 2);
        std::memcpy(size.data() + 2, &rows, 2);
        control(id, 5, 0, size);
    }

    Port& plug(std::uint32_t id, const std::string& name, bool is_console = false) {
        Port& port = ports[id];
        port = Port{};
        port.name = name;
        port.console = is_console;
        control(id, 1, 1);
        return port;
    }
    void unplug(std::uint32_t id) {
        ports.erase(id);
        control(id, 2, 1);
    }
    void open(std::uint32_t id) {
        ports[id].open = true;
        control(id, 6, 1);
    }
    /// Loses the buffer in hand if nobody was reading, and throws the others away.
    void close(std::uint32_t id) {
        Port& port = ports[id];
        port.open = false;
        port.held.clear();
        notified(receive_queue(id) + 1);
        control(id, 6, 0);
    }
    void read_on(std::uint32_t id) {
        Port& port = ports[id];
        port.reading = true;
        if (!port.held.empty()) consume(id, port, port.held.front());
        port.held.clear();
        notified(receive_queue(id) + 1);
    }
    void type(std::uint32_t id, std::string_view text) {
        ports[id].to_guest += text;
        feed(id);
    }
    void feed(std::uint32_t id) {
        Port& port = ports[id];
        while (port.guest_open && !port.to_guest.empty()) {
            const auto chain = device.take(receive_queue(id));
            if (!chain) return;
            if (!chain->readable.empty()) device.violations.emplace_back("CONS-001: readable buffer in a receive queue");
            const std::size_t count = chain->write(0, port.to_guest.data(), port.to_guest.size());
            port.to_guest.erase(0, count);
            device.use(receive_queue(id), *chain, static_cast<std::uint32_t>(count));
        }
    }

    /// The owner's loop, until nothing is left to do.
    void settle() {
        for (int i = 0; i < 200; ++i) {
            const unsigned done = console.poll();
            if (done == 0 && !console.device().event().pending()) return;
        }
    }
    bool start(virtio::ConsoleDevice::Options options = {}) {
        const bool started = console.start(platform, device, options).has_value();
        settle();
        return started;
    }

    HostPlatform platform;
    FakeDevice device;
    unsigned maximum;
    bool multiport;
    std::map<std::uint32_t, Port> ports;
    std::map<std::uint32_t, std::pair<std::string, bool>> plugged_at_start; // name, console
    std::vector<std::pair<std::uint32_t, std::uint16_t>> readies;           // PORT_READY: id, value
    unsigned device_ready = 0;
    unsigned lost_control = 0;
    bool take_output = true;
    virtio::ConsoleDevice console; // last: it goes first

private:
    void consume(std::uint32_t id, Port& port, const Chain& chain) {
        const unsigned queue = receive_queue(id) + 1;
        std::string text(chain.readable_bytes(), '\0');
        chain.read(0, text.data(), text.size());
        port.received += text;
        device.use(queue, chain, 0);
    }
    void notified(unsigned queue) {
        if (multiport && queue == 2) return;
        if (multiport && queue == 3) return control_received();
        const std::uint32_t id = queue < 2 ? 0 : (queue - 2) / 2;
        if (queue % 2 == 0) return feed(id);
        if (!take_output) return;
        const auto found = ports.find(id);
        Port* port = found == ports.end() || !found->second.open ? nullptr : &found->second;
        if (port != nullptr && !port->held.empty()) return; // throttled: it does not look
        while (const auto chain = device.take(queue)) {
            if (!chain->writable.empty()) device.violations.emplace_back("CONS-002: writable buffer in a transmit queue");
            if (port == nullptr) {
                device.use(queue, *chain, 0); // thrown away
            } else if (port->reading) {
                consume(id, *port, *chain);
            } else {
                port->held.push_back(*chain);
                return;
            }
        }
    }
    void control_received() {
        while (const auto chain = device.take(3)) {
            std::uint32_t id = 0;
            std::uint16_t event = 0, value = 0;
            if (chain->readable_bytes() != 8) device.violations.emplace_back("control message of a bad size");
            chain->read(0, &id, 4);
            chain->read(4, &event, 2);
            chain->read(6, &value, 2);
            if (event == 0) {
                ++device_ready;
                for (const auto& [number, what] : plugged_at_start) plug(number, what.first, what.second);
            } else if (event == 3) {
                readies.emplace_back(id, value);
                const auto found = ports.find(id);
                if (value != 0 && found != ports.end()) {
                    found->second.ready = true;
                    if (found->second.console) control(id, 4, 1);
                    if (!found->second.name.empty()) control(id, 7, 1, found->second.name + std::string(1, '\0'));
                    if (found->second.open) control(id, 6, 1);
                }
            } else if (event == 6) {
                const auto found = ports.find(id);
                if (found != ports.end() && found->second.ready) {
                    found->second.guest_open = value != 0; // what waits is looked at when the guest next rings for input
                }
            } else {
                device.violations.emplace_back("a control message that only the device sends");
            }
            device.use(3, *chain, 0);
        }
    }
};

} // namespace fake
