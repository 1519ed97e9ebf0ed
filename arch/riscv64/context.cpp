#include <machine/context.hpp>

#include <cstdint>

extern "C" void ringside_task_start();

namespace arch {

void make_context(Context& context, void* stack_top, void (*entry)(void*), void* argument) noexcept {
    // What ringside_switch_context loads, in the order of switch.S: fs0-fs11, fcsr, s11-s1, s0, ra.
    constexpr std::uint64_t kCount = 26, kFirstInteger = 13;
    auto* frame = reinterpret_cast<std::uint64_t*>(reinterpret_cast<std::uintptr_t>(stack_top) & ~std::uintptr_t{15}) - kCount;
    for (std::uint64_t i = 0; i < kCount; ++i) frame[i] = 0;
    frame[kFirstInteger + 9] = reinterpret_cast<std::uint64_t>(argument);              // s2
    frame[kFirstInteger + 10] = reinterpret_cast<std::uint64_t>(entry);                // s1
    frame[kFirstInteger + 12] = reinterpret_cast<std::uint64_t>(&ringside_task_start); // ra
    context.stack_pointer = frame;
}

} // namespace arch
