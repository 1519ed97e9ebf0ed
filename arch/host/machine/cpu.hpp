// For tests of the kernel's parts on a host: one processor, which the test provides.
#pragma once

extern "C" void* ringside_test_processor();

namespace arch {

[[nodiscard]] inline void* processor_pointer() noexcept { return ringside_test_processor(); }

} // namespace arch
