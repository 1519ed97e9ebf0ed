// What drivers call from their handlers: general registers only.
#include "kernel/device_manager/platform.hpp"
#include "kernel/task/task.hpp"

namespace kernel {

void KernelPlatform::wake() noexcept { wake_hint(); }

} // namespace kernel
