// The fake device's side of packed rings (VIRTIO 1.4, 2.8), written from the specification.
#include <algorithm>
#include <cstring>

#include "tests/unit/support/fake_device.hpp"

namespace fake {
namespace {

constexpr std::uint16_t kDescNext = 1, kDescWrite = 2, kDescIndirect = 4, kDescAvail = 1u << 7, kDescUsed = 1u << 15;
constexpr unsigned kBitIndirect = 28, kBitEvent = 29, kBitInOrder = 35;
constexpr std::uint16_t kEventEnable = 0, kEventDisable = 1, kEventDescriptor = 2;

template<class T> T get(const std::byte* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}
template<class T> void put(std::byte* at, T value) { std::memcpy(at, &value, sizeof value); }
std::byte* pointer(std::uint64_t address) { return reinterpret_cast<std::byte*>(address); }

bool available(const std::byte* descriptor, bool wrap) {
    const auto flags = get<std::uint16_t>(descriptor + 14);
    return ((flags & kDescAvail) != 0) == wrap && ((flags & kDescUsed) != 0) != wrap;
}

} // namespace

void PackedCursor::advance(std::uint16_t size, unsigned slots) {
    slot += slots;
    while (slot >= size) {
        slot -= size;
        wrap = !wrap;
    }
}

unsigned FakeDevice::packed_available(const Queue& queue) const {
    if (queue.wrecked) return 0;
    PackedCursor at = queue.next;
    unsigned chains = 0;
    for (unsigned seen = 0; seen < queue.size; ++seen) {
        const std::byte* descriptor = queue.descriptors + std::size_t{16} * at.slot;
        if (!fake::available(descriptor, at.wrap)) break;
        if ((get<std::uint16_t>(descriptor + 14) & kDescNext) == 0) ++chains;
        at.advance(queue.size);
    }
    return chains;
}

void FakeDevice::packed_part(Chain& chain, const std::byte* descriptor) {
    const auto length = get<std::uint32_t>(descriptor + 8);
    const auto flags = get<std::uint16_t>(descriptor + 14);
    if (length == 0) violation("descriptor of 0 bytes");
    if ((flags & kDescWrite) != 0) {
        chain.writable.push_back({pointer(get<std::uint64_t>(descriptor)), length});
    } else {
        if (!chain.writable.empty()) violation("readable descriptor after a writable one");
        chain.readable.push_back({pointer(get<std::uint64_t>(descriptor)), length});
    }
}

void FakeDevice::packed_take(Queue& queue, Chain& chain) {
    const auto wreck = [&](const char* what) {
        queue.wrecked = true;
        if (!queue.lied) violation(what);
    };
    unsigned slots = 0;
    for (bool more = true; more; ++slots) {
        const std::byte* descriptor = queue.descriptors + std::size_t{16} * queue.next.slot;
        const auto flags = get<std::uint16_t>(descriptor + 14);
        if (slots == queue.size) return wreck("descriptor chain longer than the queue");
        if (!fake::available(descriptor, queue.next.wrap)) return wreck("a chain is available before all of its descriptors are");
        chain.head = get<std::uint16_t>(descriptor + 12); // that of the last one counts
        more = (flags & kDescNext) != 0;
        if ((flags & kDescIndirect) != 0) {
            const auto length = get<std::uint32_t>(descriptor + 8);
            if (!accepted.has(kBitIndirect)) return wreck("INDIRECT without INDIRECT_DESC negotiated");
            if (more || slots != 0) violation("INDIRECT in a chain");
            if (length == 0 || length % 16 != 0) return wreck("indirect table of a bad length");
            if (length / 16 > queue.size) return wreck("indirect chain longer than the queue");
            const std::byte* table = pointer(get<std::uint64_t>(descriptor));
            inspect(table, length, Firewall::Access::read, "indirect table");
            for (std::uint32_t at = 0; at < length; at += 16) {
                if ((get<std::uint16_t>(table + at + 14) & ~kDescWrite) != 0) violation("a flag other than WRITE in an indirect table");
                packed_part(chain, table + at);
            }
        } else {
            packed_part(chain, descriptor);
        }
        queue.next.advance(queue.size);
    }
    if (queue.slots_of[chain.head] != 0 && !queue.lied) violation("a buffer id that is in flight already");
    queue.slots_of[chain.head] = static_cast<std::uint16_t>(slots);
    queue.order.push_back(chain.head);
    ++queue.next_available;
}

void FakeDevice::packed_use(Queue& queue, std::uint32_t id, std::uint32_t written) {
    std::byte* descriptor = queue.descriptors + std::size_t{16} * queue.used_at.slot;
    put<std::uint32_t>(descriptor + 8, written);
    put<std::uint16_t>(descriptor + 12, static_cast<std::uint16_t>(id));
    const unsigned flags = (queue.used_at.wrap ? kDescAvail | kDescUsed : 0u) | (written != 0 ? kDescWrite : 0u);
    put<std::uint16_t>(descriptor + 14, static_cast<std::uint16_t>(flags));
    unsigned slots = 0;
    const auto release = [&](std::uint16_t its) {
        slots += queue.slots_of[its];
        queue.slots_of[its] = 0;
        ++queue.used;
    };
    const auto place = std::find(queue.order.begin(), queue.order.end(), static_cast<std::uint16_t>(id));
    if (place == queue.order.end()) {
        slots = 1;
        queue.lied = queue.wrecked = true;  // until it is reset
    } else if (accepted.has(kBitInOrder)) { // all up to this one
        std::for_each(queue.order.begin(), place + 1, release);
        queue.order.erase(queue.order.begin(), place + 1);
    } else {
        release(*place);
        queue.order.erase(place);
    }
    queue.used_at.advance(queue.size, slots);
    queue.used_slots += slots;
}

void FakeDevice::packed_interrupt_if_wanted(Queue& queue, unsigned slots) {
    const auto position = get<std::uint16_t>(queue.driver);
    const auto flags = get<std::uint16_t>(queue.driver + 2);
    bool wanted = true;
    switch (flags) {
    case kEventEnable: break;
    case kEventDisable: wanted = false; break;
    case kEventDescriptor: {
        if (!accepted.has(kBitEvent)) violation("an event position without EVENT_IDX negotiated");
        const unsigned slot = position & 0x7fffu;
        if (slot >= queue.size) violation("an event position outside the ring");
        // The event's slot was used if it lies among the last `slots` before used_at, in the lap it names.
        const bool same_lap = ((position & 0x8000u) != 0) == queue.used_at.wrap;
        const int ago = static_cast<int>(queue.used_at.slot) - static_cast<int>(slot) + (same_lap ? 0 : queue.size);
        wanted = ago >= 1 && ago <= static_cast<int>(slots);
        break;
    }
    default: violation("undefined driver event flags");
    }
    if (wanted || ignore_suppression) raise(queue);
}

void FakeDevice::packed_want_kicks(Queue& queue, bool wanted) {
    if (wanted && accepted.has(kBitEvent)) {
        put<std::uint16_t>(queue.device, static_cast<std::uint16_t>(queue.next.slot | (queue.next.wrap ? 0x8000u : 0u)));
        put<std::uint16_t>(queue.device + 2, kEventDescriptor);
    } else {
        put<std::uint16_t>(queue.device + 2, wanted ? kEventEnable : kEventDisable);
    }
}

void FakeDevice::packed_scribble(Queue& queue, std::uint8_t pattern) {
    // All but the flags: they say whose a descriptor is.
    for (unsigned slot = 0; slot < queue.size; ++slot) std::memset(queue.descriptors + std::size_t{16} * slot, pattern, 14);
}

} // namespace fake
