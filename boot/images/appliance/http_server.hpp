// A web server on plain BSD sockets: a task for each connection, keep-alive, pipelining, and limits on everything that a client can
// make large, long or slow. What it serves is a Site's business. The server lives for ever.
//
//     static HttpServer server(site, {.port = 80});
//     if (auto started = server.start(); !started) ...                       // address_in_use, out_of_memory, no network
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "boot/images/appliance/connection.hpp"
#include "boot/images/appliance/http_request.hpp"
#include "libvirtio/base.hpp"

namespace appliance {

/// Writes one answer. A Site calls send() once, or begin() once and then body() until all bytes that were promised are written.
class Response {
public:
    Response(Connection& connection, const HttpRequest& request, bool keep_alive, std::int64_t stall_ms) noexcept
        : connection_(connection), head_only_(request.method == HttpMethod::head), keep_alive_(keep_alive), stall_ms_(stall_ms) {}

    /// The whole answer. `fields`: further lines of the head, each with CR LF at its end.
    void send(HttpStatus status, std::string_view type, std::string_view body, std::string_view fields = {});
    /// A short page that says what happened.
    void send_status(HttpStatus status, std::string_view fields = {});
    /// A moved page.
    void redirect(std::string_view where);

    /// The head of an answer of `length` bytes; true if the bytes are wanted (not for HEAD, not when the other side is gone).
    [[nodiscard]] bool begin(HttpStatus status, std::string_view type, std::uint64_t length, std::string_view fields = {});
    /// The next bytes; false if nobody takes them any more.
    [[nodiscard]] bool body(std::span<const std::byte> bytes);

    /// Whether another answer may follow on the same connection: everything that was promised has been written.
    [[nodiscard]] bool reusable() const noexcept { return keep_alive_ && started_ && alive_ && left_ == 0; }
    [[nodiscard]] bool started() const noexcept { return started_; }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] HttpStatus status() const noexcept { return status_; }

private:
    bool write(std::string_view text);

    Connection& connection_;
    bool head_only_;
    bool keep_alive_;
    bool started_ = false;
    bool alive_ = true;
    HttpStatus status_ = HttpStatus::internal_error;
    std::int64_t stall_ms_;
    std::uint64_t left_ = 0;
    std::uint64_t bytes_ = 0;
};

class Site {
public:
    /// Called by the tasks of several connections; may wait.
    virtual void answer(const HttpRequest& request, Response& response) = 0;

protected:
    ~Site() = default;
};

struct HttpOptions {
    std::uint16_t port = 80;
    unsigned connections = 48;            // served at once; as many again are told to come back later
    unsigned requests = 1000;             // on one connection
    std::int64_t head_ms = 10'000;        // for a request's head, from its first byte to its last
    std::int64_t idle_ms = 15'000;        // between requests
    std::int64_t stall_ms = 20'000;       // without taking a byte of the answer
    std::int64_t finish_ms = 2'000;       // to read the answer before the connection is closed
    std::uint64_t body_bytes = 64 * 1024; // of a request; nobody here has a use for them
};

struct HttpCounters {
    std::atomic<std::uint64_t> connections{0}, refused{0}, requests{0}, failed{0}, bytes{0};
    std::atomic<unsigned> open{0};
};

class HttpServer {
public:
    constexpr HttpServer(Site& site, const HttpOptions& options) noexcept : site_(site), options_(options) {}

    /// Errors: address_in_use, out_of_memory, not_started (no network).
    [[nodiscard]] virtio::Result<> start();
    /// Where it listens: of use where port 0 was asked for.
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] const HttpCounters& counters() const noexcept { return counters_; }

private:
    struct Visit; // one connection: http_server.cpp

    void accept_connections();
    void serve(Visit& visit);
    [[nodiscard]] bool serve_one(Visit& visit, unsigned number);
    [[nodiscard]] std::optional<HttpStatus> receive_head(Visit& visit);
    [[nodiscard]] bool skip_body(Visit& visit, std::uint64_t bytes);
    void refuse(Visit& visit, HttpStatus status);

    Site& site_;
    HttpOptions options_;
    HttpCounters counters_;
    int listener_ = -1;
    std::uint16_t port_ = 0;
};

} // namespace appliance
