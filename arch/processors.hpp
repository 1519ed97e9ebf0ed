// The other processors: starting them, and what each then has to do for itself. Task context. Implemented by arch/NAME/.
//
//     if (const char* why = arch::start_processor(hardware, hardware.processors[1], start)) log("processor 1: %s", why);
#pragma once

#include <cstddef>
#include <cstdint>

#include "arch/hardware.hpp"

namespace arch {

/// Where a started processor begins: entry(argument) on the stack, with the page tables of the caller, interrupts off.
struct ProcessorStart {
    void* stack_top = nullptr; ///< 16-byte aligned
    void (*entry)(void* argument) = nullptr;
    void* argument = nullptr;
};

/// The calling processor, as Hardware::processors names them.
[[nodiscard]] std::uint64_t this_processor_id() noexcept;

/// Once, before the first start, with Hardware::start_page (if there is one) mapped for writing; from then on it has to be executable. Returns
/// what is missing, or null.
[[nodiscard]] const char* prepare_processors(const Hardware& hardware) noexcept;

/// Returns once the request was made, or what stands in its way; null if all is well. Whether the processor came is seen by what `entry` does.
/// One at a time: the next only after this one has come (or has been given up).
[[nodiscard]] const char* start_processor(const Hardware& hardware, const Processor& which, const ProcessorStart& start) noexcept;

/// Bytes of memory, aligned to a page, that start_exceptions_here() wants for good: stacks and tables.
[[nodiscard]] std::size_t exception_bytes() noexcept;
/// On the processor itself, first of all.
void start_exceptions_here(void* memory) noexcept;
/// The lowest pages of the exception stacks in that memory, each to be unmapped; `index` from 0, null behind the last.
[[nodiscard]] void* exception_guard(void* memory, std::size_t index) noexcept;
/// The processor's own part of the interrupt controllers; then its timer, on the vector of the first one's. Interrupts off.
void start_interrupts_here() noexcept;
void start_timer_here(std::uint32_t vector) noexcept;

/// Ends the halt of another processor, if it is in one.
void wake_processor(std::uint64_t id) noexcept;

} // namespace arch
