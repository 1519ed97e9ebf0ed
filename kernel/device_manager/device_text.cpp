#include "kernel/device_manager/device_text.hpp"

#include <cstdio>

namespace kernel {
namespace {

struct TypeName {
    std::uint32_t type;
    const char* name;
};
// VIRTIO 1.4, 5.
constexpr TypeName kTypeNames[] = {
    {1, "network card"},
    {2, "block device"},
    {3, "console"},
    {4, "entropy source"},
    {5, "memory balloon (traditional)"},
    {6, "ioMemory"},
    {7, "rpmsg"},
    {8, "SCSI host"},
    {9, "9P transport"},
    {10, "mac80211 wlan"},
    {11, "rproc serial"},
    {12, "CAIF"},
    {13, "memory balloon"},
    {16, "GPU"},
    {17, "timer"},
    {18, "input"},
    {19, "socket"},
    {20, "crypto"},
    {21, "signal distribution"},
    {22, "pstore"},
    {23, "IOMMU"},
    {24, "memory"},
    {25, "sound"},
    {26, "file system"},
    {27, "PMEM"},
    {28, "RPMB"},
    {29, "mac80211 hwsim"},
    {30, "video encoder"},
    {31, "video decoder"},
    {32, "SCMI"},
    {33, "NitroSecureModule"},
    {34, "I2C adapter"},
    {35, "watchdog"},
    {36, "CAN"},
    {38, "parameter server"},
    {39, "audio policy"},
    {40, "Bluetooth"},
    {41, "GPIO"},
    {42, "RDMA"},
    {43, "camera"},
    {44, "ISM"},
    {45, "SPI controller"},
};

} // namespace

const char* virtio_type_name(std::uint32_t type) noexcept {
    for (const TypeName& entry : kTypeNames)
        if (entry.type == type) return entry.name;
    return nullptr;
}

void describe_failure(std::span<char> into, virtio::Error error, const virtio::Refusal& refusal,
                      std::span<const virtio::FeatureName> names) noexcept {
    const char* known = virtio::feature_name(refusal.bit, names);
    char number[16];
    std::snprintf(number, sizeof number, "bit %u", static_cast<unsigned>(refusal.bit));
    const char* feature = known != nullptr ? known : number;
    switch (error == refusal.error ? error : virtio::Error::none) {
    case virtio::Error::feature_missing: std::snprintf(into.data(), into.size(), "feature %s is not offered", feature); break;
    case virtio::Error::feature_dependency: std::snprintf(into.data(), into.size(), "feature %s needs another one", feature); break;
    case virtio::Error::feature_refused:
        std::snprintf(into.data(), into.size(), "the device refused the features that were chosen (FEATURES_OK)");
        break;
    case virtio::Error::dma_domain_missing:
        std::snprintf(into.data(), into.size(), "feature %s is offered, but there is no IOMMU domain", feature);
        break;
    default: std::snprintf(into.data(), into.size(), "%s", virtio::message(error)); break;
    }
}

} // namespace kernel
