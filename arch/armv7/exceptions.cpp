// What the processor complains about, in words, with all registers; the stacks on which it is reported.
#include <array>
#include <cstddef>
#include <cstdint>

#include <machine/frame.hpp>

#include "arch/exception.hpp"
#include "arch/processors.hpp"

extern "C" {
// vectors.S: one stack for each mode.
void ringside_start_vectors(void* abort_stack, void* undefined_stack, void* fast_stack);
}

namespace arch {
namespace {

constexpr std::size_t kStackBytes = 16384, kPage = 4096;

struct alignas(kPage) ExceptionStack {
    std::byte guard[kPage];
    std::byte stack[kStackBytes];
};
using Stacks = std::array<ExceptionStack, 3>;
Stacks boot_stacks;
constexpr std::array<GuardPage, 3> kGuards = {{{boot_stacks[0].guard, "the abort handler"},
                                               {boot_stacks[1].guard, "the handler of undefined instructions"},
                                               {boot_stacks[2].guard, "the handler of fast interrupts"}}};

void start_on(Stacks& stacks) noexcept {
    const auto top = [](ExceptionStack& stack) { return stack.stack + kStackBytes; };
    ringside_start_vectors(top(stacks[0]), top(stacks[1]), top(stacks[2]));
}

// As vectors.S numbers them.
enum Vector : std::uint32_t { undefined = 0x04, supervisor_call = 0x08, prefetch_abort = 0x0c, data_abort = 0x10, fast_interrupt = 0x1c };

// Fault status in the long format (ARM DDI 0406C, B3.13.2).
constexpr std::uint32_t kStatus = 0x3f, kWrite = 1 << 11;

std::uint32_t data_fault_status() noexcept {
    std::uint32_t value;
    asm volatile("mrc p15, 0, %0, c5, c0, 0" : "=r"(value));
    return value;
}
std::uint32_t data_fault_address() noexcept {
    std::uint32_t value;
    asm volatile("mrc p15, 0, %0, c6, c0, 0" : "=r"(value));
    return value;
}
std::uint32_t instruction_fault_status() noexcept {
    std::uint32_t value;
    asm volatile("mrc p15, 0, %0, c5, c0, 1" : "=r"(value));
    return value;
}
std::uint32_t instruction_fault_address() noexcept {
    std::uint32_t value;
    asm volatile("mrc p15, 0, %0, c6, c0, 2" : "=r"(value));
    return value;
}

/// Translation, access flag and permission faults, of any level.
constexpr bool is_page_fault(std::uint32_t status) noexcept { return (status & kStatus) >= 0x04 && (status & kStatus) <= 0x0f; }

const char* abort_name(std::uint32_t status) noexcept {
    switch (status & kStatus) {
    case 0x10: return "external abort";
    case 0x11: return "asynchronous external abort";
    case 0x18:
    case 0x19: return "parity error";
    case 0x21: return "misaligned access";
    case 0x22: return "debug event";
    case 0x30: return "TLB conflict";
    default: return (status & kStatus) >= 0x14 && (status & kStatus) <= 0x17 ? "external abort in a table walk" : "abort";
    }
}

const char* name_of(std::uint32_t vector) noexcept {
    switch (vector) {
    case undefined: return "undefined instruction";
    case supervisor_call: return "supervisor call";
    case fast_interrupt: return "fast interrupt";
    default: return "unknown exception";
    }
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

Fault fault_of(const ExceptionFrame& frame) noexcept {
    Fault fault;
    fault.instruction = frame.pc;
    fault.stack_pointer = frame.sp;
    fault.frame_pointer = frame.r11;
    fault.link = frame.lr;
    const bool fetch = frame.vector == prefetch_abort;
    if (!fetch && frame.vector != data_abort) {
        fault.name = name_of(frame.vector);
        return fault;
    }
    const std::uint32_t status = fetch ? instruction_fault_status() : data_fault_status();
    fault.code = status;
    if (!is_page_fault(status)) {
        fault.name = abort_name(status);
        return fault;
    }
    fault.kind = Fault::Kind::page;
    fault.attempt = fetch ? Fault::Attempt::execute : (status & kWrite) != 0 ? Fault::Attempt::write : Fault::Attempt::read;
    fault.address = fetch ? instruction_fault_address() : data_fault_address();
    return fault;
}

void print_registers(const ExceptionFrame& f, Print print) noexcept {
    const auto line = [print](const char* format, auto... values) { print(format, static_cast<unsigned>(values)...); };
    line("pc =%08x sp =%08x lr =%08x cpsr=%08x\n", f.pc, f.sp, f.lr, f.cpsr);
    line("r0 =%08x r1 =%08x r2 =%08x r3 =%08x\n", f.r0, f.r1, f.r2, f.r3);
    line("r4 =%08x r5 =%08x r6 =%08x r7 =%08x\n", f.r4, f.r5, f.r6, f.r7);
    line("r8 =%08x r9 =%08x r10=%08x r11=%08x\n", f.r8, f.r9, f.r10, f.r11);
    line("r12=%08x dfar=%08x dfsr=%08x ifar=%08x ifsr=%08x\n", f.r12, data_fault_address(), data_fault_status(),
         instruction_fault_address(), instruction_fault_status());
    line("exception 0x%02x\n", f.vector);
}

} // namespace arch
