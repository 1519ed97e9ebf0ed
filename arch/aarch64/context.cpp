#include <machine/context.hpp>

#include <cstdint>

extern "C" void ringside_task_start();

namespace arch {

void make_context(Context& context, void* stack_top, void (*entry)(void*), void* argument) noexcept {
    // What ringside_switch_context loads: x29, x30, x19 to x28, d8 to d15, the control word.
    constexpr std::uint64_t kCount = 22, kLink = 1, kEntry = 2, kArgument = 3;
    auto* frame = reinterpret_cast<std::uint64_t*>(reinterpret_cast<std::uintptr_t>(stack_top) & ~std::uintptr_t{15}) - kCount;
    static_assert(kCount % 2 == 0, "the stack pointer stays a multiple of 16");
    for (std::uint64_t i = 0; i < kCount; ++i) frame[i] = 0;
    frame[kLink] = reinterpret_cast<std::uint64_t>(&ringside_task_start);
    frame[kEntry] = reinterpret_cast<std::uint64_t>(entry);
    frame[kArgument] = reinterpret_cast<std::uint64_t>(argument);
    context.stack_pointer = frame;
}

} // namespace arch
