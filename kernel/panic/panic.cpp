#include "kernel/panic/panic.hpp"

#include <atomic>

#include <machine/cpu.hpp>

#include "kernel/interrupt/interrupts.hpp"
#include "kernel/panic/format.hpp"
#include "kernel/power/power.hpp"
#include "kernel/uart/uart.hpp"

namespace kernel {
namespace {

EmergencyWriter emergency_writer = nullptr;
// How deep we are in reporting: a fault while reporting must not report itself for ever.
int depth = 0;
// Whose panic is being reported: one at a time, and the first is the one that matters.
std::atomic<void*> reporter{nullptr};

void emit(void*, const char* text, std::size_t size) { emergency_write({text, size}); }

} // namespace

void set_emergency_writer(EmergencyWriter writer) noexcept { emergency_writer = writer; }

void emergency_write(std::string_view text) noexcept {
    early_write(text.data(), text.size());
    if (emergency_writer != nullptr) emergency_writer(text.data(), text.size());
}

void emergency_print(const char* format, ...) noexcept {
    std::va_list arguments;
    va_start(arguments, format);
    format_to(emit, nullptr, format, arguments);
    va_end(arguments);
}

void begin_panic() noexcept {
    disable_interrupts();
    void* nobody = nullptr;
    void* const me = arch::processor_pointer();
    if (!reporter.compare_exchange_strong(nobody, me, std::memory_order_acq_rel) && nobody != me) arch::halt_for_ever();
    ++depth;
    if (depth == 2) {
        // The emergency writer may be what failed.
        emergency_writer = nullptr;
        emergency_write("\nPANIC: another one, while the first was being reported\n");
    }
    if (depth > 2) power_off(kPanicStatus);
    emergency_write("PANIC: ");
}

void end_panic(const Place& place) noexcept {
    if (depth == 1) print_backtrace(place);
    power_off(kPanicStatus);
}

void panic(const char* format, ...) {
    begin_panic();
    std::va_list arguments;
    va_start(arguments, format);
    format_to(emit, nullptr, format, arguments);
    va_end(arguments);
    emergency_write("\n");
    end_panic({.frame_pointer = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0))});
}

} // namespace kernel
