// The referee's own table of VIRTIO 1.4's numbers: feature bits, flags, register offsets. It shares nothing with any driver, so
// that a mistyped constant there cannot hide here; a unit test holds it against the headers of Linux where they have the names.
#pragma once

#include <cstdint>

namespace referee {

/// Feature bits as masks (6).
namespace feature {
inline constexpr std::uint64_t kIndirectDesc = std::uint64_t{1} << 28;
inline constexpr std::uint64_t kEventIdx = std::uint64_t{1} << 29;
inline constexpr std::uint64_t kVersion1 = std::uint64_t{1} << 32;
inline constexpr std::uint64_t kAccessPlatform = std::uint64_t{1} << 33;
inline constexpr std::uint64_t kRingPacked = std::uint64_t{1} << 34;
inline constexpr std::uint64_t kInOrder = std::uint64_t{1} << 35;
inline constexpr std::uint64_t kOrderPlatform = std::uint64_t{1} << 36;
inline constexpr std::uint64_t kNotificationData = std::uint64_t{1} << 38;
inline constexpr std::uint64_t kNotifConfigData = std::uint64_t{1} << 39;
inline constexpr std::uint64_t kRingReset = std::uint64_t{1} << 40;
} // namespace feature

/// Descriptor flags (2.7.5, 2.8.1).
namespace desc {
inline constexpr std::uint16_t kNext = 1;
inline constexpr std::uint16_t kWrite = 2;
inline constexpr std::uint16_t kIndirect = 4;
inline constexpr std::uint16_t kAvail = 1 << 7;
inline constexpr std::uint16_t kUsed = 1 << 15;
} // namespace desc

/// Event suppression of a packed ring (2.8.10).
namespace event {
inline constexpr std::uint16_t kEnable = 0;
inline constexpr std::uint16_t kDisable = 1;
inline constexpr std::uint16_t kDesc = 2;
} // namespace event

/// Device status bits (2.1).
namespace status {
inline constexpr std::uint32_t kAcknowledge = 1;
inline constexpr std::uint32_t kDriver = 2;
inline constexpr std::uint32_t kDriverOk = 4;
inline constexpr std::uint32_t kFeaturesOk = 8;
inline constexpr std::uint32_t kNeedsReset = 64;
inline constexpr std::uint32_t kFailed = 128;
} // namespace status

/// Registers of virtio-mmio version 2 (4.2.2).
namespace mmio {
inline constexpr std::uint64_t kMagicValue = 0x000;
inline constexpr std::uint64_t kVersion = 0x004;
inline constexpr std::uint64_t kDeviceId = 0x008;
inline constexpr std::uint64_t kVendorId = 0x00c;
inline constexpr std::uint64_t kDeviceFeatures = 0x010;
inline constexpr std::uint64_t kDeviceFeaturesSel = 0x014;
inline constexpr std::uint64_t kDriverFeatures = 0x020;
inline constexpr std::uint64_t kDriverFeaturesSel = 0x024;
inline constexpr std::uint64_t kQueueSel = 0x030;
inline constexpr std::uint64_t kQueueSizeMax = 0x034;
inline constexpr std::uint64_t kQueueSize = 0x038;
inline constexpr std::uint64_t kQueueReady = 0x044;
inline constexpr std::uint64_t kQueueNotify = 0x050;
inline constexpr std::uint64_t kInterruptStatus = 0x060;
inline constexpr std::uint64_t kInterruptAck = 0x064;
inline constexpr std::uint64_t kStatus = 0x070;
inline constexpr std::uint64_t kQueueDescLow = 0x080;
inline constexpr std::uint64_t kQueueDescHigh = 0x084;
inline constexpr std::uint64_t kQueueDriverLow = 0x090;
inline constexpr std::uint64_t kQueueDriverHigh = 0x094;
inline constexpr std::uint64_t kQueueDeviceLow = 0x0a0;
inline constexpr std::uint64_t kQueueDeviceHigh = 0x0a4;
inline constexpr std::uint64_t kShmSel = 0x0ac;
inline constexpr std::uint64_t kShmLenLow = 0x0b0;
inline constexpr std::uint64_t kShmLenHigh = 0x0b4;
inline constexpr std::uint64_t kShmBaseLow = 0x0b8;
inline constexpr std::uint64_t kShmBaseHigh = 0x0bc;
inline constexpr std::uint64_t kQueueReset = 0x0c0;
inline constexpr std::uint64_t kConfigGeneration = 0x0fc;
inline constexpr std::uint64_t kConfig = 0x100;
inline constexpr std::uint32_t kMagic = 0x7472'6976;
} // namespace mmio

inline constexpr std::uint32_t kLargestQueue = 32768; // entries (2.7, 2.8)
inline constexpr std::uint32_t kBlockType = 2;        // device ids (5)
inline constexpr std::uint32_t kEntropyType = 4;

/// Whether moving an index from `before` to `after` passes `wanted` (2.7.10, 2.8.10): all free-running 16-bit counters.
[[nodiscard]] constexpr bool passes(std::uint16_t wanted, std::uint16_t after, std::uint16_t before) noexcept {
    return static_cast<std::uint16_t>(after - wanted - 1) < static_cast<std::uint16_t>(after - before);
}

} // namespace referee
