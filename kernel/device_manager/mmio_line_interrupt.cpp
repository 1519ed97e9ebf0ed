// General registers only.
#include "kernel/device_manager/mmio_line.hpp"

namespace kernel {

void MmioLine::raised(void* context, std::uint16_t) noexcept {
    const MmioLine& line = *static_cast<const MmioLine*>(context);
    // Started drivers acknowledge themselves; one that polls, or none at all, leaves it to us.
    virtio::Device* const device = line.device == nullptr ? nullptr : *line.device;
    const bool driven = device != nullptr && device->interrupt_mode() == virtio::InterruptMode::line;
    // What came between the driver's look and its acknowledgement keeps the line high, and on an edge-triggered one nothing would ever be
    // heard again. A device that always has something to say is not listened to for ever.
    for (unsigned most = 4; most != 0; --most) {
        if (driven)
            device->on_interrupt(0);
        else
            static_cast<void>(line.status.acknowledge());
        if (line.line.trigger == Trigger::level || !line.status.pending()) return;
    }
}

} // namespace kernel
