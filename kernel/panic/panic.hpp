// The last words: a message, registers, a symbolised backtrace, then power off with status 101.
// Any context, any state: no heap, no locks, no libc, no vector registers. Output goes to the serial port and, if registered, through
// the emergency writer (the virtio console, kernel/console), which must be just as frugal.
//
//     kernel::panic("page %p freed twice", page);          // prints "PANIC: page 0x1234000 freed twice" and a backtrace
#pragma once

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kernel {

inline constexpr int kPanicStatus = 101;

/// %s %d %i %u %x %c %p %% with l, ll, z, width and zero padding; anything else is printed as it stands.
[[noreturn, gnu::format(printf, 1, 2)]] void panic(const char* format, ...);

/// Where a backtrace begins. A small function has no frame of its own; who called it is then only to be seen at its stack pointer or in
/// the link register, whichever the processor has (0: not known).
struct Place {
    std::uintptr_t frame_pointer = 0;
    std::uintptr_t instruction = 0;
    std::uintptr_t stack_pointer = 0;
    std::uintptr_t link = 0;
};

// The two halves, for a report with more in it than one line: begin_panic prints "PANIC: " (a second panic while one is being
// reported is cut short), end_panic prints the backtrace from a place on, and powers off.
void begin_panic() noexcept;
[[noreturn]] void end_panic(const Place& place) noexcept;

/// Gets the report when the serial port has shown it. Called again in a panic of its own: then it leaves out what
/// failed.
using EmergencyWriter = void (*)(std::string_view text);
/// Returns the one before.
EmergencyWriter set_emergency_writer(EmergencyWriter writer) noexcept;

/// Raw output of the panic path: the serial port, and in the end the emergency writer.
void emergency_write(std::string_view text) noexcept;
[[gnu::format(printf, 1, 2)]] void emergency_print(const char* format, ...) noexcept;

/// Prints one "  #n address symbol+offset" line for the instruction (unless 0) and for every caller found from the frame pointer on.
void print_backtrace(const Place& place) noexcept;

} // namespace kernel
