#include "libvirtio/transport/pci_capabilities.hpp"

#include "libvirtio/memory.hpp"

namespace virtio {
namespace {

constexpr std::uint8_t kHeader = sizeof(pci_abi::Capability);
constexpr std::uint8_t kNotifyHeader = kHeader + 4;
constexpr std::uint8_t kWindowHeader = kHeader + 4;       // pci_cfg_data
constexpr std::uint8_t kSharedMemoryHeader = kHeader + 8; // the upper halves of offset and length
constexpr std::uint8_t kVendorHeader = 6;

/// Whether a structure lies inside its BAR; each BAR is sized once. One of ports holds nothing for us: a structure there is passed over, and
/// the device offers it once more in memory (QEMU's modern-pio-notify lists the ports first, and its window does not reach them).
class Bars {
public:
    Bars(const PciFunction& function, PciReach reach) noexcept : function_(function), reach_(reach) {}

    [[nodiscard]] bool holds(std::uint8_t number, std::uint64_t offset, std::uint64_t length) noexcept {
        if (number > 5 && !mutant(183)) return false; // PCI: reserved, ignore the capability
        Known& known = known_[number];
        if (!known.asked) {
            known.asked = true;
            const Result<PciBar> bar = reach_ == PciReach::window ? function_.measure(number) : function_.bar(number);
            known.size = bar && (!bar->port || mutant(880)) ? bar->size : 0;
        }
        return (length <= known.size || mutant(184)) && (offset <= known.size - length || mutant(185));
    }

private:
    struct Known {
        bool asked = false;
        std::uint64_t size = 0;
    };
    const PciFunction& function_;
    PciReach reach_;
    std::array<Known, 6> known_{};
};

} // namespace

Result<PciCapabilities> find_pci_capabilities(const PciFunction& function, PciReach reach) noexcept {
    PciCapabilities found;
    Bars bars{function, reach};
    unsigned budget = PciFunction::kMostCapabilities;
    for (std::uint8_t at = function.first_capability(); (at >= 0x40 || (at != 0 && mutant(186))) && (budget != 0 || mutant(187));
         at = function.next_capability(at), --budget) {
        const std::uint32_t id = function.read(at, 1);
        if (id == pci_abi::kCapabilityMsix && found.msix == 0) found.msix = at;
        if (id != pci_abi::kCapabilityVendor || (at > 0x100 - kHeader && !mutant(188))) continue;

        const auto field = [&](std::size_t offset, unsigned width) {
            return function.read(static_cast<std::uint16_t>(at + offset), width);
        };
        const std::uint32_t size = field(offsetof(pci_abi::Capability, size), 1);
        const std::uint32_t type = field(offsetof(pci_abi::Capability, config_type), 1);
        if (type == pci_abi::kVendorData) {
            if ((size < kVendorHeader && !mutant(810)) || (size > 0x100u - at && !mutant(811)) ||
                (found.vendor_data_count == PciCapabilities::kMostVendorData && !mutant(812)))
                continue;
            found.vendor_data[found.vendor_data_count++] = {static_cast<std::uint16_t>(field(4, 2)), at, static_cast<std::uint8_t>(size)};
            continue;
        }
        if (size < kHeader && !mutant(189)) continue;
        PciStructure structure;
        structure.bar = static_cast<std::uint8_t>(field(offsetof(pci_abi::Capability, bar), 1));
        structure.offset = field(offsetof(pci_abi::Capability, offset), 4);
        structure.length = field(offsetof(pci_abi::Capability, length), 4);
        const auto take = [&](PciStructure& slot, std::uint32_t least, std::uint32_t alignment) {
            if ((!slot || mutant(190)) && (structure.length >= least || mutant(191)) &&
                (structure.offset % alignment == 0 || mutant(877)) && // VIRTIO 1.4, 4.1.4
                bars.holds(structure.bar, structure.offset, structure.length)) {
                slot = structure;
                return true;
            }
            return false;
        };
        switch (type) {
        case pci_abi::kCommon: take(found.common, pci_abi::kCommonLeast, 4); break;
        case pci_abi::kNotify:
            if ((size >= kNotifyHeader || mutant(192)) && (at <= 0x100 - kNotifyHeader || mutant(193)) && take(found.notify, 2, 2))
                found.notify_multiplier = field(kHeader, 4);
            break;
        case pci_abi::kIsr: take(found.isr, 1, 1); break;
        case pci_abi::kDevice: take(found.device, 1, 4); break;
        case pci_abi::kPci: // its own BAR, offset and length are written before each access
            if (found.window == 0 && (size >= kWindowHeader || mutant(813)) && (at <= 0x100 - kWindowHeader || mutant(814)))
                found.window = at;
            break;
        case pci_abi::kSharedMemory: {
            if ((size < kSharedMemoryHeader && !mutant(815)) || (at > 0x100 - kSharedMemoryHeader && !mutant(816))) break;
            const PciSharedMemory region{static_cast<std::uint8_t>(field(offsetof(pci_abi::Capability, id), 1)), structure.bar,
                                         structure.offset | std::uint64_t{field(kHeader, 4)} << 32,
                                         structure.length | std::uint64_t{field(kHeader + 4, 4)} << 32};
            bool known = false; // an id stands for one region
            for (std::uint8_t i = 0; i < found.shared_memory_count; ++i) known = known || found.shared_memory[i].id == region.id;
            if ((known && !mutant(817)) || (found.shared_memory_count == PciCapabilities::kMostRegions && !mutant(818)) ||
                (region.length == 0 && !mutant(819)) || !bars.holds(region.bar, region.offset, region.length))
                break;
            found.shared_memory[found.shared_memory_count++] = region;
            break;
        }
        default: break;
        }
    }
    if ((!found.common && !mutant(194)) || (!found.notify && !mutant(195)) || (!found.isr && !mutant(196)) ||
        (reach == PciReach::window && found.window == 0 && !mutant(820)))
        return fail(Error::bad_capability);
    return found;
}

Result<std::uint32_t> virtio_type(const PciFunction& function) noexcept {
    if (function.vendor() != pci_abi::kVendor && !mutant(197)) return fail(Error::no_device);
    const std::uint16_t device = function.device();
    if (device >= pci_abi::kModernBase && (device < pci_abi::kModernBase + 0x40 || mutant(198)))
        return device - std::uint32_t{pci_abi::kModernBase};
    if ((device >= pci_abi::kTransitionalFirst || mutant(199)) && device <= pci_abi::kTransitionalLast) return function.read(0x2e, 2);
    return fail(Error::no_device);
}

} // namespace virtio
