// Which transport drives a device: the best there is, or the one that transport= on the command line names (the others are refused, so
// that a test knows what it tests). Task context.
//
//     auto* seat = new PciSeat;
//     auto transport = seat->open(function, transport_choice());          // or seat->problem() says why not
#pragma once

#include <cstdint>

#include "libvirtio/transport/mmio.hpp"
#include "libvirtio/transport/pci_legacy.hpp"
#include "libvirtio/transport/pci_modern.hpp"

namespace kernel {

enum class TransportChoice : std::uint8_t {
    best,       // modern, else legacy
    pci,        // modern
    pci_legacy, // transitional devices too
    pci_window, // pci-cfg: every register through configuration space
    mmio,       // version 2
    mmio_legacy // version 1
};

/// What transport= says: pci, pci-legacy, pci-cfg, mmio, mmio-legacy. Anything else is told in the log and is `best`. Asked once.
[[nodiscard]] TransportChoice transport_choice();

/// A PCI function's transport, whichever it is.
class PciSeat {
public:
    constexpr PciSeat() noexcept = default;

    /// Errors: those of the transports; unsupported_device (another transport was asked for).
    [[nodiscard]] virtio::Result<virtio::Transport*> open(const virtio::PciFunction& function, TransportChoice choice) noexcept;
    /// Why the last open() failed, in words.
    [[nodiscard]] const char* problem() const noexcept { return problem_; }
    /// Capabilities of a modern device; null: legacy.
    [[nodiscard]] const virtio::PciCapabilities* capabilities() const noexcept;

private:
    virtio::Result<virtio::Transport*> refuse(virtio::Error error, const char* problem) noexcept;

    virtio::PciTransport modern_;
    virtio::PciLegacyTransport legacy_;
    const char* problem_ = "";
    bool is_modern_ = false;
};

/// Whether an MMIO device that was opened is of the kind that is wanted; else the words why not.
[[nodiscard]] const char* mmio_refusal(const virtio::MmioTransport& transport, TransportChoice choice) noexcept;

} // namespace kernel
