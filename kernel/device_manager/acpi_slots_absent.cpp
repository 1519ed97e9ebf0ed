// Machines that are described by a device tree.
#include "kernel/device_manager/acpi_slots.hpp"

namespace kernel {

bool AcpiSlots::possible() { return false; }
bool AcpiSlots::find(KernelPlatform&) { return false; }
std::atomic<std::uint32_t>* AcpiSlots::watch() { return nullptr; }
bool AcpiSlots::serves(std::uint8_t) const noexcept { return false; }
bool AcpiSlots::service() { return false; }
virtio::PciWindows AcpiSlots::host_windows() { return {}; }

} // namespace kernel
