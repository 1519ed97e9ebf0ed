// For tests of the kernel's parts on a host: one processor, which the test provides.
#pragma once

#include <cstdint>

extern "C" void* ringside_test_processor();

namespace arch {

// Nothing interrupts a test but itself.
[[nodiscard]] inline bool interrupts_enabled() noexcept { return false; }
inline void enable_interrupts() noexcept {}
inline void disable_interrupts() noexcept {}
inline void enable_and_halt() noexcept {}
[[nodiscard]] inline std::uint64_t read_counter() noexcept { return 0; }

[[nodiscard]] inline void* processor_pointer() noexcept { return ringside_test_processor(); }

} // namespace arch
