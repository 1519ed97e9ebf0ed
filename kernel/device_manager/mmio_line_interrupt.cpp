// General registers only.
#include "kernel/device_manager/mmio_line.hpp"

namespace kernel {

void MmioLine::raised(void* context, std::uint16_t) noexcept {
    const MmioLine& line = *static_cast<const MmioLine*>(context);
    // Started drivers acknowledge themselves; one that polls, or none at all, leaves it to us.
    virtio::Device* const device = line.device == nullptr ? nullptr : *line.device;
    if (device != nullptr && device->interrupt_mode() == virtio::InterruptMode::line)
        device->on_interrupt(0);
    else
        static_cast<void>(line.status.acknowledge());
}

} // namespace kernel
