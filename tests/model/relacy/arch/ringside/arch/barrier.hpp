// The barriers of the Relacy programs: arch/host's, as Relacy's fences, each of which a run may leave out.
#pragma once

#include <cstdint>

#include "tests/model/relacy/shared_words.hpp"

namespace arch {

enum class Ordering : std::uint8_t { processors, platform };

inline void full_fence_unless(relacy_check::Weakened which) noexcept {
    if (relacy_check::weakened != which) rl::atomic_thread_fence(rl::mo_seq_cst, relacy_check::here("full fence"));
}
inline void lend_barrier(Ordering) noexcept {}
inline void take_barrier(Ordering) noexcept {}
inline void publish_barrier(Ordering) noexcept { full_fence_unless(relacy_check::Weakened::publish_barrier); }
inline void arm_barrier(Ordering) noexcept { full_fence_unless(relacy_check::Weakened::arm_barrier); }
inline void doorbell_barrier() noexcept { full_fence_unless(relacy_check::Weakened::doorbell_barrier); }
inline void interrupt_status_barrier() noexcept {}

} // namespace arch
