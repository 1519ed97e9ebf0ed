// The interrupt path, alone in a file that is compiled for general registers only. It acknowledges, marks and wakes.
#include "libvirtio/device.hpp"
#include "libvirtio/memory.hpp"

namespace virtio {

void Device::on_interrupt(std::uint16_t vector) noexcept {
    if (mode_ == InterruptMode::message_per_queue && vector != 0 && vector <= queue_count_) [[likely]] {
        // A queue's own message. Queues are mostly added in the order of their numbers, so that it is found where it is looked for.
        Virtqueue* const queue = queues_[vector - 1u];
        if (queue != nullptr && queue->vector() == vector) [[likely]] {
            if (!listening_.load(std::memory_order_acquire) && !mutant(148)) return;
            interrupts_.fetch_add(1, std::memory_order_relaxed);
            event_.mark(queue_bit(vector - 1u));
            queue->announce();
            platform_->wake();
            return;
        }
    }
    std::uint32_t why = InterruptStatus::kQueue | InterruptStatus::kConfig;
    // A polled device's line may be connected all the same, and says the same for ever if nobody acknowledges.
    if (mode_ == InterruptMode::line || mode_ == InterruptMode::polled) {
        why = interrupt_status_.acknowledge();
    } else if (mode_ == InterruptMode::two_messages || mode_ == InterruptMode::message_per_queue) {
        if (vector != 0)
            why = InterruptStatus::kQueue;
        else if (!zero_shared_)
            why = InterruptStatus::kConfig;
    }
    if (why == 0 && !mutant(145)) { // a shared line: somebody else's
        spurious_.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    if (!listening_.load(std::memory_order_acquire) && !mutant(146)) return;
    interrupts_.fetch_add(1, std::memory_order_relaxed);
    if ((why & InterruptStatus::kQueue) != 0) {
        const bool own = mode_ == InterruptMode::message_per_queue && vector != 0;
        event_.mark(own ? queue_bit(vector - 1u) : kAllQueues);
        for (Virtqueue* queue : queues())
            if (queue != nullptr && (!own || queue->vector() == vector || mutant(147))) queue->announce();
    }
    if ((why & InterruptStatus::kConfig) != 0) {
        config_changed_.store(1, std::memory_order_release);
        config_event_->mark(config_bits_);
        if (config_event_ != &event_) platform_->wake(); // one for each word
    }
    platform_->wake();
}

void Device::interrupt(void* context, std::uint16_t vector) noexcept { static_cast<Device*>(context)->on_interrupt(vector); }

} // namespace virtio
