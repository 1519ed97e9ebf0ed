#include <machine/context.hpp>

#include <cstdint>

extern "C" void ringside_task_start();

namespace arch {

void make_context(Context& context, void* stack_top, void (*entry)(void*), void* argument) noexcept {
    // What ringside_switch_context pops: control words, r15..r12, rbx, rbp, return address; then a zero for stack alignment.
    constexpr std::uint64_t kX87Default = 0x037f, kMxcsrDefault = 0x1f80;
    const std::uint64_t words[] = {kX87Default,
                                   kMxcsrDefault,
                                   0,
                                   0,
                                   reinterpret_cast<std::uint64_t>(argument),
                                   reinterpret_cast<std::uint64_t>(entry),
                                   0,
                                   0,
                                   reinterpret_cast<std::uint64_t>(&ringside_task_start),
                                   0,
                                   0};
    constexpr std::uint64_t kCount = sizeof words / sizeof words[0];
    auto* frame = reinterpret_cast<std::uint64_t*>((reinterpret_cast<std::uintptr_t>(stack_top) & ~std::uintptr_t{15})) - kCount;
    static_assert((kCount - 9) % 2 == 0, "ringside_task_start must begin with a 16-byte aligned stack");
    for (std::uint64_t i = 0; i < kCount; ++i) frame[i] = words[i];
    context.stack_pointer = frame;
}

} // namespace arch
