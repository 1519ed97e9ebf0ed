// Devices that come and go while the machine runs: a task waits for the machine's word, lets drivers go and gives new devices theirs. Two
// ways, whichever a bus has: QEMU's ACPI registers (acpi_slots.hpp), and the slots of PCI Express ports (drivers/bus/pci_slot.hpp). A bus
// that ACPI serves is left to it. Without either there is no task. Owned by the device manager.
//
//     hot_plug.consider(bridge);                       // during the first scan
//     hot_plug.look(platform, space, false);           // before the drivers start
//     hot_plug.start(platform, space);                 // after they have started
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "drivers/bus/pci_slot.hpp"
#include "kernel/device_manager/acpi_slots.hpp"
#include "kernel/task/mutex.hpp"
#include "libvirtio/transport/pci_interrupts.hpp"

namespace kernel {

class PciSpace;

class HotPlug {
public:
    constexpr HotPlug() noexcept = default;

    /// A bridge of the first scan.
    void consider(const virtio::PciFunction& bridge);
    /// Finds out who serves which bus, has `space` take stock of the hosts on which something may come, and has the slots' ports interrupt.
    /// Functions do not answer meanwhile, nor does anything behind a port: before the drivers start, if there are such ports, or if `others`:
    /// other processors will use devices. Else start()'s task does it.
    void look(KernelPlatform& platform, PciSpace& space, bool others);
    /// Starts the task. It looks first, if nobody has: the program does not wait for it.
    void start(KernelPlatform& platform, PciSpace& space);
    /// Before the machine goes: returns when nothing is under way; nothing comes or goes from here on.
    void stop() { mutex_.lock(); }

private:
    static constexpr std::size_t kMostSlots = 64;
    [[nodiscard]] bool find();
    void run();
    void service();
    [[nodiscard]] bool service(virtio::PciSlot& slot);
    void listen();
    static void raised(void* context, std::uint16_t message) noexcept; // hot_plug_interrupt.cpp

    KernelPlatform* platform_ = nullptr;
    PciSpace* space_ = nullptr;
    AcpiSlots acpi_;
    bool has_acpi_ = false;
    bool something_ = false; // can come or go
    bool looks_first_ = true;
    std::array<virtio::PciSlot, kMostSlots> slots_{};
    std::size_t slot_count_ = 0;
    std::array<virtio::PciInterrupts, kMostSlots> interrupts_{}; // of the slots' ports
    std::size_t silent_ = 0;                                     // slots that have to be looked at
    std::atomic<std::uint32_t> slot_event_{0};
    std::atomic<std::uint32_t>* acpi_event_ = nullptr;
    Mutex mutex_; // held while something comes or goes
};

} // namespace kernel
