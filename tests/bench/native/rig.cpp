#include "tests/bench/native/rig.hpp"

#include <cstdlib>
#include <cstring>

namespace bench {
namespace {

using virtio::RingFeature;

virtio::FeatureSet features(Ring ring, Shape shape) {
    virtio::FeatureSet set = virtio::FeatureSet::of(RingFeature::version_1, RingFeature::event_idx);
    if (ring == Ring::packed) set.insert(RingFeature::ring_packed);
    if (shape == Shape::inorder) set.insert(RingFeature::in_order);
    // A packed ring's presets are indirect tables.
    if (shape == Shape::indirect || (shape == Shape::block && ring == Ring::packed)) set.insert(RingFeature::indirect_desc);
    return set;
}

std::uint64_t word(std::uint64_t address) {
    std::uint64_t value = 0;
    std::memcpy(&value, reinterpret_cast<const void*>(address), sizeof(value));
    return value;
}
std::uint16_t half(std::uint64_t address) { return static_cast<std::uint16_t>(word(address & ~std::uint64_t{7}) >> (8 * (address & 7))); }

} // namespace

void* Memory::dma_allocate(std::size_t bytes, std::size_t alignment) noexcept {
    const std::size_t whole = (bytes + alignment - 1) / alignment * alignment;
    void* memory = std::aligned_alloc(alignment < 64 ? 64 : alignment, alignment < 64 ? (bytes + 63) / 64 * 64 : whole);
    if (memory != nullptr) std::memset(memory, 0, bytes);
    return memory;
}
void Memory::dma_free(void* memory, std::size_t) noexcept { std::free(memory); }

Rig::Rig(Ring ring, Shape shape) : ring_(ring), shape_(shape) {
    const virtio::FeatureSet set = features(ring, shape);
    virtio::QueueOptions options{.maximum_size = kQueueSize};
    options.fixed = shape == Shape::slot;
    if (shape == Shape::block) options.presets = kQueueSize / 4;
    if (set.has(RingFeature::indirect_desc)) options.indirect_entries = 4;
    if (!queue_.create(memory_, **memory_.dma_domain({}, false), 0, kQueueSize, set, options)) std::abort();
    queue_.start();

    const referee::CheapOptions device{.event_index = true, .in_order = shape == Shape::inorder, .want_kicks = false, .length = 1};
    auto* const descriptors = reinterpret_cast<std::byte*>(queue_.descriptor_address().value);
    auto* const driver_area = reinterpret_cast<std::byte*>(queue_.driver_address().value);
    auto* const device_area = reinterpret_cast<std::byte*>(queue_.device_address().value);
    if (ring == Ring::split)
        device_ = referee::CheapSplit{descriptors, driver_area, device_area, kQueueSize, device};
    else
        device_ = referee::CheapPacked{descriptors, driver_area, device_area, kQueueSize, device};

    // A third of the ring holds as many chains of three; a power of two of them, so that batches end where the requests do.
    most_ = shape == Shape::block || shape == Shape::three ? kQueueSize / 4 : kQueueSize;
    operations_ = std::vector<Operation>(most_);
    payloads_ = std::vector<Payload>(most_);
    for (unsigned i = 0; i < most_; ++i) {
        Payload& payload = payloads_[i];
        const auto segment = [](void* data, std::size_t bytes) {
            return virtio::Segment{{reinterpret_cast<std::uintptr_t>(data)}, static_cast<std::uint32_t>(bytes)};
        };
        parts_.push_back(segment(&payload.header, sizeof(payload.header)));
        parts_.push_back(segment(&payload.data, sizeof(payload.data)));
        parts_.push_back(segment(&payload.status, sizeof(payload.status)));
        Operation& operation = operations_[i];
        operation.complete = &completed;
        operation.data = parts_[3 * std::size_t{i} + 1];
        operation.slot = static_cast<std::uint16_t>(i);
        if (shape == Shape::slot) queue_.fix_writable(operation.slot, operation.data);
        if (shape == Shape::block)
            static_cast<void>(queue_.preset(operation.slot, parts_[3 * std::size_t{i}], parts_[3 * std::size_t{i} + 2]));
    }
    switch (shape) {
    case Shape::one:
    case Shape::inorder: submit_ = &driver_submit<Shape::one>; break;
    case Shape::slot: submit_ = &driver_submit<Shape::slot>; break;
    case Shape::block: submit_ = &driver_submit<Shape::block>; break;
    case Shape::three:
    case Shape::indirect: submit_ = &driver_submit<Shape::three>; break;
    }
}

Rig::~Rig() { queue_.destroy(virtio::Error::closed); }

[[gnu::noinline]] unsigned Rig::serve() {
    return std::visit([](auto& device) { return device.serve(); }, device_);
}

void completed(virtio::Request& request) noexcept { ++static_cast<Operation&>(request).done; }

// --- looking at what is exchanged ---

bool Rig::look_at_parts(const std::vector<virtio::Segment>& parts, std::size_t readable) {
    const std::size_t at = looked_ % most_;
    const bool three = shape_ == Shape::block || shape_ == Shape::three || shape_ == Shape::indirect;
    if (parts.size() != (three ? 3 : 1) || readable != (three ? 1 : 0)) return false;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const virtio::Segment& expected = parts_[3 * at + (three ? i : 1)];
        if (parts[i].address != expected.address || parts[i].length != expected.length) return false;
    }
    Payload& payload = payloads_[at];
    if (payload.header != looked_) return false; // what the driver's side wrote before it lent the memory
    for (std::uint64_t& value : payload.data) value = looked_ + 1;
    if (three) payload.status = 0;
    ++looked_;
    return true;
}

/// A chain as the specification draws it: split by `next`, packed and tables by place.
bool Rig::look_at_chain(std::uint64_t table, std::uint32_t index, std::uint32_t end, bool packed) {
    std::vector<virtio::Segment> parts;
    std::size_t readable = 0;
    bool indirect = false;
    for (unsigned steps = 0; steps < 4; ++steps) {
        const std::uint64_t at = table + 16 * std::uint64_t{index};
        const std::uint64_t rest = word(at + 8); // length; split: flags, next; packed: id, flags
        const bool by_place = packed || indirect;
        const auto flags = static_cast<std::uint16_t>(rest >> (packed && !indirect ? 48 : 32));
        const auto length = static_cast<std::uint32_t>(rest);
        if (packed && !indirect) index_ = static_cast<std::uint16_t>(index_ + 1);
        if ((flags & 4) != 0) {
            if (indirect || length != 48 || (flags & 1) != 0) return false;
            table = word(at);
            index = 0;
            end = 3;
            // In a packed ring's table flags stand where the ring has them, and there is no NEXT.
            for (; packed && index < end; ++index) {
                const std::uint64_t entry = table + 16 * std::uint64_t{index};
                parts.push_back({{word(entry)}, static_cast<std::uint32_t>(word(entry + 8))});
                if ((half(entry + 14) & 2) == 0) ++readable;
            }
            if (packed) return look_at_parts(parts, readable);
            indirect = true;
            continue;
        }
        parts.push_back({{word(at)}, length});
        if ((flags & 2) == 0) ++readable;
        if ((flags & 1) == 0) return look_at_parts(parts, readable);
        index = by_place ? index + 1 : static_cast<std::uint16_t>(rest >> 48);
        if (packed && index == end) index = 0;
        if (index >= end) return false;
    }
    return false;
}

bool Rig::look_at_new() {
    const std::uint64_t descriptors = queue_.descriptor_address().value;
    if (ring_ == Ring::split) {
        const std::uint64_t available = queue_.driver_address().value;
        for (; index_ != half(available + 2); ++index_) {
            const std::uint16_t head = half(available + 4 + 2 * std::uint64_t{index_ % kQueueSize});
            if (head >= kQueueSize || !look_at_chain(descriptors, head, kQueueSize, false)) return false;
        }
        return true;
    }
    for (;;) {
        const std::uint16_t flags = half(descriptors + 16 * std::uint64_t{index_} + 14);
        if (((flags & 0x80) != 0) != wrap_ || ((flags & 0x8000) != 0) == wrap_) return true;
        if (!look_at_chain(descriptors, index_, kQueueSize, true)) return false;
        if (index_ >= kQueueSize) {
            index_ = static_cast<std::uint16_t>(index_ - kQueueSize);
            wrap_ = !wrap_;
        }
    }
}

std::string Rig::check(unsigned batch) {
    const std::string where = std::string(name(ring_)) + " " + std::string(name(shape_)) + " " + std::to_string(batch) + ": ";
    const std::uint64_t rounds = 70'000 / batch;
    for (std::uint64_t round = 0; round < rounds; ++round) {
        const std::uint64_t first = submitted_;
        for (unsigned i = 0; i < batch; ++i) payloads_[(first + i) % most_] = {first + i, {}, 0xff};
        if (!submit(batch)) return where + "a request was refused";
        if (!look_at_new() || looked_ != submitted_)
            return where + "the device did not find what was lent, at request " + std::to_string(looked_);
        if (serve() != batch) return where + "the device did not use the batch";
        if (collect(batch + 1) != batch) return where + "not every completion came, or one too many";
        for (unsigned i = 0; i < batch; ++i) {
            const std::size_t at = (first + i) % most_;
            const Operation& operation = operations_[at];
            const bool last = shape_ != Shape::inorder || i + 1 == batch; // others of a batch are used completely
            if (!operation.done_once((first + i) / most_ + 1)) return where + "a request is not done exactly once";
            if (operation.length != (last ? 1 : sizeof(Payload::data))) return where + "a wrong length";
            if (payloads_[at].data[3] != first + i + 1) return where + "what the device wrote did not arrive";
        }
    }
    if (queue_.in_flight() != 0 || queue_.lengths_clamped() != 0 || queue_.broken()) return where + "the queue is not as it was";
    return {};
}

} // namespace bench
