#include "boot/images/appliance/connection.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

namespace appliance {

namespace {

bool try_again(int error) noexcept { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

} // namespace

std::int64_t milliseconds() noexcept {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

Connection::Connection(int descriptor) noexcept : descriptor_(descriptor) {
    fcntl(descriptor_, F_SETFL, fcntl(descriptor_, F_GETFL, 0) | O_NONBLOCK);
    // Answers are written in large pieces: nothing is gained by waiting for more.
    const int on = 1;
    setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Connection::~Connection() { close(descriptor_); }

bool Connection::wait(short events, std::int64_t deadline_ms) noexcept {
    for (;;) {
        const std::int64_t left = std::clamp<std::int64_t>(deadline_ms - milliseconds(), 0, 1 << 30);
        pollfd asked{descriptor_, events, 0};
        const int ready = poll(&asked, 1, static_cast<int>(left));
        if (ready > 0) return true; // an error too: the next call tells which
        if (ready == 0 && milliseconds() >= deadline_ms) return false;
        if (ready < 0 && errno != EINTR) return true;
    }
}

Connection::Received Connection::read(std::span<char> into, std::int64_t deadline_ms) noexcept {
    for (;;) {
        const auto got = recv(descriptor_, into.data(), into.size(), 0);
        if (got > 0) return {Outcome::done, static_cast<std::size_t>(got)};
        if (got == 0 || !try_again(errno)) return {Outcome::closed, 0};
        if (!wait(POLLIN, deadline_ms)) return {Outcome::timeout, 0};
    }
}

Connection::Outcome Connection::write(std::string_view text, std::int64_t stall_ms) noexcept {
    while (!text.empty()) {
        const auto sent = send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
        if (sent > 0) {
            text.remove_prefix(static_cast<std::size_t>(sent));
        } else if (sent < 0 && !try_again(errno)) {
            return Outcome::closed;
        } else if (!wait(POLLOUT, milliseconds() + stall_ms)) {
            return Outcome::timeout;
        }
    }
    return Outcome::done;
}

void Connection::finish(std::int64_t timeout_ms) noexcept {
    constexpr std::size_t kMostDrained = 1 << 20; // who sends and sends is cut off
    if (shutdown(descriptor_, SHUT_WR) != 0) return;
    const std::int64_t deadline = milliseconds() + timeout_ms;
    std::array<char, 1024> scratch;
    for (std::size_t drained = 0; drained < kMostDrained;) {
        const Received got = read(scratch, deadline);
        if (got.outcome != Outcome::done) return;
        drained += got.bytes;
    }
}

} // namespace appliance
