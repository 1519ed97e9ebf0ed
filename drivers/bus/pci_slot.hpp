// A slot for native PCI Express hot-plug: the port (root port or switch port) that it hangs on, and what happens in it (PCI Express 6.0,
// 6.7 and 7.5.3). Owned by whoever manages devices; task context. Asked after the port's interrupt, or now and then.
//
//     virtio::PciSlot slot;
//     if (slot.open(virtio::PciFunction{platform, address}))
//         switch (slot.look()) {
//         case virtio::PciSlot::Event::arrived: slot.power_on(); ...       // then the bus behind is scanned
//         case virtio::PciSlot::Event::leaving: ...; slot.power_off();     // drivers have let go
//         case virtio::PciSlot::Event::gone: ...                           // torn out
//         case virtio::PciSlot::Event::none: break;
//         }
#pragma once

#include <cstdint>

#include "libvirtio/pci.hpp"

namespace virtio {

class PciSlot {
public:
    enum class Event : std::uint8_t {
        none,
        arrived, ///< a card is there that nobody uses
        leaving, ///< somebody asks for the card (attention button)
        gone     ///< the card is not there any more
    };
    static constexpr std::uint64_t kCommandNs = 1'000'000'000; ///< a command takes at most so long (6.7.3.2)
    static constexpr std::uint64_t kLinkNs = 1'000'000'000;    ///< until the card answers after its power came (6.6.1)

    constexpr PciSlot() noexcept = default;

    /// Takes the port's slot over; a card that is in it and has power counts as used. Errors: unsupported_device (no slot for hot-plug
    /// here), device_gone, timeout.
    Result<> open(const PciFunction& port) noexcept;
    /// What has happened since the last look, and acknowledges it.
    [[nodiscard]] Event look() noexcept;
    /// For a card that arrived: gives it power and waits until it answers. Errors: device_gone (the port), no_device (pulled out again),
    /// timeout.
    Result<> power_on() noexcept;
    /// For a card that nobody uses any more: it may be taken out. Errors: device_gone, timeout.
    Result<> power_off() noexcept;
    /// Whether the port interrupts when something happens.
    Result<> interrupts(bool on) noexcept;
    /// Which of the port's messages says so.
    [[nodiscard]] std::uint16_t message() const noexcept;

    [[nodiscard]] const PciFunction& port() const noexcept { return port_; }
    /// The bus behind the port; the card is device 0 there.
    [[nodiscard]] std::uint8_t bus() const noexcept { return bus_; }
    [[nodiscard]] bool occupied() const noexcept { return occupied_; }

private:
    [[nodiscard]] std::uint32_t read(std::uint16_t offset, unsigned width) const noexcept;
    [[nodiscard]] Result<> command(std::uint16_t clear, std::uint16_t set) noexcept;

    PciFunction port_;
    std::uint8_t express_ = 0;
    std::uint8_t bus_ = 0;
    std::uint32_t capabilities_ = 0;
    bool occupied_ = false; // a card is there and may be used
    bool ignored_ = false;  // the card that is there has been given up: it counts again once it was out, or by its button
};

} // namespace virtio
