// Memory barriers for drivers compiled into a program of the host (tests, user-space devices): the device is another thread,
// so each is a fence of the language. Same names and pairings as on every processor; see arch/x86_64 for the pairing comments.
#pragma once

#include <atomic>
#include <cstdint>

namespace arch {

enum class Ordering : std::uint8_t { processors, platform };

inline void lend_barrier(Ordering) noexcept {}
inline void take_barrier(Ordering) noexcept {}
inline void publish_barrier(Ordering) noexcept { std::atomic_thread_fence(std::memory_order_seq_cst); }
inline void arm_barrier(Ordering) noexcept { std::atomic_thread_fence(std::memory_order_seq_cst); }
inline void doorbell_barrier() noexcept { std::atomic_thread_fence(std::memory_order_seq_cst); }
inline void interrupt_status_barrier() noexcept { std::atomic_thread_fence(std::memory_order_seq_cst); }

} // namespace arch
