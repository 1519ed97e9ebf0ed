// PCI configuration space as the machine has it: memory (ECAM, as the firmware says), else the ports 0xCF8/0xCFC of PCs, which
// reach segment 0 and 256 bytes of each function. Owned by the platform. Task context, any processor.
//
//     kernel::PciConfig config;
//     config.find();
//     std::uint32_t identity = config.read({.bus = 0, .device = 3}, 0, 4);
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>

#include "kernel/firmware/hardware.hpp"
#include "kernel/processor/spin_lock.hpp"
#include "libvirtio/pci.hpp"

namespace kernel {

class PciConfig {
public:
    constexpr PciConfig() noexcept = default;

    /// Takes what find_hardware() found. Called once.
    void find();
    /// The segments to scan; with ports one range of 256 buses.
    [[nodiscard]] std::span<const PciHost> ranges() const noexcept { return ranges_; }
    [[nodiscard]] bool memory_mapped() const noexcept { return memory_mapped_; }

    /// All ones where there is nothing.
    [[nodiscard]] std::uint32_t read(const virtio::PciAddress& address, std::uint16_t offset, unsigned width) noexcept;
    void write(const virtio::PciAddress& address, std::uint16_t offset, unsigned width, std::uint32_t value) noexcept;

private:
    static constexpr std::size_t kMostRanges = 4;
    /// The function's 4 KiB in memory; 0 if it cannot be reached that way.
    [[nodiscard]] std::uintptr_t place(const virtio::PciAddress& address) noexcept;

    std::span<const PciHost> ranges_;
    // Where each bus is, 0: not yet looked at. (Two processors that look at the same time map it twice.)
    std::array<std::array<std::atomic<std::uintptr_t>, 256>, kMostRanges> mapped_{};
    SpinLock ports_; // address and data are two accesses, and processors have devices of their own
    bool memory_mapped_ = false;
};

} // namespace kernel
