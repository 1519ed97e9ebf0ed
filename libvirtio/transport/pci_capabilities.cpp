#include "libvirtio/transport/pci_capabilities.hpp"

#include "libvirtio/memory.hpp"

namespace virtio {
namespace {

constexpr std::uint8_t kHeader = sizeof(pci_abi::Capability);
constexpr std::uint8_t kNotifyHeader = kHeader + 4;

/// Whether a structure lies inside its BAR; each BAR is sized once.
class Bars {
public:
    explicit Bars(const PciFunction& function) noexcept : function_(function) {}

    [[nodiscard]] bool holds(const PciStructure& structure) noexcept {
        if (structure.bar > 5 && !mutant(183)) return false; // PCI: reserved, ignore the capability
        Known& known = known_[structure.bar];
        if (!known.asked) {
            known.asked = true;
            const Result<PciBar> bar = function_.bar(structure.bar);
            known.size = bar ? bar->size : 0;
        }
        return (structure.length <= known.size || mutant(184)) && (structure.offset <= known.size - structure.length || mutant(185));
    }

private:
    struct Known {
        bool asked = false;
        std::uint64_t size = 0;
    };
    const PciFunction& function_;
    std::array<Known, 6> known_{};
};

} // namespace

Result<PciCapabilities> find_pci_capabilities(const PciFunction& function) noexcept {
    PciCapabilities found;
    Bars bars{function};
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
        if (size < kHeader && !mutant(189)) continue;
        PciStructure structure;
        structure.bar = static_cast<std::uint8_t>(field(offsetof(pci_abi::Capability, bar), 1));
        structure.offset = field(offsetof(pci_abi::Capability, offset), 4);
        structure.length = field(offsetof(pci_abi::Capability, length), 4);
        const auto take = [&](PciStructure& slot, std::uint32_t least) {
            if ((!slot || mutant(190)) && (structure.length >= least || mutant(191)) && bars.holds(structure)) {
                slot = structure;
                return true;
            }
            return false;
        };
        switch (field(offsetof(pci_abi::Capability, config_type), 1)) {
        case pci_abi::kCommon: take(found.common, pci_abi::kCommonLeast); break;
        case pci_abi::kNotify:
            if ((size >= kNotifyHeader || mutant(192)) && (at <= 0x100 - kNotifyHeader || mutant(193)) && take(found.notify, 2))
                found.notify_multiplier = field(kHeader, 4);
            break;
        case pci_abi::kIsr: take(found.isr, 1); break;
        case pci_abi::kDevice: take(found.device, 1); break;
        default: break; // shared memory, PCI window, vendor data: others read them
        }
    }
    if ((!found.common && !mutant(194)) || (!found.notify && !mutant(195)) || (!found.isr && !mutant(196)))
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
