// The interrupt line of an MMIO device. The bus connects it before there is a driver; until then an interrupt is acknowledged here, so
// that a level-triggered line cannot hold the processor. Owned by the device manager, lives for ever. raised() is interrupt context.
#pragma once

#include <cstdint>

#include "libvirtio/device.hpp"
#include "libvirtio/doorbell.hpp"
#include "libvirtio/transport.hpp"

namespace kernel {

struct MmioLine {
    virtio::InterruptStatus status;          // of the device's registers
    virtio::Device* const* device = nullptr; // where its driver's Device will stand

    [[nodiscard]] virtio::InterruptTarget target() noexcept { return {&MmioLine::raised, this}; }
    static void raised(void* context, std::uint16_t vector) noexcept; // mmio_line_interrupt.cpp
};

} // namespace kernel
