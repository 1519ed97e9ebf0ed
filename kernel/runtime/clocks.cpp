// The clocks of <chrono>, whose now() libstdc++ keeps in the archive that is not linked.
#include <chrono>

#include "kernel/time/clock.hpp"

namespace std::chrono {

steady_clock::time_point steady_clock::now() noexcept { return time_point(nanoseconds(static_cast<int64_t>(kernel::now_ns()))); }
system_clock::time_point system_clock::now() noexcept { return time_point(duration_cast<duration>(nanoseconds(kernel::wall_clock_ns()))); }

} // namespace std::chrono
