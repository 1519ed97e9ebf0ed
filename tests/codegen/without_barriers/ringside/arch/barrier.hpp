// A leaf that forgot every barrier: what codegen_test.py has to find lacking.
#pragma once

#include <cstdint>

namespace arch {

enum class Ordering : std::uint8_t { processors, platform };

inline void lend_barrier(Ordering) noexcept {}
inline void take_barrier(Ordering) noexcept {}
inline void publish_barrier(Ordering) noexcept {}
inline void arm_barrier(Ordering) noexcept {}
inline void doorbell_barrier() noexcept {}
inline void interrupt_status_barrier() noexcept {}

} // namespace arch
