// Hot-plug by QEMU's ACPI registers (kernel/firmware/acpi_hot_plug.hpp): pc, and q35 unless it is told to leave that to its root ports.
// Owned by HotPlug; task context. On machines without ACPI there are none (acpi_slots_absent.cpp).
//
//     if (slots.find(platform)) slots.watch();
//     slots.service();                                  // after an event, or now and then
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "drivers/bus/pci_resources.hpp"

namespace kernel {

class KernelPlatform;

class AcpiSlots {
public:
    constexpr AcpiSlots() noexcept = default;

    /// Whether there can be such registers at all; cheap.
    [[nodiscard]] static bool possible();
    /// Looks for the registers and finds the buses that they are about. False: there are none.
    bool find(KernelPlatform& platform);
    /// What is set when something has happened; null: nobody says, it has to be looked at now and then.
    [[nodiscard]] std::atomic<std::uint32_t>* watch();
    /// Whether cards on this bus come and go by these registers.
    [[nodiscard]] bool serves(std::uint8_t bus) const noexcept;
    /// What is to leave is let go and ejected. True: something has arrived.
    [[nodiscard]] bool service();

    /// What the host bridge passes on, as ACPI says; empty if it does not.
    [[nodiscard]] static virtio::PciWindows host_windows();

private:
    struct Bus {
        std::uint32_t selector = 0;
        std::uint8_t number = 0;
    };
    std::array<Bus, 64> buses_{};
    std::size_t count_ = 0;
    std::uint16_t ports_ = 0;
};

} // namespace kernel
