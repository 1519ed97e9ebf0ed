// The driver's part of the measured loop: what a front end does with a Virtqueue. Counted by these functions' names.
#pragma once

#include "libvirtio/virtqueue.hpp"
#include "tests/bench/native/shapes.hpp"

namespace bench {

/// A request and what it lends.
struct alignas(64) Operation : virtio::Request {
    virtio::Segment data;
    std::uint16_t slot = 0; // fixed or preset
    std::uint64_t done = 0; // completions, ever

    [[nodiscard]] bool done_once(std::uint64_t times) const noexcept {
        return done == times && state == State::done && error == virtio::Error::none;
    }
};

/// `count` requests that lie one after another, with three parts each; one publish, one look whether a kick is wanted. Shapes that
/// the driver does not tell apart share one function: inorder is one, indirect is three. False: one was refused.
template<Shape kShape> bool driver_submit(virtio::Virtqueue& queue, Operation* operation, const virtio::Segment* parts, unsigned count);

/// Up to `budget` completions; each request's function is called. Returns how many.
unsigned driver_collect(virtio::Virtqueue& queue, unsigned budget);

/// The completion function of every request: the caller's, not the ring's, so it is not counted.
void completed(virtio::Request& request) noexcept;

} // namespace bench
