// The 16550 on port 0x3f8: output before virtio is up, and for panics. Any context; polls with a bound, never blocks for ever.
//
//     arch::early_write("PANIC\n", 6);
#pragma once

#include <cstddef>

namespace arch {

/// Newlines become CR LF. Without a UART (the port reads all ones) nothing is written.
void early_write(const char* text, std::size_t size) noexcept;

/// The next byte received, or -1: there is none now (or no UART).
[[nodiscard]] int early_read() noexcept;

} // namespace arch
