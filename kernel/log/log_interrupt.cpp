// Compiled with general registers only: what interrupt handlers call to log, and the ring itself.
#include <array>

#include "kernel/log/log.hpp"
#include "kernel/processor/processor.hpp"
#include "kernel/time/clock.hpp"

namespace kernel {

namespace {

constinit LogRing the_ring;

} // namespace

LogRing& log_ring() noexcept { return the_ring; }

void log_from_interrupt(LogLevel level, const char* text, std::uint64_t value) noexcept {
    std::array<char, kLogSlotText> line; // one slot: no initialisation, it would be a call of memset
    std::size_t length = 0;
    while (*text != '\0' && length < line.size() - 20) line[length++] = *text++;
    for (char c : {':', ' ', '0', 'x'}) line[length++] = c;
    int shift = 60;
    while (shift > 0 && (value >> shift & 15) == 0) shift -= 4;
    for (; shift >= 0; shift -= 4) line[length++] = "0123456789abcdef"[value >> shift & 15];
    the_ring.append(level, now_ns(), {line.data(), length});
    processors::boot.notify(); // whose readers they are
}

} // namespace kernel
