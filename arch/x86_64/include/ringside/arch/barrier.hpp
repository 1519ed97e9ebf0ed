// Memory barriers that a virtio driver needs, by what they are for. x86-64: total store order, so only a store followed by a
// load of another word needs an instruction. Each comment names the device's access that the barrier pairs with.
//
// Any context may call these. `Ordering::platform` is VIRTIO_F_ORDER_PLATFORM (VIRTIO 1.4, 6): the device is not coherent
// with the processors' own ordering, so the stronger form of the bus is taken; on x86-64 both are the same instruction.
#pragma once

#include <atomic>
#include <cstdint>

namespace arch {

enum class Ordering : std::uint8_t { processors, platform };

/// Before the store-release that lends buffers (available index; packed: the head's flags), and after the load-acquire that finds
/// used ones, where a device is an observer that the release and the acquire might not reach. On x86-64 a store is never seen
/// before earlier accesses, a load never before an earlier load, and devices see what processors see.
/// Pair with the device's accesses to that word (VIRTIO 1.4, 2.7.13.3.1, 2.7.14, 2.8.21.1, 2.8.22).
inline void lend_barrier(Ordering) noexcept {}
inline void take_barrier(Ordering) noexcept {}

/// Between publishing available buffers and reading the device's suppression word.
/// Pairs with the device's fence between writing avail_event/flags and reading the available index (VIRTIO 1.4, 2.7.13.4.1).
inline void publish_barrier(Ordering) noexcept { std::atomic_thread_fence(std::memory_order_seq_cst); }

/// Between arming interrupts and looking at the used ring once more.
/// Pairs with the device's fence between writing the used index and reading used_event/flags (VIRTIO 1.4, 2.7.8.1).
inline void arm_barrier(Ordering) noexcept { std::atomic_thread_fence(std::memory_order_seq_cst); }

/// Before a doorbell store: the ring must be visible before the device hears of it. Stores to uncached memory and port
/// writes are ordered after earlier stores on x86-64; the compiler must keep the order too.
/// Pairs with the device's read of the available index on a notification.
inline void doorbell_barrier() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }

/// After reading an interrupt status register, before reading what it announced.
/// Pairs with the device's write of the used index before it raised the interrupt.
inline void interrupt_status_barrier() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }

} // namespace arch
