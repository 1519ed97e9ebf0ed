#include "libvirtio/virtqueue.hpp"

#include <bit>

namespace virtio {

Result<> Virtqueue::create(Platform& platform, DmaDomain& domain, std::uint16_t index, std::uint32_t offered, const FeatureSet& features,
                           const QueueOptions& options) noexcept {
    if (created()) return fail(Error::already_started);
    if (offered == 0) return fail(Error::queue_unavailable);
    if (offered > kQueueSizeLimit) return fail(Error::queue_size_invalid);
    if (options.maximum_size == 0) return fail(Error::queue_size_invalid);
    // A split ring's size is a power of two (VIRTIO 1.4, 2.7); a smaller one than offered may be written.
    const std::uint32_t cap = offered < options.maximum_size ? offered : options.maximum_size;
    const auto size = static_cast<std::uint16_t>(std::bit_floor(cap));

    SplitRing::Setup setup;
    setup.size = size;
    // Leave a quarter of the descriptors to general chains.
    const auto most_presets = static_cast<std::uint16_t>(size / 4);
    setup.presets = options.presets < most_presets ? options.presets : most_presets;
    setup.fixed = options.fixed;
    setup.indirect_entries = features.has(RingFeature::indirect_desc) ? options.indirect_entries : std::uint16_t{0};
    if (setup.indirect_entries > size) setup.indirect_entries = size;
    setup.event_index = features.has(RingFeature::event_idx);
    setup.strict_length = options.strict_length;
    setup.ordering = features.has(RingFeature::order_platform) ? arch::Ordering::platform : arch::Ordering::processors;

    platform_ = &platform;
    domain_ = &domain;
    index_ = index;
    lazy_ = options.lazy;
    Result<DmaMemory> ring = domain.allocate(split_layout(size).total, 4096);
    if (!ring) return fail(ring.error());
    memory_ = *ring;
    slots_ = static_cast<SplitRing::Slot*>(platform.allocate(sizeof(SplitRing::Slot) * size, alignof(SplitRing::Slot)));
    if (slots_ == nullptr) {
        free_memory();
        return fail(Error::out_of_memory);
    }
    if (setup.indirect_entries != 0) {
        // Without room for the tables the queue still works, with direct chains.
        Result<DmaMemory> tables = domain.allocate(sizeof(Descriptor) * setup.indirect_entries * size, 4096);
        if (tables) {
            tables_ = *tables;
        } else if (setup.fixed) { // it has no descriptors to make chains of
            platform.free(slots_, sizeof(SplitRing::Slot) * size);
            slots_ = nullptr;
            free_memory();
            return fail(tables.error());
        }
    }
    ring_.attach(SplitMemory{memory_.data, size}, {slots_, size}, tables_.data, tables_.address, setup);
    counters_ = {};
    room_waiter_ = nullptr;
    started_ = false;
    ++generation_;
    return {};
}

unsigned Virtqueue::poll(unsigned budget) noexcept {
    unsigned done = 0;
    if (!created()) return done;
    while (done < budget) {
        const SplitRing::Taken taken = ring_.take();
        if (taken.request == nullptr) break;
        ++done;
        taken.request->state = Request::State::done;
        if (taken.request->complete != nullptr) taken.request->complete(*taken.request);
    }
    counters_.completions += done;
    if (const std::uint32_t announced = announced_.load(std::memory_order_relaxed); announced != heard_) {
        const std::uint32_t fresh = announced - heard_;
        heard_ = announced;
        if (own_vector_ || done != 0) counters_.interrupts += fresh;
        if (own_vector_ && done == 0) counters_.spurious_interrupts += fresh;
    }
    if (done != 0 && room_waiter_ != nullptr) {
        RoomWaiter* waiter = room_waiter_;
        room_waiter_ = nullptr;
        waiter->on_room(*waiter);
    }
    return done;
}

void Virtqueue::destroy(Error error) noexcept {
    if (!created()) return;
    started_ = false;
    ++generation_;
    ring_.close();
    std::uint16_t cursor = 0;
    while (Request* request = ring_.reclaim(cursor)) {
        request->length = 0;
        request->error = error;
        request->state = Request::State::done;
        ++counters_.errors;
        if (request->complete != nullptr) request->complete(*request);
    }
    free_memory();
}

void Virtqueue::quarantine() noexcept {
    if (!created()) return;
    started_ = false;
    ++generation_;
    std::uint16_t cursor = 0;
    while (Request* request = ring_.reclaim(cursor)) {
        request->error = Error::abandoned;
        request->state = Request::State::abandoned;
        ++counters_.errors;
    }
    platform_->free(slots_, sizeof(SplitRing::Slot) * ring_.size());
    slots_ = nullptr;
    memory_ = {}; // the device may still write there: leaked on purpose
    tables_ = {};
    ring_ = {};
}

void Virtqueue::free_memory() noexcept {
    if (slots_ != nullptr) platform_->free(slots_, sizeof(SplitRing::Slot) * ring_.size());
    if (memory_) domain_->free(memory_);
    if (tables_) domain_->free(tables_);
    slots_ = nullptr;
    memory_ = {};
    tables_ = {};
    ring_ = {};
}

} // namespace virtio
