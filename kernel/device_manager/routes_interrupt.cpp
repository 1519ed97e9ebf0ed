// The handlers between the vectors and the devices: general registers only, no library.
#include "kernel/device_manager/routes.hpp"

namespace kernel {

void InterruptRoutes::message_arrived(void* context) {
    const Message& message = *static_cast<const Message*>(context);
    message.target.handler(message.target.context, message.index);
}

void InterruptRoutes::line_raised(void* context) {
    const SharedLine& line = *static_cast<const SharedLine*>(context);
    for (std::size_t i = 0; i < line.count; ++i) line.targets[i].handler(line.targets[i].context, 0);
}

} // namespace kernel
