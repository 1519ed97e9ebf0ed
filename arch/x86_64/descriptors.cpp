// Descriptor tables: GDT with one task state segment, IDT with 256 entries, and the stacks of their own on which double fault, NMI, machine
// check and page fault run (a page fault because its cause may be that the stack is full), and device interrupts, which do not nest: below the
// stack pointer of what they interrupt stand values of libgcc's functions, which Debian's was built to keep there (the red zone of the ABI).
#include <array>
#include <cstddef>
#include <cstdint>
#include <new>

#include "arch/exception.hpp"
#include "arch/processors.hpp"

extern "C" {
// interrupt_entry.S: 256 stubs of 16 bytes each.
extern const char ringside_interrupt_stubs[];
}

namespace arch {
namespace {

constexpr std::uint16_t kCodeSelector = 0x08, kTaskSelector = 0x10;
constexpr std::size_t kStackBytes = 16384, kPage = 4096;

struct alignas(kPage) ExceptionStack {
    std::byte guard[kPage];
    std::byte stack[kStackBytes];
};
struct [[gnu::packed]] TaskState {
    std::uint32_t reserved0 = 0;
    std::uint64_t rsp[3] = {};
    std::uint64_t reserved1 = 0;
    std::uint64_t ist[7] = {};
    std::uint64_t reserved2 = 0;
    std::uint16_t reserved3 = 0;
    std::uint16_t io_map = sizeof(TaskState);
};
static_assert(sizeof(TaskState) == 104);

// An interrupt gate: the handler's address in three pieces, code selector, stack table entry, type.
struct Gate {
    std::uint64_t low;
    std::uint64_t high;
};
static_assert(sizeof(Gate) == 16);

constexpr Gate make_gate(std::uint64_t handler, std::uint64_t ist) noexcept {
    constexpr std::uint64_t kPresentInterruptGate = 0x8e;
    return {(handler & 0xffff) | std::uint64_t{kCodeSelector} << 16 | ist << 32 | kPresentInterruptGate << 40 |
                (handler >> 16 & 0xffff) << 48,
            handler >> 32};
}

struct [[gnu::packed]] TablePointer {
    std::uint16_t limit;
    std::uint64_t base;
};

constexpr std::size_t kStacks = 5, kFirstDeviceVector = 32;

// What each processor has of its own. Interrupt stack table entry n (1..5) is element n-1 of the stacks; the last is the device interrupts'.
struct Tables {
    ExceptionStack stacks[kStacks];
    TaskState task_state;
    std::uint64_t gdt[4];
};
constinit Tables first_tables{};
constexpr std::array<GuardPage, kStacks> kGuards = {{{first_tables.stacks[0].guard, "the page fault handler"},
                                                     {first_tables.stacks[1].guard, "the double fault handler"},
                                                     {first_tables.stacks[2].guard, "the NMI handler"},
                                                     {first_tables.stacks[3].guard, "the machine check handler"},
                                                     {first_tables.stacks[4].guard, "the interrupt handlers"}}};

alignas(16) Gate idt[256];

// Exceptions with a stack of their own, in the order of exception_stacks.
constexpr std::array<std::uint8_t, 4> kOwnStack = {14, 8, 2, 18};

void load(Tables& tables) noexcept {
    for (std::size_t i = 0; i < kStacks; ++i)
        tables.task_state.ist[i] = reinterpret_cast<std::uint64_t>(tables.stacks[i].stack + kStackBytes);

    const auto base = reinterpret_cast<std::uint64_t>(&tables.task_state);
    tables.gdt[1] = 0x00af9b000000ffff;
    tables.gdt[2] = (sizeof(TaskState) - 1) | (base & 0xffffff) << 16 | std::uint64_t{0x89} << 40 | (base >> 24 & 0xff) << 56;
    tables.gdt[3] = base >> 32;
    const TablePointer gdt_pointer{sizeof tables.gdt - 1, reinterpret_cast<std::uint64_t>(tables.gdt)};
    // The code selector's meaning stays the same, whatever its number was: a far return takes the new one.
    asm volatile("lgdt %0\n\tpushq %2\n\tleaq 1f(%%rip), %%rax\n\tpushq %%rax\n\tlretq\n1:\tltr %w1"
                 :
                 : "m"(gdt_pointer), "r"(kTaskSelector), "i"(kCodeSelector)
                 : "rax", "memory");
    const TablePointer idt_pointer{sizeof idt - 1, reinterpret_cast<std::uint64_t>(idt)};
    asm volatile("lidt %0" : : "m"(idt_pointer) : "memory");
}

} // namespace

void start_exceptions() noexcept {
    const auto stub = [](std::size_t vector) { return reinterpret_cast<std::uint64_t>(ringside_interrupt_stubs) + vector * 16; };
    for (std::size_t vector = 0; vector < 256; ++vector) idt[vector] = make_gate(stub(vector), vector < kFirstDeviceVector ? 0 : kStacks);
    for (std::size_t i = 0; i < kOwnStack.size(); ++i) idt[kOwnStack[i]] = make_gate(stub(kOwnStack[i]), i + 1);
    load(first_tables);
}

std::span<const GuardPage> exception_stack_guards() noexcept { return kGuards; }

std::size_t exception_bytes() noexcept { return sizeof(Tables); }
void start_exceptions_here(void* memory) noexcept {
    auto& tables = *static_cast<Tables*>(memory); // whose guards are unmapped already
    new (&tables.task_state) TaskState;
    tables.gdt[0] = 0;
    load(tables);
}
void* exception_guard(void* memory, std::size_t index) noexcept {
    return index < kStacks ? static_cast<Tables*>(memory)->stacks[index].guard : nullptr;
}

} // namespace arch
