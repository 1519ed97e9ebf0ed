// What the kernel gives its drivers (libvirtio/platform.hpp): pages as DMA memory, the heap as private memory, the clock, sleep and
// wake through the scheduler, PCI configuration space, message and line interrupts. All RAM is mapped one to one, so a device's
// address is the pointer, and ACCESS_PLATFORM changes nothing, unless dma=bounce asks for a pool through which everything is copied.
// One object for the whole machine; task context but for wake().
//
//     kernel::KernelPlatform& platform = kernel::device_platform();
//     disk.start(platform, transport);
#pragma once

#include <cstdint>

#include "kernel/device_manager/pci_config.hpp"
#include "kernel/device_manager/routes.hpp"
#include "kernel/task/mutex.hpp"
#include "libvirtio/bounce.hpp"
#include "libvirtio/pci.hpp"

namespace kernel {

/// irq= on the command line: what devices may use. `best` is messages, else the line, else polling.
enum class InterruptChoice : std::uint8_t { best, messages, line, poll };

class KernelPlatform final : public virtio::PciPlatform {
public:
    constexpr KernelPlatform() noexcept = default;

    /// Reads irq=, dma= and ring= and finds the PCI configuration space. Once, before anything else.
    void start();

    void* dma_allocate(std::size_t bytes, std::size_t alignment) noexcept override;
    void dma_free(void* memory, std::size_t bytes) noexcept override;
    virtio::DmaAddress dma_address(const void* memory) noexcept override { return {reinterpret_cast<std::uintptr_t>(memory)}; }
    std::uint64_t now_ns() noexcept override;
    virtio::Result<virtio::DmaDomain*> dma_domain(const virtio::DeviceIdentity&, bool) noexcept override {
        if (bounces_) return &bounce_;
        return &domain_;
    }
    virtio::FeatureSet ring_features(const virtio::DeviceIdentity&) noexcept override { return rings_; }
    void* allocate(std::size_t bytes, std::size_t alignment) noexcept override;
    void free(void* memory, std::size_t bytes) noexcept override;
    void wait(const virtio::Event& event, std::uint64_t deadline_ns) noexcept override;
    void wake() noexcept override; // platform_interrupt.cpp
    void log(virtio::LogLevel level, const char* text) noexcept override;

    std::uint32_t pci_read(const virtio::PciAddress& address, std::uint16_t offset, unsigned width) noexcept override {
        return config_.read(address, offset, width);
    }
    void pci_write(const virtio::PciAddress& address, std::uint16_t offset, unsigned width, std::uint32_t value) noexcept override {
        config_.write(address, offset, width, value);
    }
    std::uintptr_t map_device(std::uint64_t base, std::uint64_t size) noexcept override;
    std::uintptr_t map_ports(std::uint64_t base, std::uint64_t size) noexcept override;
    virtio::Result<std::uint16_t> allocate_messages(const virtio::PciAddress& address, std::span<virtio::InterruptMessage> messages,
                                                    const virtio::InterruptTarget& target) noexcept override;
    virtio::Result<> connect_line(const virtio::PciAddress& address, const virtio::InterruptTarget& target) noexcept override;
    void disconnect(const virtio::PciAddress& address, const virtio::InterruptTarget& target) noexcept override;

    /// The line of an MMIO device. Errors: interrupt_unavailable, out_of_range.
    [[nodiscard]] virtio::Result<> connect_slot(const Line& line, const virtio::InterruptTarget& target, const char* owner);
    void disconnect_slot(const virtio::InterruptTarget& target) {
        const MutexLock lock(routes_mutex_);
        routes_.remove(target);
    }
    /// Whether dma=bounce holds.
    [[nodiscard]] bool bounces() const noexcept { return bounces_; }

    [[nodiscard]] PciConfig& config() noexcept { return config_; }
    [[nodiscard]] InterruptChoice choice() const noexcept { return choice_; }

private:
    class Domain final : public virtio::DmaDomain {
    public:
        constexpr Domain() noexcept : DmaDomain(std::uint64_t{0}) {}
        virtio::Result<virtio::DmaMemory> allocate(std::size_t bytes, std::size_t alignment) noexcept override;
        virtio::Result<virtio::DmaMemory> allocate_unfilled(std::size_t bytes, std::size_t alignment) noexcept override;
        void free(const virtio::DmaMemory& memory) noexcept override;
    };

    [[nodiscard]] const PciHost* host_of(const virtio::PciAddress& address) noexcept;
    /// What a function is called at the interrupt controller.
    [[nodiscard]] std::uint32_t message_sender(const virtio::PciAddress& address) noexcept;
    void choose_interrupts();
    void choose_memory();
    void choose_rings();

    Domain domain_;
    virtio::BounceDomain bounce_;
    bool bounces_ = false;
    PciConfig config_;
    InterruptRoutes routes_;
    Mutex routes_mutex_; // devices of several processors
    InterruptChoice choice_ = InterruptChoice::best;
    virtio::FeatureSet rings_ = virtio::kRingFeatures;
};

[[nodiscard]] KernelPlatform& device_platform() noexcept;

} // namespace kernel
