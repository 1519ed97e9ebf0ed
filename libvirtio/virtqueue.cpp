#include "libvirtio/virtqueue.hpp"

#include <bit>

namespace virtio {

namespace {

template<class T> T* allocate(Platform& platform, std::size_t count) noexcept {
    return static_cast<T*>(platform.allocate(sizeof(T) * count, alignof(T)));
}

} // namespace

Result<> Virtqueue::create(Platform& platform, DmaDomain& domain, std::uint16_t index, std::uint32_t offered, const FeatureSet& features,
                           const QueueOptions& options, QueueLayout layout) noexcept {
    if (created()) return fail(Error::already_started);
    if (offered == 0) return fail(Error::queue_unavailable);
    if (offered > kQueueSizeLimit && !mutant(80)) return fail(Error::queue_size_invalid);
    if (options.maximum_size == 0 && !mutant(81)) return fail(Error::queue_size_invalid);
    kind_ = features.has(RingFeature::ring_packed) ? RingKind::packed : RingKind::split;
    const bool packed = kind_ == RingKind::packed;
    const std::uint32_t most = options.maximum_size < kQueueSizeLimit ? options.maximum_size : kQueueSizeLimit;
    const std::uint32_t cap = offered < most ? offered : most;
    // A split ring's size is a power of two (VIRTIO 1.4, 2.7), a packed one's any; a smaller one than offered may be written.
    auto size = static_cast<std::uint16_t>(packed ? cap : std::bit_floor(cap));
    if (layout == QueueLayout::contiguous_whole) {
        // (Not by counting bits, for which some processors need a library.)
        if ((offered & (offered - 1)) != 0 && !mutant(800)) return fail(Error::queue_size_invalid);
        size = static_cast<std::uint16_t>(offered);
    }
    const SplitLayout split_areas = split_layout(size, layout == QueueLayout::free ? kRingLine : kLegacyAlignment);
    const PackedLayout packed_areas = packed_layout(size);

    RingSetup setup;
    setup.size = size;
    // Leave a quarter of the descriptors to general chains. A preset of a split ring has three of its own.
    const auto most_presets = static_cast<std::uint16_t>(packed ? size - size / 4 : size / 4);
    setup.presets = options.presets < most_presets ? options.presets : most_presets;
    setup.fixed = options.fixed;
    setup.indirect_entries = features.has(RingFeature::indirect_desc) ? options.indirect_entries : std::uint16_t{0};
    if (setup.indirect_entries > size && !mutant(82)) setup.indirect_entries = size;
    setup.event_index = features.has(RingFeature::event_idx);
    setup.in_order = features.has(RingFeature::in_order);
    setup.strict_length = options.strict_length;
    setup.ordering = features.has(RingFeature::order_platform) ? arch::Ordering::platform : arch::Ordering::processors;

    platform_ = &platform;
    domain_ = &domain;
    index_ = index;
    lazy_ = options.lazy;
    driver_offset_ = static_cast<std::uint32_t>(packed ? packed_areas.driver : split_areas.driver);
    device_offset_ = static_cast<std::uint32_t>(packed ? packed_areas.device : split_areas.device);
    const Result<DmaMemory> ring = domain.allocate(packed ? packed_areas.total : split_areas.total, kLegacyAlignment);
    if (!ring) return fail(ring.error());
    memory_ = *ring;
    template_count_ = static_cast<std::uint32_t>(packed ? PackedRing::template_count(setup) : SplitRing::template_count(setup));
    if (template_count_ != 0) setup.templates = templates_ = allocate<RingTemplate>(platform, template_count_);
    if (template_count_ == 0 || templates_ != nullptr) slots_ = allocate<RingSlot>(platform, size);
    slot_count_ = size;
    if (slots_ == nullptr) {
        free_memory();
        return fail(Error::out_of_memory);
    }
    const std::size_t table_descriptors = packed ? PackedRing::table_descriptors(setup) : SplitRing::table_descriptors(setup);
    if (table_descriptors != 0) {
        const Result<DmaMemory> tables = domain.allocate(sizeof(Descriptor) * table_descriptors, 4096);
        // Without room for the tables the queue still works, with direct chains; but fixed slots have no descriptors to make chains of.
        if (!tables && setup.fixed) {
            free_memory();
            return fail(tables.error());
        }
        if (tables) tables_ = *tables;
    }
    for (std::uint32_t i = 0; i < template_count_; ++i) templates_[i] = {};
    if (packed)
        packed_.attach(PackedMemory{memory_.data, size}, {slots_, size}, tables_.data, tables_.address, setup);
    else
        split_.attach(SplitMemory{memory_.data, size, split_areas}, {slots_, size}, tables_.data, tables_.address, setup);
    counters_ = {};
    ended_ = 0;
    room_waiter_ = nullptr;
    started_ = false;
    ++generation_;
    return {};
}

Result<> Virtqueue::add_packed(std::span<const Segment> readable, std::span<const Segment> writable, Request& request) noexcept {
    return packed_.add(readable, writable, request);
}

void Virtqueue::count_refused(Error error) noexcept {
    if (error == Error::ring_full)
        ++counters_.ring_full;
    else
        ++counters_.errors;
}

unsigned Virtqueue::poll(unsigned budget) noexcept {
    if (!created()) return 0;
    const auto finish = [](Request& request) noexcept {
        if (request.complete != nullptr) request.complete(request);
    };
    const unsigned done = kind_ == RingKind::packed ? packed_.drain(budget, finish) : split_.drain(budget, finish);
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

QueueCounters& Virtqueue::counters() noexcept {
    // Not counted one by one: whatever was added has been completed, taken back, or is in flight.
    counters_.requests = counters_.completions + ended_;
    counters_.requests += in_flight();
    return counters_;
}

QueueCounters Virtqueue::counters() const noexcept {
    QueueCounters now = counters_;
    now.requests = counters_.completions + ended_;
    now.requests += in_flight();
    return now;
}

QueueState Virtqueue::state() const noexcept {
    const bool packed = kind_ == RingKind::packed;
    QueueState state;
    state.kind = kind_;
    state.index = index_;
    state.generation = generation_;
    state.created = created();
    if (!state.created) return state;
    state.started = started_;
    state.suppressed = interrupts_suppressed();
    state.pending = pending();
    state.fault = fault();
    state.size = size();
    state.published = packed ? packed_.position() : split_.position();
    state.used = packed ? packed_.used_position() : split_.last_used();
    state.in_flight = in_flight();
    state.room = room();
    state.lengths_clamped = lengths_clamped();
    return state;
}

template<class End> void Virtqueue::reclaim(End end) noexcept {
    started_ = false;
    ++generation_;
    const bool packed = kind_ == RingKind::packed;
    packed ? packed_.close() : split_.close();
    std::uint16_t cursor = 0;
    while (Request* request = packed ? packed_.reclaim(cursor) : split_.reclaim(cursor)) {
        request->length = 0;
        request->length_clamped = false;
        ++counters_.errors;
        ++ended_;
        end(*request);
    }
}

void Virtqueue::destroy(Error error) noexcept {
    if (!created()) return;
    reclaim([error](Request& request) noexcept {
        request.error = error;
        request.state = Request::State::done;
        if (request.complete != nullptr) request.complete(request);
    });
    free_memory();
}

void Virtqueue::quarantine() noexcept {
    if (!created()) return;
    reclaim([](Request& request) noexcept {
        request.error = Error::abandoned;
        request.state = Request::State::abandoned;
    });
    memory_ = {}; // the device may still write there: leaked on purpose
    tables_ = {};
    free_memory();
}

void Virtqueue::free_memory() noexcept {
    if (slots_ != nullptr) platform_->free(slots_, sizeof(RingSlot) * slot_count_);
    if (templates_ != nullptr) platform_->free(templates_, sizeof(RingTemplate) * template_count_);
    if (memory_) domain_->free(memory_);
    if (tables_) domain_->free(tables_);
    slots_ = nullptr;
    templates_ = nullptr;
    slot_count_ = 0;
    template_count_ = 0;
    memory_ = {};
    tables_ = {};
    // Nothing is left that a late call could reach.
    split_ = {};
    packed_ = {};
    split_.close();
    packed_.close();
}

} // namespace virtio
