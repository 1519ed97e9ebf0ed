// The web server on real sockets of this computer, with threads for tasks: the same source that runs in the guest. Clients that are
// slow, rude, many or gone.
#include "boot/images/appliance/http_server.hpp"

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <chrono>
#include <memory>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "kernel/app.hpp"

using namespace appliance;
using namespace std::chrono_literals;

virtio::Result<> ringside::spawn_task(const char*, void (*entry)(void*), void* argument) {
    std::thread(entry, argument).detach();
    return {};
}

namespace {

constexpr std::size_t kBigBytes = 30'000'000; // beyond what the sockets' buffers hold
constexpr std::size_t kMediumBytes = 2'000'000;

struct TestSite final : Site {
    void answer(const HttpRequest& request, Response& response) override {
        if (request.target == "/big" || request.target == "/medium") {
            const std::vector<std::byte> piece(100'000, std::byte{'b'});
            if (!response.begin(HttpStatus::ok, "text/plain", request.target == "/big" ? kBigBytes : kMediumBytes)) return;
            while (response.body(piece)) {
            }
        } else if (request.target == "/short") { // a disk that fails half way
            if (response.begin(HttpStatus::ok, "text/plain", 100)) (void)response.body(std::as_bytes(std::span("12345", 5)));
        } else if (request.target == "/long") { // more bytes than promised
            if (response.begin(HttpStatus::ok, "text/plain", 3)) (void)response.body(std::as_bytes(std::span("12345", 5)));
        } else if (request.target == "/moved") {
            response.redirect("/a b/\r\nX: y");
        } else if (request.target != "/forgotten") {
            const std::string text = "you asked for " + std::string(request.target);
            response.send(HttpStatus::ok, "text/plain", text, "X-Test: 1\r\n");
        }
    }
};

HttpServer& started(HttpServer& server) {
    REQUIRE(server.start());
    return server;
}

/// For what must work however busy this computer is.
HttpServer& patient() {
    static TestSite site;
    static HttpServer server(site, {.port = 0, .connections = 24, .requests = 5, .finish_ms = 200, .body_bytes = 1000});
    static HttpServer& ready = started(server);
    return ready;
}

/// For what must end.
HttpServer& impatient() {
    static TestSite site;
    static HttpServer server(site, {.port = 0, .head_ms = 400, .idle_ms = 600, .stall_ms = 1000, .finish_ms = 200});
    static HttpServer& ready = started(server);
    return ready;
}

class Client {
public:
    explicit Client(HttpServer& server = patient()) {
        descriptor_ = socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(server.port());
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    }
    ~Client() { close(descriptor_); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    void say(const std::string& text) { (void)!send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL); }
    void get(const std::string& target, const std::string& fields = "") {
        say("GET " + target + " HTTP/1.1\r\nHost: t\r\n" + fields + "\r\n");
    }
    /// More bytes, or false at the end.
    bool more() {
        char buffer[65536];
        pollfd asked{descriptor_, POLLIN, 0};
        REQUIRE(poll(&asked, 1, 10'000) == 1);
        const auto got = recv(descriptor_, buffer, sizeof buffer, 0);
        if (got <= 0) return false;
        heard_.append(buffer, static_cast<std::size_t>(got));
        return true;
    }
    /// Everything until the server closes.
    std::string rest() {
        while (more()) {
        }
        return std::move(heard_);
    }
    /// One answer with a Content-Length; head and body.
    std::string answer(bool with_body = true) {
        std::size_t end;
        while ((end = heard_.find("\r\n\r\n")) == std::string::npos) {
            if (!more()) return std::move(heard_);
        }
        const std::size_t length = std::stoul(heard_.substr(heard_.find("Content-Length: ") + 16));
        const std::size_t whole = end + 4 + (with_body ? length : 0);
        while (heard_.size() < whole && more()) {
        }
        const std::string result = heard_.substr(0, whole);
        heard_.erase(0, whole);
        return result;
    }
    void shut() { shutdown(descriptor_, SHUT_WR); }

private:
    int descriptor_;
    std::string heard_;
};

std::string status(const std::string& answer) { return answer.substr(0, answer.find('\r')); }
std::string body(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }
bool says(const std::string& answer, const char* text) { return answer.find(text) != std::string::npos; }

} // namespace

TEST_CASE("several requests on one connection, then the limit of requests ends it") {
    Client client;
    for (int i = 1; i <= 5; ++i) {
        client.get("/" + std::to_string(i));
        const std::string answer = client.answer();
        CHECK(status(answer) == "HTTP/1.1 200 OK");
        CHECK(body(answer) == "you asked for /" + std::to_string(i));
        CHECK(says(answer, "X-Test: 1\r\n"));
        CHECK(says(answer, "Connection: close") == (i == 5));
    }
    CHECK(client.rest() == "");
}

TEST_CASE("pipelined requests are answered in order; a request may come byte by byte") {
    Client client;
    client.say(
        "\r\nGET /a HTTP/1.1\r\nHost: t\r\n\r\nGET /b HTTP/1.1\r\nHost: t\r\n\r\nGET /c HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    const std::string all = client.rest();
    CHECK(all.find("for /a") < all.find("for /b"));
    CHECK(all.find("for /b") < all.find("for /c"));
    CHECK(says(all, "for /c"));

    Client slow;
    for (char c : std::string_view("GET /slow HTTP/1.0\r\n\r\n")) {
        slow.say({&c, 1});
        std::this_thread::sleep_for(2ms);
    }
    CHECK(body(slow.rest()) == "you asked for /slow");
}

TEST_CASE("HEAD has the head of GET and no body, and the connection goes on") {
    Client client;
    client.say("HEAD /x HTTP/1.1\r\nHost: t\r\n\r\n");
    const std::string head = client.answer(false);
    CHECK(says(head, "Content-Length: 16\r\n"));
    client.get("/y");
    CHECK(body(client.answer()) == "you asked for /y");
}

TEST_CASE("refusals arrive, though the request was not read to its end") {
    const auto refusal = [](const std::string& request) {
        Client client;
        client.say(request);
        return status(client.rest());
    };
    CHECK(refusal("nonsense\r\n\r\n") == "HTTP/1.1 400 Bad Request");
    CHECK(refusal("GET / HTTP/1.1\r\n\r\n") == "HTTP/1.1 400 Bad Request");
    CHECK(refusal("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 500000\r\n\r\n" + std::string(500'000, 'x')) ==
          "HTTP/1.1 405 Method Not Allowed");
    CHECK(refusal("GET /" + std::string(100'000, 'a')) == "HTTP/1.1 414 URI Too Long");
    CHECK(refusal("GET / HTTP/1.1\r\nX: " + std::string(100'000, 'a')) == "HTTP/1.1 431 Request Header Fields Too Large");
    CHECK(refusal("GET / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n") == "HTTP/1.1 501 Not Implemented");
    CHECK(refusal("GET / HTTP/3.0\r\nHost: t\r\n\r\n") == "HTTP/1.1 505 HTTP Version Not Supported");
    CHECK(refusal("GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 1001\r\n\r\n") == "HTTP/1.1 413 Content Too Large");
    Client other;
    other.say("PUT / HTTP/1.1\r\nHost: t\r\n\r\n");
    CHECK(says(other.rest(), "Allow: GET, HEAD\r\n"));
}

TEST_CASE("a request's body is skipped, not taken for the next request") {
    Client client;
    client.get("/with", "Content-Length: 30\r\n");
    client.say("GET /evil HTTP/1.1\r\nHost: t\r\n\r");
    CHECK(body(client.answer()) == "you asked for /with");
    client.get("/after");
    CHECK(body(client.answer()) == "you asked for /after");
}

TEST_CASE("slow clients: a head that trickles, silence, an answer that nobody reads") {
    const auto begin = std::chrono::steady_clock::now();
    Client trickle(impatient());
    trickle.say("GET /");
    for (int i = 0; i < 8; ++i) {
        trickle.say("a");
        std::this_thread::sleep_for(100ms);
    }
    CHECK(status(trickle.rest()) == "HTTP/1.1 408 Request Timeout");
    Client silent(impatient());
    CHECK(silent.rest() == "");
    Client deaf(impatient());
    deaf.get("/big");
    const auto failed_from = impatient().counters().bytes.load();
    std::this_thread::sleep_for(2s);
    CHECK(deaf.rest().size() < kBigBytes);
    CHECK(impatient().counters().bytes.load() - failed_from < kBigBytes);
    CHECK(std::chrono::steady_clock::now() - begin < 30s);
}

TEST_CASE("a site that fails: half an answer ends the connection, too much is cut, none is 500") {
    Client half;
    half.get("/short");
    half.get("/next");
    CHECK(body(half.rest()) == "12345");
    Client much;
    much.get("/long");
    CHECK(body(much.answer()) == "123");
    much.get("/next");
    CHECK(body(much.answer()) == "you asked for /next");
    Client none;
    none.get("/forgotten");
    CHECK(status(none.answer()) == "HTTP/1.1 500 Internal Server Error");
}

TEST_CASE("a redirection cannot smuggle a line into the head") {
    Client client;
    client.get("/moved");
    const std::string answer = client.answer();
    CHECK(says(answer, "Location: /a%20b/%0D%0AX%3A%20y\r\n"));
    CHECK(!says(answer, "\nX:"));
}

TEST_CASE("a client that leaves in the middle harms nobody") {
    for (int i = 0; i < 20; ++i) {
        Client rude;
        rude.get("/big");
        (void)rude.more();
    }
    Client client;
    client.get("/still");
    CHECK(body(client.answer()) == "you asked for /still");
}

TEST_CASE("twenty at once, each with a large answer") {
    std::this_thread::sleep_for(1500ms); // those who left
    std::vector<std::thread> threads;
    std::atomic<int> whole{0};
    for (int i = 0; i < 20; ++i) {
        threads.emplace_back([&] {
            Client client;
            client.get("/medium");
            const std::string answer = client.answer();
            whole += body(answer) == std::string(kMediumBytes, 'b') ? 1 : 0;
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(whole == 20);
}

TEST_CASE("too many at once are told to come back, and far too many are closed") {
    std::this_thread::sleep_for(1500ms);
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 24; ++i) clients.push_back(std::make_unique<Client>());
    std::this_thread::sleep_for(200ms);
    Client late;
    late.get("/");
    const std::string answer = late.rest();
    CHECK(status(answer) == "HTTP/1.1 503 Service Unavailable");
    CHECK(says(answer, "Retry-After: "));
    clients.clear();
    std::this_thread::sleep_for(300ms);
    Client again;
    again.get("/again");
    CHECK(body(again.answer()) == "you asked for /again");
}
