// The addresses of each PCI host: assigned where nobody did (PciHost::assign), and for functions that are plugged in later. Owned by the
// device manager. Task context.
//
//     space.start(platform);                            // before the bus is scanned
//     auto placed = space.add(platform, address);       // a function that came
//     space.release(address);                           // and went
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "drivers/bus/pci_resources.hpp"
#include "kernel/firmware/hardware.hpp"

namespace kernel {

class KernelPlatform;

class PciSpace {
public:
    constexpr PciSpace() noexcept = default;

    /// Goes through the hosts whose functions have no addresses yet. What could not be placed is a line in the log.
    void start(KernelPlatform& platform);
    /// Takes stock of a host that firmware has set up, so that add() knows what is free; it keeps what is there. `windows`: what the host
    /// passes on, as far as is known. Once for each host; without effect after start() has been through it.
    void take_stock(KernelPlatform& platform, const PciHost& host, const virtio::PciWindows& windows);

    /// Errors: those of PciResources::add; not_started (nobody knows what is free on this host).
    [[nodiscard]] virtio::Result<> add(KernelPlatform& platform, const virtio::PciAddress& address);
    void release(const virtio::PciAddress& address);

private:
    static constexpr std::size_t kMostHosts = 4;
    struct Host {
        const PciHost* host = nullptr;
        virtio::PciResources* resources = nullptr; // lives for ever
    };
    [[nodiscard]] virtio::PciResources* find(const virtio::PciAddress& address) const noexcept;
    [[nodiscard]] bool known(const PciHost& host) const noexcept;

    std::array<Host, kMostHosts> hosts_{};
};

/// A host's windows as addresses on its bus.
[[nodiscard]] virtio::PciWindows bus_windows(const PciHost& host) noexcept;

} // namespace kernel
