#include <machine/context.hpp>

#include <cstdint>

extern "C" void ringside_task_start();

namespace arch {

void make_context(Context& context, void* stack_top, void (*entry)(void*), void* argument) noexcept {
    // What ringside_switch_context pops: FPSCR, d8 to d15, r4 to r11, the return address.
    struct Saved {
        std::uint32_t fpscr = 0;
        std::uint32_t d[16] = {};
        std::uintptr_t r4 = 0, r5 = 0, r6_to_r11[6] = {};
        std::uintptr_t lr = 0;
    };
    constexpr std::uintptr_t kAlignment = 16;
    auto* saved = reinterpret_cast<Saved*>(reinterpret_cast<std::uintptr_t>(stack_top) & ~(kAlignment - 1)) - 1;
    *saved = {};
    saved->r4 = reinterpret_cast<std::uintptr_t>(entry);
    saved->r5 = reinterpret_cast<std::uintptr_t>(argument);
    saved->lr = reinterpret_cast<std::uintptr_t>(&ringside_task_start);
    context.stack_pointer = saved;
}

} // namespace arch
