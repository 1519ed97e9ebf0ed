// The clock may be read by interrupt handlers: in a file that is compiled for general registers only.
#include <machine/cpu.hpp>

#include "kernel/time/clock.hpp"
#include "kernel/time/monotonic.hpp"

namespace kernel {

constinit std::uint64_t timer::start_ticks = 0;
constinit arch::Rate timer::to_nanoseconds{};

std::uint64_t now_ns() noexcept { return timer::to_nanoseconds.convert(arch::read_counter() - timer::start_ticks); }

} // namespace kernel
