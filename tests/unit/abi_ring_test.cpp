// The ring's and the transports' constants, compared with the system's headers, which Linux guests have used for years. What is
// newer than those headers is compared with a table that names the section of VIRTIO 1.4.
#include <doctest/doctest.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_pci.h>
#define VIRTIO_RING_NO_LEGACY // the legacy helpers are not C++
#include <linux/virtio_ring.h>

#include <cstddef>
#include <cstdio>

#include "libvirtio/device.hpp"
#include "libvirtio/ring/abi.hpp"
#include "libvirtio/status.hpp"
#include "libvirtio/transport/mmio.hpp"
#include "libvirtio/transport/pci_capabilities.hpp"

using namespace virtio;

namespace {
struct Pair {
    const char* what;
    unsigned long long ours, theirs;
};
constexpr unsigned bit(RingFeature feature) { return static_cast<unsigned>(feature); }
} // namespace

TEST_CASE("ring, status, PCI and MMIO constants equal the system's (trap 34)") {
    const Pair pairs[] = {
        {"sizeof descriptor", sizeof(Descriptor), sizeof(vring_desc)},
        {"descriptor.addr", offsetof(Descriptor, address), offsetof(vring_desc, addr)},
        {"descriptor.len", offsetof(Descriptor, length), offsetof(vring_desc, len)},
        {"descriptor.flags", offsetof(Descriptor, flags), offsetof(vring_desc, flags)},
        {"descriptor.next", offsetof(Descriptor, next), offsetof(vring_desc, next)},
        {"sizeof used element", sizeof(UsedElement), sizeof(vring_used_elem)},
        {"used.id", offsetof(UsedElement, id), offsetof(vring_used_elem, id)},
        {"used.len", offsetof(UsedElement, length), offsetof(vring_used_elem, len)},
        {"NEXT", descriptor_flag::kNext, VRING_DESC_F_NEXT},
        {"WRITE", descriptor_flag::kWrite, VRING_DESC_F_WRITE},
        {"INDIRECT", descriptor_flag::kIndirect, VRING_DESC_F_INDIRECT},
        {"NO_INTERRUPT", kAvailableNoInterrupt, VRING_AVAIL_F_NO_INTERRUPT},
        {"NO_NOTIFY", kUsedNoNotify, VRING_USED_F_NO_NOTIFY},
        {"INDIRECT_DESC", bit(RingFeature::indirect_desc), VIRTIO_RING_F_INDIRECT_DESC},
        {"EVENT_IDX", bit(RingFeature::event_idx), VIRTIO_RING_F_EVENT_IDX},
        {"NOTIFY_ON_EMPTY", bit(RingFeature::notify_on_empty), VIRTIO_F_NOTIFY_ON_EMPTY},
        {"ANY_LAYOUT", bit(RingFeature::any_layout), VIRTIO_F_ANY_LAYOUT},
        {"VERSION_1", bit(RingFeature::version_1), VIRTIO_F_VERSION_1},
        {"ACCESS_PLATFORM", bit(RingFeature::access_platform), VIRTIO_F_ACCESS_PLATFORM},
        {"RING_PACKED", bit(RingFeature::ring_packed), VIRTIO_F_RING_PACKED},
        {"IN_ORDER", bit(RingFeature::in_order), VIRTIO_F_IN_ORDER},
        {"ORDER_PLATFORM", bit(RingFeature::order_platform), VIRTIO_F_ORDER_PLATFORM},
        {"SR_IOV", bit(RingFeature::sr_iov), VIRTIO_F_SR_IOV},
        {"RING_RESET", bit(RingFeature::ring_reset), VIRTIO_F_RING_RESET},
        {"ACKNOWLEDGE", status::kAcknowledge, VIRTIO_CONFIG_S_ACKNOWLEDGE},
        {"DRIVER", status::kDriver, VIRTIO_CONFIG_S_DRIVER},
        {"DRIVER_OK", status::kDriverOk, VIRTIO_CONFIG_S_DRIVER_OK},
        {"FEATURES_OK", status::kFeaturesOk, VIRTIO_CONFIG_S_FEATURES_OK},
        {"NEEDS_RESET", status::kNeedsReset, VIRTIO_CONFIG_S_NEEDS_RESET},
        {"FAILED", status::kFailed, VIRTIO_CONFIG_S_FAILED},
        {"sizeof pci cap", sizeof(pci_abi::Capability), sizeof(virtio_pci_cap)},
        {"cap.cfg_type", offsetof(pci_abi::Capability, config_type), offsetof(virtio_pci_cap, cfg_type)},
        {"cap.bar", offsetof(pci_abi::Capability, bar), offsetof(virtio_pci_cap, bar)},
        {"cap.id", offsetof(pci_abi::Capability, id), offsetof(virtio_pci_cap, id)},
        {"cap.offset", offsetof(pci_abi::Capability, offset), offsetof(virtio_pci_cap, offset)},
        {"cap.length", offsetof(pci_abi::Capability, length), offsetof(virtio_pci_cap, length)},
        {"CAP_COMMON", pci_abi::kCommon, VIRTIO_PCI_CAP_COMMON_CFG},
        {"CAP_NOTIFY", pci_abi::kNotify, VIRTIO_PCI_CAP_NOTIFY_CFG},
        {"CAP_ISR", pci_abi::kIsr, VIRTIO_PCI_CAP_ISR_CFG},
        {"CAP_DEVICE", pci_abi::kDevice, VIRTIO_PCI_CAP_DEVICE_CFG},
        {"CAP_PCI", pci_abi::kPci, VIRTIO_PCI_CAP_PCI_CFG},
        {"CAP_SHARED_MEMORY", pci_abi::kSharedMemory, VIRTIO_PCI_CAP_SHARED_MEMORY_CFG},
        {"common.device_feature_select", pci_abi::kDeviceFeatureSelect, VIRTIO_PCI_COMMON_DFSELECT},
        {"common.device_feature", pci_abi::kDeviceFeature, VIRTIO_PCI_COMMON_DF},
        {"common.driver_feature_select", pci_abi::kDriverFeatureSelect, VIRTIO_PCI_COMMON_GFSELECT},
        {"common.driver_feature", pci_abi::kDriverFeature, VIRTIO_PCI_COMMON_GF},
        {"common.config_msix_vector", pci_abi::kConfigVector, VIRTIO_PCI_COMMON_MSIX},
        {"common.num_queues", pci_abi::kQueueCount, VIRTIO_PCI_COMMON_NUMQ},
        {"common.device_status", pci_abi::kStatus, VIRTIO_PCI_COMMON_STATUS},
        {"common.config_generation", pci_abi::kConfigGeneration, VIRTIO_PCI_COMMON_CFGGENERATION},
        {"common.queue_select", pci_abi::kQueueSelect, VIRTIO_PCI_COMMON_Q_SELECT},
        {"common.queue_size", pci_abi::kQueueSize, VIRTIO_PCI_COMMON_Q_SIZE},
        {"common.queue_msix_vector", pci_abi::kQueueVector, VIRTIO_PCI_COMMON_Q_MSIX},
        {"common.queue_enable", pci_abi::kQueueEnable, VIRTIO_PCI_COMMON_Q_ENABLE},
        {"common.queue_notify_off", pci_abi::kQueueNotifyOffset, VIRTIO_PCI_COMMON_Q_NOFF},
        {"common.queue_desc", pci_abi::kQueueDescriptor, VIRTIO_PCI_COMMON_Q_DESCLO},
        {"common.queue_driver", pci_abi::kQueueDriver, VIRTIO_PCI_COMMON_Q_AVAILLO},
        {"common.queue_device", pci_abi::kQueueDevice, VIRTIO_PCI_COMMON_Q_USEDLO},
        {"mmio.MagicValue", mmio_abi::kMagic, VIRTIO_MMIO_MAGIC_VALUE},
        {"mmio.Version", mmio_abi::kVersion, VIRTIO_MMIO_VERSION},
        {"mmio.DeviceID", mmio_abi::kDeviceId, VIRTIO_MMIO_DEVICE_ID},
        {"mmio.VendorID", mmio_abi::kVendorId, VIRTIO_MMIO_VENDOR_ID},
        {"mmio.DeviceFeatures", mmio_abi::kDeviceFeatures, VIRTIO_MMIO_DEVICE_FEATURES},
        {"mmio.DeviceFeaturesSel", mmio_abi::kDeviceFeaturesSelect, VIRTIO_MMIO_DEVICE_FEATURES_SEL},
        {"mmio.DriverFeatures", mmio_abi::kDriverFeatures, VIRTIO_MMIO_DRIVER_FEATURES},
        {"mmio.DriverFeaturesSel", mmio_abi::kDriverFeaturesSelect, VIRTIO_MMIO_DRIVER_FEATURES_SEL},
        {"mmio.QueueSel", mmio_abi::kQueueSelect, VIRTIO_MMIO_QUEUE_SEL},
        {"mmio.QueueNumMax", mmio_abi::kQueueMaximum, VIRTIO_MMIO_QUEUE_NUM_MAX},
        {"mmio.QueueNum", mmio_abi::kQueueSize, VIRTIO_MMIO_QUEUE_NUM},
        {"mmio.QueueReady", mmio_abi::kQueueReady, VIRTIO_MMIO_QUEUE_READY},
        {"mmio.QueueNotify", mmio_abi::kQueueNotify, VIRTIO_MMIO_QUEUE_NOTIFY},
        {"mmio.InterruptStatus", mmio_abi::kInterruptStatus, VIRTIO_MMIO_INTERRUPT_STATUS},
        {"mmio.InterruptACK", mmio_abi::kInterruptAcknowledge, VIRTIO_MMIO_INTERRUPT_ACK},
        {"mmio.Status", mmio_abi::kStatus, VIRTIO_MMIO_STATUS},
        {"mmio.QueueDesc", mmio_abi::kQueueDescriptor, VIRTIO_MMIO_QUEUE_DESC_LOW},
        {"mmio.QueueDriver", mmio_abi::kQueueDriver, VIRTIO_MMIO_QUEUE_AVAIL_LOW},
        {"mmio.QueueDevice", mmio_abi::kQueueDevice, VIRTIO_MMIO_QUEUE_USED_LOW},
        {"mmio.ConfigGeneration", mmio_abi::kConfigGeneration, VIRTIO_MMIO_CONFIG_GENERATION},
        {"mmio.Config", mmio_abi::kConfig, VIRTIO_MMIO_CONFIG},
        {"interrupt: queue", InterruptStatus::kQueue, VIRTIO_MMIO_INT_VRING},
        {"interrupt: config", InterruptStatus::kConfig, VIRTIO_MMIO_INT_CONFIG},
    };
    for (const Pair& pair : pairs) CHECK_MESSAGE(pair.ours == pair.theirs, pair.what);

    struct Newer {
        const char* what;
        unsigned long long ours, value;
        const char* section;
    };
    const Newer newer[] = {
        {"NOTIFICATION_DATA", bit(RingFeature::notification_data), 38, "6"},
        {"NOTIF_CONFIG_DATA", bit(RingFeature::notif_config_data), 39, "6"},
        {"ADMIN_VQ", bit(RingFeature::admin_vq), 41, "6"},
        {"SUSPEND", status::kSuspend, 16, "2.1"},
        {"queue_notify_config_data", pci_abi::kQueueNotifyConfigData, 56, "4.1.4.3"},
        {"queue_reset", pci_abi::kQueueReset, 58, "4.1.4.3"},
        {"mmio.QueueReset", mmio_abi::kQueueReset, 0x0c0, "4.2.2"},
    };
    for (const Newer& entry : newer) CHECK_MESSAGE(entry.ours == entry.value, entry.what << ", VIRTIO 1.4, " << entry.section);
    std::printf("abi ring: %zu constants equal the system's headers, %zu newer ones the specification's\n", std::size(pairs),
                std::size(newer));
}

TEST_CASE("need_event wraps like the specification's (trap 2)") {
    for (const unsigned old_index : {0u, 1u, 0x7fffu, 0x8000u, 0xfff0u, 0xfffeu, 0xffffu}) {
        for (unsigned step = 0; step <= 20; ++step) {
            for (int offset = -25; offset <= 25; ++offset) {
                const auto event = static_cast<std::uint16_t>(static_cast<int>(old_index) + offset);
                const auto now = static_cast<std::uint16_t>(old_index + step);
                // In words: some index in (old, now] is the one after `event`, that is event itself lies in [old, now).
                const bool inside = offset >= 0 && offset < static_cast<int>(step);
                CHECK(need_event(event, now, static_cast<std::uint16_t>(old_index)) == inside);
                CHECK(need_event(event, now, static_cast<std::uint16_t>(old_index)) ==
                      (vring_need_event(event, now, static_cast<std::uint16_t>(old_index)) != 0));
            }
        }
    }
}
