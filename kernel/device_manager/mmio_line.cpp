#include "kernel/device_manager/mmio_line.hpp"

#include "kernel/device_manager/platform.hpp"
#include "kernel/processor/processor.hpp"

namespace kernel {

virtio::Result<> MmioLine::move_to(Processor& processor, const char* owner) {
    if (!connected || &processor == &this_processor()) return {};
    device_platform().disconnect_slot(target());
    virtio::Result<> moved;
    call_on(processor, [&] { moved = device_platform().connect_slot(line, target(), owner); });
    connected = moved.has_value();
    return moved;
}

} // namespace kernel
