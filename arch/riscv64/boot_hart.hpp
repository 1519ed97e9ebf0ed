// The hart that the firmware started us on, by its number. Set by boot before kernel_main; read-only afterwards.
#pragma once

#include <cstdint>

namespace arch {

extern std::uint64_t boot_hart;

} // namespace arch
