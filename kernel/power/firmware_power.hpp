// Inside kernel/power only: what the firmware's tables say about ending and about the power button. acpi_power.cpp and tree_power.cpp
// implement it; the build takes the one that the processor's machines have.
#pragma once

#include "libvirtio/base.hpp"

namespace kernel::power {

/// Finds the registers, maps them, routes the power button.
[[nodiscard]] virtio::Result<> start_firmware();
// Both return if the firmware knows no such way. Any context.
void firmware_off() noexcept;
void firmware_reset() noexcept;
/// What firmware_off() uses; null if it does nothing.
[[nodiscard]] const char* firmware_method() noexcept;

} // namespace kernel::power
