#include "kernel/panic/panic.hpp"

#include <array>
#include <atomic>
#include <utility>

#include <machine/cpu.hpp>

#include "kernel/interrupt/interrupts.hpp"
#include "kernel/panic/format.hpp"
#include "kernel/power/power.hpp"
#include "kernel/uart/uart.hpp"

namespace kernel {
namespace {

EmergencyWriter emergency_writer = nullptr;
// For the emergency writer, which comes last: it may be what has failed, and then the serial port has shown everything before. Longer than any
// report but one with very long names, which is cut.
constinit std::array<char, 8192> report{};
std::size_t reported = 0;
// How deep we are in reporting: a fault while reporting must not report itself for ever.
int depth = 0;
// Whose panic is being reported: one at a time, and the first is the one that matters.
std::atomic<void*> reporter{nullptr};

void emit(void*, const char* text, std::size_t size) { emergency_write({text, size}); }

void hand_on_report() noexcept {
    if (emergency_writer != nullptr) emergency_writer({report.data(), reported});
    reported = 0;
}

} // namespace

EmergencyWriter set_emergency_writer(EmergencyWriter writer) noexcept { return std::exchange(emergency_writer, writer); }

void emergency_write(std::string_view text) noexcept {
    early_write(text.data(), text.size());
    reported += text.copy(report.data() + reported, report.size() - reported);
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
    // The emergency writer may be what failed: it knows what to leave out the second time, and itself is left out the third time.
    if (depth == 3) emergency_writer = nullptr;
    if (depth > 3) power_off(kPanicStatus);
    if (depth > 1) emergency_write("\nPANIC: another one, while the first was being reported\n");
    emergency_write("PANIC: ");
}

void end_panic(const Place& place) noexcept {
    if (depth == 1) print_backtrace(place);
    hand_on_report();
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
