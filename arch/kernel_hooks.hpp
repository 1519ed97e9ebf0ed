// What arch/ and boot/ call in the kernel: the only arrow that points up, kept in one place.
// Each function says in which context it is called; whoever builds another kernel on arch/ implements these.
#pragma once

#include <cstddef>
#include <cstdint>

namespace arch {

/// Registers as the processor's exception stubs save them; machine/exception.hpp has the definition.
struct ExceptionFrame;

} // namespace arch

extern "C" {

/// Boot stack, interrupts off, boot_info() valid, exceptions reported, early identity map.
[[noreturn]] void kernel_main();

/// A device interrupt, general registers only, interrupts off. The caller ends it at the controller.
void kernel_interrupt(std::uint32_t vector);

/// An exception. Does not return.
[[noreturn]] void kernel_exception(const arch::ExceptionFrame* frame);

/// Memory for a controller's tables: zeroed, mapped one to one, for good; null if there is none. `bytes` and `alignment` (a power of two) are
/// multiples of a page or rounded up to it. Task context.
void* kernel_allocate_memory(std::size_t bytes, std::size_t alignment);

/// A task's entry function returned.
[[noreturn]] void ringside_task_returned();

// Places in the image, from the linker script and the entry stub. Addresses only.
extern const char ringside_image_start[], ringside_image_end[];
extern const char ringside_text_start[], ringside_text_end[];
extern const char ringside_rodata_start[], ringside_rodata_end[];
extern const char ringside_data_start[];
extern const std::uint64_t ringside_entry_ticks; ///< the counter at the first instruction
extern char ringside_boot_stack_guard[], ringside_boot_stack[], ringside_boot_stack_top[];
}
