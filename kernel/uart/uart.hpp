// The machine's serial port: output before virtio is up, and for panics. A 16550 (on x86 at port 0x3f8, elsewhere in memory) or a PL011.
// boot says which one; until then nothing is written. Any context; polls with a bound, never blocks for ever.
//
//     kernel::start_uart({.kind = arch::Uart::Kind::pl011, .registers = {0x09000000, 0x1000}});
//     kernel::early_write("PANIC\n", 6);
#pragma once

#include <cstddef>

#include "arch/hardware.hpp"

namespace kernel {

/// From here on output goes there. The registers must be mapped, now and by the final page tables.
void start_uart(const arch::Uart& uart) noexcept;
/// Where its registers are; size 0 if they are not in memory.
[[nodiscard]] arch::Registers uart_registers() noexcept;

/// Newlines become CR LF. Without a UART (its registers read all ones) nothing is written.
void early_write(const char* text, std::size_t size) noexcept;

/// The next byte received, or -1: there is none now (or no UART).
[[nodiscard]] int early_read() noexcept;

} // namespace kernel
