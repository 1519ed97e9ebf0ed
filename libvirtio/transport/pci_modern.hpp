// The modern PCI transport (VIRTIO 1.4, 4.1): registers in memory BARs, found through capabilities; MSI-X or the INTx line. With
// PciReach::window every register is reached through configuration space instead (4.1.4.9), slowly, for a function whose BARs are not
// mapped or not assigned: then a kick is a call, and there is no line interrupt, since its status could not be read in a handler.
// Constant-initialised, comes alive by open(), outlives its Device. Task context.
//
//     static constinit virtio::PciTransport transport;
//     auto opened = transport.open(virtio::PciFunction{platform, address});   // "malformed or missing PCI capability"
#pragma once

#include "libvirtio/feature.hpp"
#include "libvirtio/pci.hpp"
#include "libvirtio/transport.hpp"
#include "libvirtio/transport/pci_capabilities.hpp"
#include "libvirtio/transport/pci_interrupts.hpp"
#include "libvirtio/transport/registers.hpp"

namespace virtio {

class PciTransport final : public Transport {
public:
    static constexpr std::uint16_t kMostMessages = PciInterrupts::kMostMessages;
    static constexpr std::uint16_t kMostWindowQueues = 64; // that can be notified through the window

    constexpr PciTransport() noexcept = default;

    /// Errors: no_device, bad_capability (none, or no window), bad_bar (not memory, or cannot be mapped), already_started.
    [[nodiscard]] Result<> open(const PciFunction& function, PciReach reach = PciReach::mapped) noexcept;
    [[nodiscard]] const PciFunction& function() const noexcept { return function_; }
    /// What open() found, shared memory regions and vendor data among it.
    [[nodiscard]] const PciCapabilities& capabilities() const noexcept { return capabilities_; }

    Result<DeviceIdentity> identity() noexcept override;
    const char* name() const noexcept override { return reach_ == PciReach::window ? "pci-cfg" : "pci-modern"; }
    Result<std::uint8_t> status() noexcept override;
    Result<> set_status(std::uint8_t value) noexcept override;
    FeatureSet unsupported() const noexcept override;
    unsigned feature_words() const noexcept override { return FeatureSet::kWords; }
    Result<std::uint32_t> device_features(unsigned word) noexcept override;
    Result<> set_driver_features(unsigned word, std::uint32_t value) noexcept override;
    std::size_t config_size() const noexcept override { return device_.length(); }
    Result<std::uint32_t> read_config(std::size_t offset, unsigned width) noexcept override;
    Result<> write_config(std::size_t offset, unsigned width, std::uint32_t value) noexcept override;
    Result<std::uint32_t> config_generation() noexcept override;
    Result<std::uint32_t> queue_maximum(std::uint16_t index) noexcept override;
    Result<QueueGrant> queue_enable(std::uint16_t index, const QueueSetup& setup) noexcept override;
    Result<> queue_reset(std::uint16_t index, std::uint64_t deadline_ns) noexcept override;
    Result<SharedMemory> shared_memory(std::uint8_t id) noexcept override;
    Result<std::uint16_t> connect_messages(std::uint16_t wanted, const InterruptTarget& target) noexcept override {
        return interrupts_.connect_messages(wanted, target);
    }
    Result<std::uint16_t> set_config_vector(std::uint16_t vector) noexcept override;
    Result<> connect_line(const InterruptTarget& target) noexcept override;
    void disconnect_interrupts() noexcept override { interrupts_.disconnect(); }
    InterruptStatus interrupt_status() const noexcept override;
    bool cut_off() noexcept override;

private:
    [[nodiscard]] Result<Registers> reach(const PciStructure& structure) noexcept;
    [[nodiscard]] bool gone() const noexcept { return function_.vendor() == 0xffff; }
    [[nodiscard]] Doorbell doorbell(std::uint16_t index, std::uint32_t offset, std::uint16_t identifier, bool data) noexcept;
    static void ring_window(void* context, std::uint32_t value) noexcept;

    PciFunction function_;
    PciCapabilities capabilities_;
    PciInterrupts interrupts_;
    PciConfigWindow window_;
    Registers common_;
    Registers notify_;
    Registers isr_;
    Registers device_;
    std::array<std::uint32_t, kMostWindowQueues> window_offsets_{}; // by queue: where in notify_ it is rung
    std::uint32_t type_ = 0;
    PciReach reach_ = PciReach::mapped;
    bool cut_off_ = false;     // from the bus, since a reset was not confirmed
    bool window_data_ = false; // kicks through the window carry the ring's position
};

} // namespace virtio
