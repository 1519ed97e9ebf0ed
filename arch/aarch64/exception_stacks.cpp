// The stacks that exceptions and interrupts run on, and the processor's word of them.
#include <array>
#include <cstddef>
#include <cstdint>

#include "arch/exception.hpp"

extern "C" {
extern const char ringside_vectors[]; // exception_entry.S
}

namespace arch {
namespace {

constexpr std::size_t kStackBytes = 16384, kPage = 4096;

struct alignas(kPage) ExceptionStack {
    std::byte guard[kPage];
    std::byte stack[kStackBytes];
};
ExceptionStack first;

} // namespace

// exception_entry.S knows its size.
extern "C" {
ExceptionStack ringside_nested_stack;
}
static_assert(sizeof ringside_nested_stack == 20480);

namespace {

constexpr std::array<GuardPage, 2> kGuards = {
    {{first.guard, "the exception and interrupt handlers"}, {ringside_nested_stack.guard, "the handler of exceptions in handlers"}}};

} // namespace

void start_exceptions() noexcept {
    // We run on SP_EL0; SP_EL1 can only be named while it is in use.
    asm volatile("msr spsel, #1; mov sp, %0; msr spsel, #0" : : "r"(first.stack + kStackBytes) : "memory");
    // System errors are reported when they come; debug exceptions stay off.
    asm volatile("msr vbar_el1, %0; isb; msr daifclr, #4" : : "r"(ringside_vectors) : "memory");
}

std::span<const GuardPage> exception_stack_guards() noexcept { return kGuards; }

} // namespace arch
