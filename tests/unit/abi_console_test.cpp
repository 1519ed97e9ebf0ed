// The console's constants and layouts, compared with the system's header, which Linux guests have used for years.
#include <doctest/doctest.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>

#include <cstddef>
#include <cstdio>

#include "drivers/console/abi.hpp"

using namespace virtio;

namespace {
template<class T> constexpr unsigned number(T value) { return static_cast<unsigned>(value); }
} // namespace

TEST_CASE("console constants equal the system's") {
    struct Pair {
        const char* what;
        unsigned long long ours, theirs;
    };
    const Pair pairs[] = {
        {"type", kConsoleType, VIRTIO_ID_CONSOLE},
        {"SIZE", number(ConsoleFeature::size), VIRTIO_CONSOLE_F_SIZE},
        {"MULTIPORT", number(ConsoleFeature::multiport), VIRTIO_CONSOLE_F_MULTIPORT},
        {"EMERG_WRITE", number(ConsoleFeature::emerg_write), VIRTIO_CONSOLE_F_EMERG_WRITE},
        {"config.cols", console_config::kColumns.offset, offsetof(virtio_console_config, cols)},
        {"config.rows", console_config::kRows.offset, offsetof(virtio_console_config, rows)},
        {"config.max_nr_ports", console_config::kMaximumPorts.offset, offsetof(virtio_console_config, max_nr_ports)},
        {"config.emerg_wr", console_config::kEmergencyWrite.offset, offsetof(virtio_console_config, emerg_wr)},
        {"sizeof control", sizeof(ConsoleControl), sizeof(virtio_console_control)},
        {"control.id", offsetof(ConsoleControl, id), offsetof(virtio_console_control, id)},
        {"control.event", offsetof(ConsoleControl, event), offsetof(virtio_console_control, event)},
        {"control.value", offsetof(ConsoleControl, value), offsetof(virtio_console_control, value)},
        {"DEVICE_READY", number(ConsoleEvent::device_ready), VIRTIO_CONSOLE_DEVICE_READY},
        {"PORT_ADD", number(ConsoleEvent::port_add), VIRTIO_CONSOLE_PORT_ADD},
        {"PORT_REMOVE", number(ConsoleEvent::port_remove), VIRTIO_CONSOLE_PORT_REMOVE},
        {"PORT_READY", number(ConsoleEvent::port_ready), VIRTIO_CONSOLE_PORT_READY},
        {"CONSOLE_PORT", number(ConsoleEvent::console_port), VIRTIO_CONSOLE_CONSOLE_PORT},
        {"RESIZE", number(ConsoleEvent::resize), VIRTIO_CONSOLE_RESIZE},
        {"PORT_OPEN", number(ConsoleEvent::port_open), VIRTIO_CONSOLE_PORT_OPEN},
        {"PORT_NAME", number(ConsoleEvent::port_name), VIRTIO_CONSOLE_PORT_NAME},
    };
    for (const Pair& pair : pairs) CHECK_MESSAGE(pair.ours == pair.theirs, pair.what);

    // Not in the header: what only the specification's text has.
    struct Newer {
        const char* what;
        unsigned long long ours, value;
        const char* section;
    };
    const Newer newer[] = {
        {"sizeof resize", sizeof(ConsoleResize), 4, "5.3.6.2"},
        {"resize.cols", offsetof(ConsoleResize, columns), 0, "5.3.6.2"},
        {"resize.rows", offsetof(ConsoleResize, rows), 2, "5.3.6.2"},
        {"receiveq(port 0)", console_receive_queue(0), 0, "5.3.2"},
        {"transmitq(port 0)", console_transmit_queue(0), 1, "5.3.2"},
        {"control receiveq", kControlReceiveQueue, 2, "5.3.2"},
        {"control transmitq", kControlTransmitQueue, 3, "5.3.2"},
        {"receiveq(port 1)", console_receive_queue(1), 4, "5.3.2"},
        {"transmitq(port 1)", console_transmit_queue(1), 5, "5.3.2"},
        {"receiveq(port 30)", console_receive_queue(30), 62, "5.3.2"},
        {"queues, 1 port, no MULTIPORT", console_queue_count(1, false), 2, "5.3.2"},
        {"queues, 1 port", console_queue_count(1, true), 4, "5.3.2"},
        {"queues, 31 ports", console_queue_count(31, true), 64, "5.3.2"},
    };
    for (const Newer& entry : newer) CHECK_MESSAGE(entry.ours == entry.value, entry.what << ", VIRTIO 1.4, " << entry.section);
    std::printf("abi console: %zu constants equal the system's header, %zu newer ones the specification's\n", std::size(pairs),
                std::size(newer));
}
