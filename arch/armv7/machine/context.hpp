// Cooperative task switch: callee-saved registers, d8-d15 and FPSCR; everything else is the compiler's business at a call. (armv7, AAPCS.)
// Task context with interrupts on or off (the switch does not change that). A context belongs to one suspended task.
//
//     arch::make_context(task.context, stack_top, entry, argument);
//     arch::switch_context(from.context, to.context);       // returns when somebody switches back
#pragma once

namespace arch {

struct Context {
    void* stack_pointer = nullptr;
};

extern "C" void ringside_switch_context(Context& from, Context& to) noexcept;
inline void switch_context(Context& from, Context& to) noexcept { ringside_switch_context(from, to); }

/// `stack_top` is the end of the stack (16-byte aligned); `entry` must not return (a return panics).
void make_context(Context& context, void* stack_top, void (*entry)(void*), void* argument) noexcept;

} // namespace arch
