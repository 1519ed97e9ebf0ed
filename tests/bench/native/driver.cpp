// The driver's part, as a front end would write it. Compiled like the library, and alone, so that nothing of the device or of the
// measuring is mixed into it.
#include "tests/bench/native/driver.hpp"

namespace bench {

template<Shape kShape> static inline virtio::Result<> add(virtio::Virtqueue& queue, Operation& operation, const virtio::Segment* parts) {
    if constexpr (kShape == Shape::slot) return queue.add_fixed(operation.slot, operation);
    if constexpr (kShape == Shape::block) return queue.add_preset(operation.slot, operation.data, true, operation);
    if constexpr (kShape == Shape::three || kShape == Shape::indirect) return queue.add({parts, 1}, {parts + 1, 2}, operation);
    return queue.add_writable(operation.data, operation);
}

template<Shape kShape>
[[gnu::noinline]] bool driver_submit(virtio::Virtqueue& queue, Operation* operation, const virtio::Segment* parts, unsigned count) {
    for (Operation* const end = operation + count; operation != end; ++operation, parts += 3)
        if (!add<kShape>(queue, *operation, parts)) return false;
    queue.kick();
    return true;
}

[[gnu::noinline]] unsigned driver_collect(virtio::Virtqueue& queue, unsigned budget) { return queue.poll(budget); }

template bool driver_submit<Shape::one>(virtio::Virtqueue&, Operation*, const virtio::Segment*, unsigned);
template bool driver_submit<Shape::slot>(virtio::Virtqueue&, Operation*, const virtio::Segment*, unsigned);
template bool driver_submit<Shape::block>(virtio::Virtqueue&, Operation*, const virtio::Segment*, unsigned);
template bool driver_submit<Shape::three>(virtio::Virtqueue&, Operation*, const virtio::Segment*, unsigned);

} // namespace bench
