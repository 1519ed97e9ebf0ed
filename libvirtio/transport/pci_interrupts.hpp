// How a PCI function interrupts, whatever its registers look like: MSI-X (PCI 3.0, 6.8.2) or the INTx line. Owned by a PCI transport;
// task context.
//
//     PciInterrupts interrupts;
//     interrupts.open(function, capabilities.msix);            // both off
//     auto granted = interrupts.connect_messages(3, target);
#pragma once

#include "libvirtio/pci.hpp"
#include "libvirtio/transport.hpp"

namespace virtio {

class PciInterrupts {
public:
    static constexpr std::uint16_t kMostMessages = 64;

    constexpr PciInterrupts() noexcept = default;

    /// Switches messages and line off: a shared line must not hear of us before connect_line(). `msix` is the capability's offset, 0:
    /// none.
    void open(const PciFunction& function, std::uint8_t msix) noexcept;
    /// See Transport. Errors: interrupt_unavailable.
    [[nodiscard]] Result<std::uint16_t> connect_messages(std::uint16_t wanted, const InterruptTarget& target) noexcept;
    [[nodiscard]] Result<> connect_line(const InterruptTarget& target) noexcept;
    void disconnect() noexcept;
    /// Whether messages are switched on: it moves the legacy configuration.
    [[nodiscard]] bool messages() const noexcept { return messages_; }

private:
    [[nodiscard]] std::uint16_t at(std::uint16_t offset) const noexcept { return static_cast<std::uint16_t>(msix_ + offset); }
    void switch_messages_off() noexcept;

    PciFunction function_;
    InterruptTarget target_;
    std::uint8_t msix_ = 0;
    bool messages_ = false;
};

} // namespace virtio
