// The modern PCI transport (VIRTIO 1.4, 4.1): registers in memory BARs, found through capabilities; MSI-X or the INTx line.
// Constant-initialised, comes alive by open(), outlives its Device. Task context.
//
//     static constinit virtio::PciTransport transport;
//     auto opened = transport.open(virtio::PciFunction{platform, address});   // "malformed or missing PCI capability"
#pragma once

#include "libvirtio/feature.hpp"
#include "libvirtio/pci.hpp"
#include "libvirtio/transport.hpp"
#include "libvirtio/transport/pci_capabilities.hpp"

namespace virtio {

class PciTransport final : public Transport {
public:
    static constexpr std::uint16_t kMostMessages = 64;

    constexpr PciTransport() noexcept = default;

    /// Errors: no_device, bad_capability, bad_bar (not memory, or cannot be mapped), already_started.
    [[nodiscard]] Result<> open(const PciFunction& function) noexcept;
    [[nodiscard]] const PciFunction& function() const noexcept { return function_; }

    Result<DeviceIdentity> identity() noexcept override;
    const char* name() const noexcept override { return "pci-modern"; }
    Result<std::uint8_t> status() noexcept override;
    Result<> set_status(std::uint8_t value) noexcept override;
    FeatureSet unsupported() const noexcept override;
    unsigned feature_words() const noexcept override { return FeatureSet::kWords; }
    Result<std::uint32_t> device_features(unsigned word) noexcept override;
    Result<> set_driver_features(unsigned word, std::uint32_t value) noexcept override;
    std::size_t config_size() const noexcept override { return device_length_; }
    Result<std::uint32_t> read_config(std::size_t offset, unsigned width) noexcept override;
    Result<> write_config(std::size_t offset, unsigned width, std::uint32_t value) noexcept override;
    Result<std::uint32_t> config_generation() noexcept override;
    Result<std::uint32_t> queue_maximum(std::uint16_t index) noexcept override;
    Result<QueueGrant> queue_enable(std::uint16_t index, const QueueSetup& setup) noexcept override;
    Result<> queue_reset(std::uint16_t index, std::uint64_t deadline_ns) noexcept override;
    Result<std::uint16_t> connect_messages(std::uint16_t wanted, const InterruptTarget& target) noexcept override;
    Result<std::uint16_t> set_config_vector(std::uint16_t vector) noexcept override;
    Result<> connect_line(const InterruptTarget& target) noexcept override;
    void disconnect_interrupts() noexcept override;
    InterruptStatus interrupt_status() const noexcept override { return InterruptStatus::at(InterruptStatus::Kind::mmio8, isr_); }
    bool cut_off() noexcept override;

private:
    [[nodiscard]] Result<std::uintptr_t> map(const PciStructure& structure) noexcept;
    [[nodiscard]] bool gone() const noexcept { return function_.vendor() == 0xffff; }

    PciFunction function_;
    std::uintptr_t common_ = 0;
    std::uintptr_t notify_ = 0;
    std::uintptr_t isr_ = 0;
    std::uintptr_t device_ = 0;
    std::uint32_t common_length_ = 0;
    std::uint32_t notify_length_ = 0;
    std::uint32_t device_length_ = 0;
    std::uint32_t notify_multiplier_ = 0;
    std::uint32_t type_ = 0;
    std::uint8_t msix_ = 0;
    InterruptTarget target_;
};

} // namespace virtio
