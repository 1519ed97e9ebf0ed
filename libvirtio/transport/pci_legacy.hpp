// The legacy PCI transport (VIRTIO 0.9.5; 1.4, 4.1.4.10 and 4.1.5.1.3.1): a short block of registers in BAR 0, usually I/O ports, for
// devices that know nothing else, and for transitional ones when somebody asks for it. The device fixes the size of each queue, and is
// told one page number for it. Constant-initialised, comes alive by open(), outlives its Device. Task context.
//
//     static constinit virtio::PciLegacyTransport transport;
//     auto opened = transport.open(virtio::PciFunction{platform, address});   // Error::bad_bar: no registers in BAR 0
#pragma once

#include "libvirtio/pci.hpp"
#include "libvirtio/transport.hpp"
#include "libvirtio/transport/pci_capabilities.hpp"
#include "libvirtio/transport/pci_interrupts.hpp"
#include "libvirtio/transport/registers.hpp"

namespace virtio {

namespace pci_legacy_abi { // VIRTIO 1.4, 4.1.4.10
inline constexpr std::size_t kDeviceFeatures = 0;
inline constexpr std::size_t kDriverFeatures = 4;
inline constexpr std::size_t kQueuePageNumber = 8;
inline constexpr std::size_t kQueueSize = 12;
inline constexpr std::size_t kQueueSelect = 14;
inline constexpr std::size_t kQueueNotify = 16;
inline constexpr std::size_t kStatus = 18;
inline constexpr std::size_t kInterruptStatus = 19;
inline constexpr std::size_t kConfigWithoutMessages = 20;
inline constexpr std::size_t kConfigVector = 20; // the two vectors exist while MSI-X is enabled
inline constexpr std::size_t kQueueVector = 22;
inline constexpr std::size_t kConfigWithMessages = 24;
} // namespace pci_legacy_abi

class PciLegacyTransport final : public Transport {
public:
    constexpr PciLegacyTransport() noexcept = default;

    /// Errors: no_device (not virtio's, or modern only), bad_bar (no BAR 0, too short, or not to be mapped; no ports on this processor),
    /// device_gone (every register reads all ones), already_started.
    [[nodiscard]] Result<> open(const PciFunction& function) noexcept;
    [[nodiscard]] const PciFunction& function() const noexcept { return function_; }

    Result<DeviceIdentity> identity() noexcept override;
    const char* name() const noexcept override { return "pci-legacy"; }
    QueueLayout queue_layout() const noexcept override { return QueueLayout::contiguous_whole; }
    Result<std::uint8_t> status() noexcept override;
    Result<> set_status(std::uint8_t value) noexcept override;
    unsigned feature_words() const noexcept override { return 1; }
    Result<std::uint32_t> device_features(unsigned word) noexcept override;
    Result<> set_driver_features(unsigned word, std::uint32_t value) noexcept override;
    std::size_t config_size() const noexcept override { return config().length(); }
    Result<std::uint32_t> read_config(std::size_t offset, unsigned width) noexcept override;
    Result<> write_config(std::size_t offset, unsigned width, std::uint32_t value) noexcept override;
    Result<std::uint32_t> config_generation() noexcept override { return 0u; }
    Result<std::uint32_t> queue_maximum(std::uint16_t index) noexcept override;
    Result<QueueGrant> queue_enable(std::uint16_t index, const QueueSetup& setup) noexcept override;
    Result<> queue_reset(std::uint16_t, std::uint64_t) noexcept override { return fail(Error::unsupported_request); }
    Result<std::uint16_t> connect_messages(std::uint16_t wanted, const InterruptTarget& target) noexcept override;
    Result<std::uint16_t> set_config_vector(std::uint16_t vector) noexcept override;
    Result<> connect_line(const InterruptTarget& target) noexcept override { return interrupts_.connect_line(target); }
    void disconnect_interrupts() noexcept override { interrupts_.disconnect(); }
    InterruptStatus interrupt_status() const noexcept override;
    bool cut_off() noexcept override;

private:
    [[nodiscard]] Result<Registers> reach() noexcept;
    [[nodiscard]] static bool silent(const Registers& registers) noexcept;
    /// Behind the registers: enabled messages move it (PCI-049).
    [[nodiscard]] Registers config() const noexcept;
    [[nodiscard]] bool gone() const noexcept { return function_.vendor() == 0xffff; }

    PciFunction function_;
    PciInterrupts interrupts_;
    Registers registers_;
    std::uint32_t type_ = 0;
    bool cut_off_ = false;    // from the bus, since a reset was not confirmed
    bool memory_off_ = false; // its registers answer only while memory decoding is off: no MSI-X table then
};

} // namespace virtio
