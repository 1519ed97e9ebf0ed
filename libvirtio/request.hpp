// A request is a small object of its owner's (the caller, or a driver's slot); the queue only points to it while it is in flight.
// It returns to its owner exactly once: when the device has used it, or after a confirmed reset of its queue or device.
//
//     struct Read : virtio::Request { ... };
//     request.complete = [](virtio::Request& done) noexcept { wake(done); };   // runs in the queue owner's poll()
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "libvirtio/base.hpp"

namespace virtio {

struct Request {
    /// Called from the poll() that found the completion. It may submit; it may not block or destroy the queue.
    using Complete = void (*)(Request& request) noexcept;

    enum class State : std::uint8_t { idle, in_flight, done, abandoned };

    Complete complete = nullptr; // null: the owner looks at `state`
    std::uint32_t length = 0;    // bytes the device says that it wrote, at most what was lent
    Error error = Error::none;   // none, or why it ended without the device's answer
    State state = State::idle;
    bool length_clamped = false; // the device claimed more than it was lent

    [[nodiscard]] bool done() const noexcept { return state == State::done; }
};
static_assert(std::is_standard_layout_v<Request>);

} // namespace virtio
