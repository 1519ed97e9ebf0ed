// The stacks that exceptions and interrupts run on, two for each processor, and the processor's word of them.
#include <array>
#include <cstddef>
#include <cstdint>

#include "arch/exception.hpp"
#include "arch/processors.hpp"

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
// For exceptions and interrupts; for exceptions within one of those.
using Stacks = std::array<ExceptionStack, 2>;
Stacks boot_stacks;

constexpr std::array<GuardPage, 2> kGuards = {
    {{boot_stacks[0].guard, "the exception and interrupt handlers"}, {boot_stacks[1].guard, "the handler of exceptions in handlers"}}};

void start_on(Stacks& stacks) noexcept {
    // We run on SP_EL0; SP_EL1 can only be named while it is in use. TPIDR_EL1 holds the second stack's end for exception_entry.S.
    asm volatile("msr spsel, #1; mov sp, %0; msr spsel, #0" : : "r"(stacks[0].stack + kStackBytes) : "memory");
    asm volatile("msr tpidr_el1, %0" : : "r"(stacks[1].stack + kStackBytes) : "memory");
    // System errors are reported when they come; debug exceptions stay off.
    asm volatile("msr vbar_el1, %0; isb; msr daifclr, #4" : : "r"(ringside_vectors) : "memory");
}

} // namespace

void start_exceptions() noexcept { start_on(boot_stacks); }
std::span<const GuardPage> exception_stack_guards() noexcept { return kGuards; }

std::size_t exception_bytes() noexcept { return sizeof(Stacks); }
void start_exceptions_here(void* memory) noexcept { start_on(*static_cast<Stacks*>(memory)); }
void* exception_guard(void* memory, std::size_t index) noexcept {
    auto& stacks = *static_cast<Stacks*>(memory);
    return index < stacks.size() ? stacks[index].guard : nullptr;
}

} // namespace arch
