// The interrupt line of an MMIO device. The bus connects it before there is a driver; until then an interrupt is acknowledged here, so
// that a level-triggered line cannot hold the processor. It comes to the first processor; move_to() follows a device that another one starts.
// Owned by the device manager, lives for ever. raised() is interrupt context.
#pragma once

#include <cstdint>

#include "kernel/interrupt/interrupts.hpp"
#include "libvirtio/device.hpp"
#include "libvirtio/doorbell.hpp"
#include "libvirtio/transport.hpp"

namespace kernel {

class Processor;

struct MmioLine {
    Line line;
    bool connected = false;
    virtio::InterruptStatus status;          // of the device's registers
    virtio::Device* const* device = nullptr; // where its driver's Device will stand

    [[nodiscard]] virtio::InterruptTarget target() noexcept { return {&MmioLine::raised, this}; }
    /// Before the device starts. Errors: interrupt_unavailable, out_of_range; then the line is connected to nobody.
    [[nodiscard]] virtio::Result<> move_to(Processor& processor, const char* owner);
    static void raised(void* context, std::uint16_t vector) noexcept; // mmio_line_interrupt.cpp
};

} // namespace kernel
