// The virtio structures of a PCI function (VIRTIO 1.4, 4.1.4): which capabilities it has, where each structure lies, and whether
// that place exists. Cold parsing of what a device says; every offset and length is bounded by its BAR. Task context.
#pragma once

#include <array>
#include <cstdint>

#include "libvirtio/pci.hpp"

namespace virtio {

namespace pci_abi {
struct Capability { // struct virtio_pci_cap
    std::uint8_t vendor;
    std::uint8_t next;
    std::uint8_t size;
    std::uint8_t config_type;
    std::uint8_t bar;
    std::uint8_t id;
    std::uint8_t padding[2];
    Le32 offset;
    Le32 length;
};
static_assert(sizeof(Capability) == 16);

inline constexpr std::uint16_t kVendor = 0x1af4;
inline constexpr std::uint16_t kModernBase = 0x1040; // + device type
inline constexpr std::uint16_t kTransitionalFirst = 0x1000;
inline constexpr std::uint16_t kTransitionalLast = 0x103f;

inline constexpr std::uint8_t kCapabilityVendor = 0x09;
inline constexpr std::uint8_t kCapabilityMsix = 0x11;

// config_type
inline constexpr std::uint8_t kCommon = 1;
inline constexpr std::uint8_t kNotify = 2;
inline constexpr std::uint8_t kIsr = 3;
inline constexpr std::uint8_t kDevice = 4;
inline constexpr std::uint8_t kPci = 5;
inline constexpr std::uint8_t kSharedMemory = 8;
inline constexpr std::uint8_t kVendorData = 9;

// Offsets in the common configuration structure (4.1.4.3)
inline constexpr std::size_t kDeviceFeatureSelect = 0;
inline constexpr std::size_t kDeviceFeature = 4;
inline constexpr std::size_t kDriverFeatureSelect = 8;
inline constexpr std::size_t kDriverFeature = 12;
inline constexpr std::size_t kConfigVector = 16;
inline constexpr std::size_t kQueueCount = 18;
inline constexpr std::size_t kStatus = 20;
inline constexpr std::size_t kConfigGeneration = 21;
inline constexpr std::size_t kQueueSelect = 22;
inline constexpr std::size_t kQueueSize = 24;
inline constexpr std::size_t kQueueVector = 26;
inline constexpr std::size_t kQueueEnable = 28;
inline constexpr std::size_t kQueueNotifyOffset = 30;
inline constexpr std::size_t kQueueDescriptor = 32;
inline constexpr std::size_t kQueueDriver = 40;
inline constexpr std::size_t kQueueDevice = 48;
inline constexpr std::size_t kQueueNotifyConfigData = 56;
inline constexpr std::size_t kQueueReset = 58;
inline constexpr std::size_t kCommonLeast = 56; // what every modern device has
} // namespace pci_abi

/// One virtio structure: so many bytes at an offset of a BAR. Length 0: absent.
struct PciStructure {
    std::uint8_t bar = 0;
    std::uint32_t offset = 0;
    std::uint32_t length = 0;

    [[nodiscard]] explicit operator bool() const noexcept { return length != 0; }
};

/// A shared memory region that the device offers (VIRTIO 1.4, 2.10, 4.1.4.7).
struct PciSharedMemory {
    std::uint8_t id = 0;
    std::uint8_t bar = 0;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

/// Vendor data (VIRTIO 1.4, 4.1.4.8): `size` bytes of configuration space at `at`, which only somebody who knows the vendor may use.
struct PciVendorData {
    std::uint16_t vendor = 0;
    std::uint8_t at = 0;
    std::uint8_t size = 0;
};

/// How the structures will be reached: a window needs no BAR that is assigned.
enum class PciReach : std::uint8_t { mapped, window };

struct PciCapabilities {
    static constexpr std::size_t kMostRegions = 4; // of shared memory; further ones are passed over
    static constexpr std::size_t kMostVendorData = 4;

    PciStructure common;
    PciStructure notify;
    PciStructure isr;
    PciStructure device;
    std::uint32_t notify_multiplier = 0;
    std::uint8_t msix = 0;   // offset of the MSI-X capability, 0: none
    std::uint8_t window = 0; // offset of the PCI configuration access capability, 0: none
    std::array<PciSharedMemory, kMostRegions> shared_memory{};
    std::array<PciVendorData, kMostVendorData> vendor_data{};
    std::uint8_t shared_memory_count = 0;
    std::uint8_t vendor_data_count = 0;
};

/// Walks the capability list (at most 48 members) and takes the first usable structure of each kind (VIRTIO 1.4, 4.1.4.1), every
/// shared memory region whose id is new, and vendor data: reserved BAR numbers, structures beyond their BAR and short capabilities are
/// passed over. Errors: bad_capability when the common, notify or ISR structure (or the window that is to be used) is missing.
[[nodiscard]] Result<PciCapabilities> find_pci_capabilities(const PciFunction& function, PciReach reach = PciReach::mapped) noexcept;

/// The virtio device type of a function, from its PCI ids: 0x1040 + type, or the subsystem id of a transitional device.
/// Errors: no_device.
[[nodiscard]] Result<std::uint32_t> virtio_type(const PciFunction& function) noexcept;

} // namespace virtio
