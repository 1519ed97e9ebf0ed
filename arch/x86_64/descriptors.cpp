#include "arch/x86_64/descriptors.hpp"

#include <array>
#include <cstddef>

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
// Interrupt stack table entry n (1..4) is element n-1.
ExceptionStack exception_stacks[4];
constexpr std::array<GuardPage, 4> kGuards = {{{exception_stacks[0].guard, "page fault handler"},
                                               {exception_stacks[1].guard, "double fault handler"},
                                               {exception_stacks[2].guard, "NMI handler"},
                                               {exception_stacks[3].guard, "machine check handler"}}};

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

struct Gate {
    std::uint16_t offset_low;
    std::uint16_t selector;
    std::uint8_t ist;
    std::uint8_t type;
    std::uint16_t offset_middle;
    std::uint32_t offset_high;
    std::uint32_t reserved;
};
static_assert(sizeof(Gate) == 16);

struct [[gnu::packed]] TablePointer {
    std::uint16_t limit;
    std::uint64_t base;
};

TaskState task_state;
std::uint64_t gdt[4];
alignas(16) Gate idt[256];

constexpr std::uint8_t ist_of(std::size_t vector) {
    switch (vector) {
    case 14: return 1;
    case 8: return 2;
    case 2: return 3;
    case 18: return 4;
    default: return 0;
    }
}

} // namespace

void start_descriptors() noexcept {
    for (std::size_t i = 0; i < 4; ++i) task_state.ist[i] = reinterpret_cast<std::uint64_t>(exception_stacks[i].stack + kStackBytes);

    const auto base = reinterpret_cast<std::uint64_t>(&task_state);
    gdt[1] = 0x00af9b000000ffff;
    gdt[2] = (sizeof(TaskState) - 1) | (base & 0xffffff) << 16 | std::uint64_t{0x89} << 40 | (base >> 24 & 0xff) << 56;
    gdt[3] = base >> 32;
    const TablePointer gdt_pointer{sizeof gdt - 1, reinterpret_cast<std::uint64_t>(gdt)};
    // The code selector keeps its number and meaning, so CS need not be reloaded.
    asm volatile("lgdt %0; ltr %w1" : : "m"(gdt_pointer), "r"(kTaskSelector) : "memory");

    for (std::size_t vector = 0; vector < 256; ++vector) {
        const auto stub = reinterpret_cast<std::uint64_t>(ringside_interrupt_stubs) + vector * 16;
        idt[vector] = {static_cast<std::uint16_t>(stub),
                       kCodeSelector,
                       ist_of(vector),
                       0x8e,
                       static_cast<std::uint16_t>(stub >> 16),
                       static_cast<std::uint32_t>(stub >> 32),
                       0};
    }
    const TablePointer idt_pointer{sizeof idt - 1, reinterpret_cast<std::uint64_t>(idt)};
    asm volatile("lidt %0" : : "m"(idt_pointer) : "memory");
}

std::span<const GuardPage> exception_stack_guards() noexcept { return kGuards; }

} // namespace arch
