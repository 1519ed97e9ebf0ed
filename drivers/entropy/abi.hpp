// The entropy device on the wire (VIRTIO 1.4, 5.4): one queue of device-writable buffers, no features, no configuration.
#pragma once

#include <cstdint>

namespace virtio {

inline constexpr std::uint32_t kEntropyDeviceType = 4;
inline constexpr std::uint16_t kEntropyQueue = 0; // requestq

} // namespace virtio
