#include "kernel/device_manager/routes.hpp"

#include <algorithm>
#include <cstdio>
#include <span>

#include "kernel/processor/processor.hpp"

namespace kernel {
namespace {

bool same(const virtio::InterruptTarget& a, const virtio::InterruptTarget& b) noexcept {
    return a.handler == b.handler && a.context == b.context;
}

} // namespace

virtio::Result<MsiMessage> InterruptRoutes::add_message(const virtio::InterruptTarget& target, std::uint32_t device, std::uint16_t index,
                                                        const char* owner) {
    for (Message& message : messages_) {
        if (message.target.handler != nullptr) continue;
        std::snprintf(message.owner, sizeof message.owner, "%s message %u", owner, static_cast<unsigned>(index));
        message.target = target;
        message.index = index;
        const auto vector = allocate_vector(&InterruptRoutes::message_arrived, &message, message.owner);
        if (!vector) {
            message.target = {};
            return virtio::fail(vector.error());
        }
        const auto made = connect_message(*vector, device, index);
        if (!made) {
            free_vector(*vector);
            message.target = {};
            return made;
        }
        message.vector = *vector;
        return made;
    }
    return virtio::fail(virtio::Error::interrupt_unavailable);
}

virtio::Result<> InterruptRoutes::add_line(const Line& line, const virtio::InterruptTarget& target, const char* owner) {
    SharedLine* place = nullptr;
    for (SharedLine& shared : lines_) {
        if (shared.count != 0 && shared.gsi == line.gsi) {
            place = &shared;
            break;
        }
        if (shared.count == 0 && place == nullptr) place = &shared;
    }
    if (place == nullptr || place->count == kSharers) return virtio::fail(virtio::Error::interrupt_unavailable);
    if (place->count == 0) {
        std::snprintf(place->owner, sizeof place->owner, "%s line %u", owner, static_cast<unsigned>(line.gsi));
        const auto vector = allocate_vector(&InterruptRoutes::line_raised, place, place->owner);
        if (!vector) return virtio::fail(vector.error());
        place->vector = *vector;
        place->gsi = line.gsi;
        place->processor = &this_processor();
        place->sharers[0] = {target, place->processor};
        place->count = 1;
        const auto routed = route_line(line, *vector);
        if (!routed) {
            free_vector(*vector);
            *place = {};
            return routed;
        }
        return {};
    }
    std::snprintf(place->owner, sizeof place->owner, "line %u, shared", static_cast<unsigned>(line.gsi));
    const Sharer sharer{target, &this_processor()};
    call_on(*place->processor, [place, &sharer] {
        const InterruptGuard off;
        place->sharers[place->count++] = sharer;
    });
    return {};
}

void InterruptRoutes::remove(const virtio::InterruptTarget& target) {
    for (Message& message : messages_) {
        if (message.target.handler == nullptr || !same(message.target, target)) continue;
        free_vector(message.vector);
        message.target = {};
    }
    for (SharedLine& shared : lines_) {
        const auto sharers = std::span(shared.sharers).first(shared.count);
        if (std::ranges::none_of(sharers, [&](const Sharer& sharer) { return same(sharer.target, target); })) continue;
        call_on(*shared.processor, [&] { leave(shared, target); });
    }
}

void InterruptRoutes::leave(SharedLine& line, const virtio::InterruptTarget& target) {
    const InterruptGuard off;
    for (std::size_t i = 0; i < line.count;) {
        if (!same(line.sharers[i].target, target)) {
            ++i;
            continue;
        }
        line.sharers[i] = line.sharers[--line.count];
        if (line.count != 0) continue;
        mask_line(line.gsi);
        free_vector(line.vector);
    }
}

} // namespace kernel
