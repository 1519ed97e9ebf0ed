// What arch/ and boot/ call in the kernel: the only arrow that points up, kept in one place.
// Each function says in which context it is called; whoever builds another kernel on arch/ implements these.
#pragma once

#include <cstdint>

namespace arch {

/// Registers as the exception stubs save them (switch of stack included).
struct ExceptionFrame {
    std::uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    std::uint64_t vector, error_code;
    std::uint64_t rip, cs, rflags, rsp, ss;
};

} // namespace arch

extern "C" {

/// Boot stack, interrupts off, boot_info() valid, exceptions reported, early identity map of 4 GiB.
[[noreturn]] void kernel_main();

/// A device interrupt, general registers only, interrupts off. Acknowledges the controller itself.
void kernel_interrupt(std::uint64_t vector);

/// An exception; cr2 is valid for page faults. Does not return.
[[noreturn]] void kernel_exception(const arch::ExceptionFrame* frame, std::uint64_t fault_address);

/// A task's entry function returned.
[[noreturn]] void ringside_task_returned();

// Places in the image, from the linker script and the entry stub. Addresses only.
extern const char ringside_image_start[], ringside_image_end[];
extern const char ringside_text_start[], ringside_text_end[];
extern const char ringside_rodata_start[], ringside_rodata_end[];
extern const char ringside_data_start[];
extern const std::uint64_t ringside_entry_ticks; ///< time stamp counter at the first instruction
extern char ringside_boot_stack_guard[], ringside_boot_stack[], ringside_boot_stack_top[];
}
