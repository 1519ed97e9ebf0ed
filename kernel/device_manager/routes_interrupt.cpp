// The handlers between the vectors and the devices: general registers only, no library.
#include <span>

#include "kernel/device_manager/routes.hpp"
#include "kernel/processor/processor.hpp"

namespace kernel {

void InterruptRoutes::message_arrived(void* context) {
    const Message& message = *static_cast<const Message*>(context);
    message.target.handler(message.target.context, message.index);
}

void InterruptRoutes::line_raised(void* context) {
    const SharedLine& line = *static_cast<const SharedLine*>(context);
    Processor& here = this_processor();
    for (const Sharer& sharer : std::span(line.sharers).first(line.count)) {
        const std::uint32_t hints = here.scheduler.hints();
        sharer.target.handler(sharer.target.context, 0);
        // It was its device's, and whoever waits for that waits elsewhere.
        if (sharer.processor != &here && here.scheduler.hints() != hints) sharer.processor->notify();
    }
}

} // namespace kernel
