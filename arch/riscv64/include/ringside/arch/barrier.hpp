// Memory barriers that a virtio driver needs, by what they are for: riscv64 (RVWMO). Fences name what they order: memory reads and
// writes (r, w), device reads and writes (i, o); `fence rw,rw`, which is what the language's fences become, orders no memory
// access against one of a device register. With VIRTIO_F_ORDER_PLATFORM (VIRTIO 1.4, 6) the rings themselves may be mapped as I/O
// (memory that is not coherent with the device), so there both kinds are named. Each comment names the device's access that the
// barrier pairs with. Any context may call these.
#pragma once

#include <atomic>
#include <cstdint>

namespace arch {

enum class Ordering : std::uint8_t { processors, platform };

/// Before the store-release that lends buffers (available index; packed: the head's flags): what was stored, and what was read
/// out of buffers that are lent anew, comes first.
/// Pairs with the device's barrier between reading that word and the descriptors and buffers (VIRTIO 1.4, 2.7.13.3.1, 2.8.21.1).
inline void lend_barrier(Ordering ordering) noexcept {
    if (ordering == Ordering::platform) [[unlikely]] {
        asm volatile("fence iorw,ow" : : : "memory");
    }
}

/// After the load-acquire that finds used buffers (used index; packed: flags), before reading what stands there.
/// Pairs with the device's barrier between writing the used element and buffers and writing that word (2.7.14, 2.8.22).
inline void take_barrier(Ordering ordering) noexcept {
    if (ordering == Ordering::platform) [[unlikely]] {
        asm volatile("fence ir,iorw" : : : "memory");
    }
}

/// Between publishing available buffers and reading the device's suppression word.
/// Pairs with the device's fence between writing avail_event/flags and reading the available index (VIRTIO 1.4, 2.7.13.4.1).
inline void publish_barrier(Ordering ordering) noexcept {
    if (ordering == Ordering::platform) [[unlikely]] {
        asm volatile("fence iorw,iorw" : : : "memory");
    } else {
        std::atomic_thread_fence(std::memory_order_seq_cst);
    }
}

/// Between arming interrupts and looking at the used ring once more.
/// Pairs with the device's fence between writing the used index and reading used_event/flags (VIRTIO 1.4, 2.7.8.1).
inline void arm_barrier(Ordering ordering) noexcept { publish_barrier(ordering); }

/// Before a doorbell store: the ring must be visible before the device hears of it. A memory write (a ring mapped as I/O: a
/// device write) before a device write: no fence of the language is sure to order these two.
/// Pairs with the device's read of the available index on a notification.
inline void doorbell_barrier() noexcept { asm volatile("fence ow,o" : : : "memory"); }

/// After reading (and acknowledging) an interrupt status register, before reading what it announced. `i` for the status that was
/// read; `o` for the acknowledgement, since a ring read ahead of it could miss what the device adds before it arrives; the ring
/// may be mapped as I/O.
/// Pairs with the device's write of the used index before it raised the interrupt.
inline void interrupt_status_barrier() noexcept { asm volatile("fence io,ir" : : : "memory"); }

} // namespace arch
