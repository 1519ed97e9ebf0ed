#include "kernel/panic/panic.hpp"

#include "kernel/interrupt/interrupts.hpp"
#include "kernel/panic/format.hpp"
#include "kernel/power/power.hpp"
#include "kernel/uart/uart.hpp"

namespace kernel {
namespace {

EmergencyWriter emergency_writer = nullptr;
// How deep we are in reporting: a fault while reporting must not report itself for ever.
int depth = 0;

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
