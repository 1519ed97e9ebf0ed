// The last things that happened between driver and device: a bounded list, cheap to write (no text is made before somebody asks).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace referee {

enum class EventKind : std::uint8_t {
    none,
    enabled,    // a: size, b: features
    available,  // a: index or position, b: buffers seen new
    kick,       // a: value
    taken,      // a: id, b: descriptors
    used,       // a: id, b: length
    interrupt,  // a: 1 if asked for, 0 if not
    suppressed, // the device's wish to be notified: a: flags, b: event index
    asked,      // the driver's wish: a: flags, b: event index
    lie,        // a: LieKind, b: value
    reset,      // a: 0 asked, 1 confirmed
    released,   // guest memory given back: a: address, b: bytes
    read,       // register: a: offset, b: value
    write,      // register: a: offset, b: value
    status,     // a: new, b: old
    violation,  // a: Clause
};

struct Event {
    EventKind kind = EventKind::none;
    std::uint16_t queue = 0;
    std::uint64_t step = 0;
    std::uint64_t a = 0;
    std::uint64_t b = 0;
};
[[nodiscard]] std::string text(const Event& event);

class Log {
public:
    static constexpr std::size_t kKept = 64; // a power of two

    void add(EventKind kind, std::uint16_t queue, std::uint64_t a = 0, std::uint64_t b = 0) noexcept {
        events_[count_++ % kKept] = {kind, queue, step, a, b};
    }
    /// The last `most` events as text, oldest first.
    [[nodiscard]] std::vector<std::string> last(std::size_t most) const;
    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

    std::uint64_t step = 0; // the device's time, kept by whoever steps

private:
    std::array<Event, kKept> events_{};
    std::uint64_t count_ = 0;
};

} // namespace referee
