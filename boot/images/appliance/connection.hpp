// A TCP connection with deadlines, on plain BSD sockets: it never waits longer than it was told to, whatever the other side does.
// Owns its descriptor; one task at a time.
//
//     Connection peer(descriptor);
//     auto got = peer.read(buffer, milliseconds() + 10'000);
//     if (got.outcome == Connection::Outcome::done) peer.write(std::string_view(buffer.data(), got.bytes), 10'000);
//     peer.finish(1'000);                               // what was written arrives, even if not all was read
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace appliance {

/// Of the monotonic clock.
[[nodiscard]] std::int64_t milliseconds() noexcept;

class Connection {
public:
    enum class Outcome : std::uint8_t { done, closed, timeout };
    struct Received {
        Outcome outcome = Outcome::closed;
        std::size_t bytes = 0;
    };

    explicit Connection(int descriptor) noexcept;
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection();

    /// Waits until something has come (at least a byte), the other side has finished, or the deadline.
    [[nodiscard]] Received read(std::span<char> into, std::int64_t deadline_ms) noexcept;
    /// Writes all of it; gives up when nothing could be written for `stall_ms`.
    [[nodiscard]] Outcome write(std::string_view text, std::int64_t stall_ms) noexcept;

    /// Says that nothing more comes and waits, at most so long, until the other side has said the same. A connection that is closed
    /// with unread data in it is reset, and the answer is lost on its way.
    void finish(std::int64_t timeout_ms) noexcept;

private:
    [[nodiscard]] bool wait(short events, std::int64_t deadline_ms) noexcept;
    int descriptor_;
};

} // namespace appliance
