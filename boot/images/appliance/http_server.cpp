#include "boot/images/appliance/http_server.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <netinet/in.h>
#include <new>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel/app.hpp"

namespace appliance {

using virtio::Error;

struct HttpServer::Visit {
    Visit(HttpServer& of, int descriptor, bool welcome) noexcept : server(of), connection(descriptor), served(welcome) {}

    HttpServer& server;
    Connection connection;
    bool served; // false: told to come back later
    std::array<char, kLongestHead> received;
    std::size_t length = 0;
    std::size_t head = 0; // bytes of `received` that belong to the request being answered

    [[nodiscard]] std::string_view text() const noexcept { return {received.data(), length}; }
    void consume(std::size_t bytes) noexcept {
        std::memmove(received.data(), received.data() + bytes, length - bytes);
        length -= bytes;
    }
};

virtio::Result<> HttpServer::start() {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    if (listener_ < 0) return virtio::fail(Error::not_started);
    const int on = 1;
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(options_.port);
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    socklen_t size = sizeof address;
    if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), size) != 0 || listen(listener_, SOMAXCONN) != 0 ||
        getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        close(listener_);
        return virtio::fail(Error::address_in_use);
    }
    port_ = ntohs(address.sin_port);
    return ringside::spawn("http", [this] { accept_connections(); });
}

void HttpServer::accept_connections() {
    for (;;) {
        const int descriptor = accept(listener_, nullptr, nullptr);
        if (descriptor < 0) {
            // Out of descriptors or memory: somebody has to leave first.
            usleep(20'000);
            continue;
        }
        const unsigned open = counters_.open.fetch_add(1) + 1;
        std::unique_ptr<Visit> visit;
        if (open <= 2 * options_.connections) visit.reset(new (std::nothrow) Visit(*this, descriptor, open <= options_.connections));
        if (visit == nullptr) {
            close(descriptor);
            counters_.open.fetch_sub(1);
            counters_.refused.fetch_add(1);
            continue;
        }
        const auto started = ringside::spawn("http", [guest = std::move(visit)] {
            guest->server.serve(*guest);
            guest->server.counters_.open.fetch_sub(1);
        });
        if (!started) counters_.open.fetch_sub(1);
    }
}

void HttpServer::serve(Visit& visit) {
    (visit.served ? counters_.connections : counters_.refused).fetch_add(1);
    for (unsigned number = 1; serve_one(visit, number); ++number) {
    }
    visit.connection.finish(options_.finish_ms);
}

/// One request and its answer; false if the connection ends here.
bool HttpServer::serve_one(Visit& visit, unsigned number) {
    if (const auto problem = receive_head(visit); problem) {
        // Nobody there, or nothing asked: nothing to answer.
        if (visit.length > 0) refuse(visit, *problem);
        return false;
    }
    const auto request = parse_request(visit.text().substr(0, visit.head));
    if (!request || !visit.served) {
        refuse(visit, request ? HttpStatus::unavailable : request.error());
        return false;
    }
    if (request->body_bytes > options_.body_bytes) {
        refuse(visit, HttpStatus::content_too_large);
        return false;
    }
    const bool more = request->keep_alive && number < options_.requests;
    Response response(visit.connection, *request, more, options_.stall_ms);
    site_.answer(*request, response);
    if (!response.started()) response.send_status(HttpStatus::internal_error);
    counters_.requests.fetch_add(1);
    counters_.bytes.fetch_add(response.bytes());
    if (static_cast<unsigned>(response.status()) >= 400) counters_.failed.fetch_add(1);
    const std::uint64_t body = request->body_bytes;
    visit.consume(visit.head); // the request's views are dead from here on
    return response.reusable() && skip_body(visit, body);
}

/// Fills `received` until it starts with a whole head; or what to answer instead.
std::optional<HttpStatus> HttpServer::receive_head(Visit& visit) {
    const std::int64_t begin = milliseconds();
    std::int64_t deadline = begin + (visit.length > 0 ? options_.head_ms : options_.idle_ms);
    for (;;) {
        // Empty lines before a request are to be ignored (RFC 9112, 2.2).
        while (visit.text().starts_with("\r\n")) visit.consume(2);
        visit.head = head_length(visit.text());
        if (visit.head > 0) return {};
        if (const auto problem = hopeless(visit.text()); problem) return problem;
        const bool first = visit.length == 0;
        const auto got = visit.connection.read(std::span(visit.received).subspan(visit.length), deadline);
        if (got.outcome == Connection::Outcome::timeout) return HttpStatus::request_timeout;
        if (got.outcome == Connection::Outcome::closed) return HttpStatus::bad_request;
        visit.length += got.bytes;
        // A client that sends a byte now and then gets no more time for it.
        if (first) deadline = milliseconds() + options_.head_ms;
    }
}

bool HttpServer::skip_body(Visit& visit, std::uint64_t bytes) {
    const auto held = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, visit.length));
    visit.consume(held);
    bytes -= held;
    const std::int64_t deadline = milliseconds() + options_.head_ms;
    while (bytes > 0) {
        const auto room = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, visit.received.size()));
        const auto got = visit.connection.read(std::span(visit.received).first(room), deadline);
        if (got.outcome != Connection::Outcome::done) return false;
        bytes -= got.bytes;
    }
    return true;
}

void HttpServer::refuse(Visit& visit, HttpStatus status) {
    Response response(visit.connection, HttpRequest{}, false, options_.stall_ms);
    switch (status) {
    case HttpStatus::method_not_allowed: response.send_status(status, "Allow: GET, HEAD\r\n"); break;
    case HttpStatus::unavailable: response.send_status(status, "Retry-After: 2\r\n"); break;
    default: response.send_status(status);
    }
    counters_.requests.fetch_add(1);
    counters_.failed.fetch_add(1);
    counters_.bytes.fetch_add(response.bytes());
}

} // namespace appliance
