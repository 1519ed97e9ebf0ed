// The console device's wire format (VIRTIO 1.4, 5.3): type, features, configuration, control messages, queue numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "libvirtio/base.hpp"
#include "libvirtio/config.hpp"
#include "libvirtio/feature.hpp"

namespace virtio {

/// VIRTIO 1.4, 5.3.1
inline constexpr std::uint32_t kConsoleType = 3;

/// VIRTIO 1.4, 5.3.3
enum class ConsoleFeature : std::uint8_t { size = 0, multiport = 1, emerg_write = 2 };

namespace console_config {
// VIRTIO 1.4, 5.3.4
inline constexpr Field<std::uint16_t> kColumns{.offset = 0, .feature = static_cast<std::uint8_t>(ConsoleFeature::size)};
inline constexpr Field<std::uint16_t> kRows{.offset = 2, .feature = static_cast<std::uint8_t>(ConsoleFeature::size)};
inline constexpr Field<std::uint32_t> kMaximumPorts{.offset = 4, .feature = static_cast<std::uint8_t>(ConsoleFeature::multiport)};
inline constexpr Field<std::uint32_t> kEmergencyWrite{.offset = 8, .feature = static_cast<std::uint8_t>(ConsoleFeature::emerg_write)};
} // namespace console_config

/// What a control message is about (VIRTIO 1.4, 5.3.6.2).
enum class ConsoleEvent : std::uint16_t {
    device_ready = 0, // driver -> device
    port_add = 1,     // device -> driver
    port_remove = 2,  // device -> driver
    port_ready = 3,   // driver -> device
    console_port = 4, // device -> driver
    resize = 5,       // device -> driver, followed by ConsoleResize
    port_open = 6,    // both ways
    port_name = 7     // device -> driver, followed by the name
};

struct ConsoleControl {
    Le32 id;
    Le16 event;
    Le16 value;
};
static_assert(sizeof(ConsoleControl) == 8);
static_assert(offsetof(ConsoleControl, event) == 4 && offsetof(ConsoleControl, value) == 6);

struct ConsoleResize {
    Le16 columns;
    Le16 rows;
};
static_assert(sizeof(ConsoleResize) == 4);
static_assert(offsetof(ConsoleResize, rows) == 2);

/// VIRTIO 1.4, 5.3.2: port 0 has queues 0 and 1, control 2 and 3, port n >= 1 has 2n + 2 and 2n + 3.
inline constexpr std::uint16_t kControlReceiveQueue = 2;
inline constexpr std::uint16_t kControlTransmitQueue = 3;
[[nodiscard]] constexpr std::uint16_t console_receive_queue(std::uint32_t port) noexcept {
    return static_cast<std::uint16_t>(port == 0 ? 0 : (port + 1) * 2);
}
[[nodiscard]] constexpr std::uint16_t console_transmit_queue(std::uint32_t port) noexcept {
    return static_cast<std::uint16_t>(console_receive_queue(port) + 1);
}
/// How many queues a device with `ports` ports has (trap 35: the sum stands before the product).
[[nodiscard]] constexpr std::uint16_t console_queue_count(std::uint32_t ports, bool multiport) noexcept {
    return static_cast<std::uint16_t>(multiport ? (ports + 1) * 2 : 2);
}
static_assert(console_receive_queue(1) == 4 && console_transmit_queue(1) == 5 && console_queue_count(1, true) == 4);

inline constexpr FeatureName kConsoleFeatureNames[] = {
    {static_cast<std::uint8_t>(ConsoleFeature::size), "SIZE"},
    {static_cast<std::uint8_t>(ConsoleFeature::multiport), "MULTIPORT"},
    {static_cast<std::uint8_t>(ConsoleFeature::emerg_write), "EMERG_WRITE"},
};

} // namespace virtio
