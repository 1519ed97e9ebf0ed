// A port's message: general registers only.
#include "kernel/device_manager/hot_plug.hpp"
#include "kernel/task/task.hpp"

namespace kernel {

void HotPlug::raised(void* context, std::uint16_t) noexcept {
    static_cast<HotPlug*>(context)->slot_event_.store(1, std::memory_order_release);
    wake_hint();
}

} // namespace kernel
