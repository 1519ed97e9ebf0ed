// Requests as browsers send them, as attackers send them, and in pieces.
#include "boot/images/appliance/http_request.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>

using namespace appliance;
using enum HttpStatus;

namespace {

/// The status that a request is refused with, or ok.
HttpStatus verdict(const std::string& head) {
    const auto request = parse_request(head);
    return request ? ok : request.error();
}

const std::string kHost = "Host: a\r\n";

HttpStatus line(const std::string& first) { return verdict(first + "\r\n" + kHost + "\r\n"); }
HttpStatus field(const std::string& fields) { return verdict("GET / HTTP/1.1\r\n" + kHost + fields + "\r\n\r\n"); }

} // namespace

TEST_CASE("what a browser sends") {
    const std::string head = "GET /files/a%20b.txt?x=1 HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: Mozilla/5.0 (X11)\r\n"
                             "Accept: text/html,*/*;q=0.8\r\nConnection: keep-alive\r\n\r\n";
    CHECK(head_length(head + "GET") == head.size());
    const auto request = parse_request(head);
    REQUIRE(request);
    CHECK(request->method == HttpMethod::get);
    CHECK(request->target == "/files/a%20b.txt?x=1");
    CHECK(request->keep_alive);
    CHECK(request->body_bytes == 0);
    CHECK(!request->range);
    CHECK(parse_request("HEAD / HTTP/1.1\r\nHost:\r\n\r\n")->method == HttpMethod::head);
}

TEST_CASE("a head in pieces is not complete before its empty line") {
    const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (std::size_t length = 0; length < head.size(); ++length) CHECK(head_length(head.substr(0, length)) == 0);
    CHECK(head_length(head) == head.size());
    CHECK(head_length("GET / HTTP/1.1\nHost: a\n\nrest") == 24);
    CHECK(head_length("a\r\n\nb") == 4);
}

TEST_CASE("keep-alive by version and Connection") {
    CHECK(parse_request("GET / HTTP/1.1\r\nHost: a\r\n\r\n")->keep_alive);
    CHECK(!parse_request("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")->keep_alive);
    CHECK(!parse_request("GET / HTTP/1.1\r\nHost: a\r\nconnection: x, CLOSE\r\n\r\n")->keep_alive);
    CHECK(!parse_request("GET / HTTP/1.0\r\n\r\n")->keep_alive);
    CHECK(parse_request("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")->keep_alive);
}

TEST_CASE("request lines") {
    CHECK(line("GET / HTTP/1.1") == ok);
    CHECK(line("GET http://host/path HTTP/1.1") == ok);
    CHECK(parse_request("GET HTTP://host/path HTTP/1.1\r\nHost: a\r\n\r\n")->target == "/path");
    CHECK(parse_request("GET http://host HTTP/1.1\r\nHost: a\r\n\r\n")->target == "/");
    CHECK(line("POST / HTTP/1.1") == method_not_allowed);
    CHECK(line("DELETE /files/a HTTP/1.1") == method_not_allowed);
    CHECK(line("BREW / HTTP/1.1") == not_implemented);
    CHECK(line("get / HTTP/1.1") == not_implemented);
    CHECK(line("GET / HTTP/2.0") == version_not_supported);
    CHECK(line("GET / HTTP/1.7") == ok);
    CHECK(line("GET /" + std::string(kLongestTarget, 'a') + " HTTP/1.1") == uri_too_long);
    for (const char* bad : {"", "GET", "GET /", "GET / ", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", "GET / HTTP/11", "GET / HTTP/1.x",
                            "GET / FTP/1.1", " GET / HTTP/1.1", "GET x HTTP/1.1", "GET * HTTP/1.1", "G(T / HTTP/1.1", "GET /\x01 HTTP/1.1",
                            "GET /a\tb HTTP/1.", "GET / HTTP/1.1\rX: y"})
        CHECK_MESSAGE(line(bad) == bad_request, bad);
}

TEST_CASE("fields: what two parsers could read differently is refused") {
    CHECK(field("Accept: */*") == ok);
    CHECK(field("X-Empty:") == ok);
    CHECK(field("X-High: \xc3\xa9") == ok);
    CHECK(field("Content-Length: 5") == ok);
    CHECK(field("Content-Length: 5\r\nContent-Length: 5") == ok);
    CHECK(field("Content-Length: 5\r\nContent-Length: 6") == bad_request);
    CHECK(field("Content-Length: 5, 5") == bad_request);
    CHECK(field("Content-Length: +5") == bad_request);
    CHECK(field("Content-Length: -1") == bad_request);
    CHECK(field("Content-Length:") == bad_request);
    CHECK(field("Content-Length: 99999999999999999999") == bad_request);
    CHECK(field("Transfer-Encoding: chunked") == not_implemented);
    CHECK(field("Host: b") == bad_request);
    CHECK(field("Accept : */*") == bad_request);
    CHECK(field(" folded") == bad_request);
    CHECK(field("X: a\r\n b") == bad_request);
    CHECK(field("no colon") == bad_request);
    CHECK(field(": no name") == bad_request);
    CHECK(field("X: a\rb") == bad_request);
    CHECK(field(std::string("X: a\0b", 6)) == bad_request);
    CHECK(verdict("GET / HTTP/1.1\r\n\r\n") == bad_request); // no Host
    CHECK(verdict("GET / HTTP/1.0\r\n\r\n") == ok);
}

TEST_CASE("a head that is too long is noticed before it ends") {
    CHECK(!hopeless("GET / HTTP/1.1\r\n"));
    CHECK(hopeless("GET /" + std::string(3000, 'a')) == uri_too_long);
    CHECK(hopeless("GET / HTTP/1.1\r\nX: " + std::string(kLongestHead, 'a')) == head_too_large);
    CHECK(!hopeless("GET / HTTP/1.1\r\nX: " + std::string(kLongestHead - 100, 'a')));
}

TEST_CASE("ranges") {
    const auto extent = [](const std::string& value, std::uint64_t size) -> std::string {
        const std::string head = "GET / HTTP/1.1\r\nHost: a\r\nRange: " + value + "\r\n\r\n";
        const auto request = parse_request(head);
        REQUIRE(request);
        if (!request->range) return "whole";
        const auto part = resolve(*request->range, size);
        return part ? std::to_string(part->offset) + "+" + std::to_string(part->length) : "outside";
    };
    CHECK(extent("bytes=0-499", 1000) == "0+500");
    CHECK(extent("bytes=500-", 1000) == "500+500");
    CHECK(extent("bytes=-200", 1000) == "800+200");
    CHECK(extent("bytes=-2000", 1000) == "0+1000");
    CHECK(extent("bytes=999-2000", 1000) == "999+1");
    CHECK(extent("bytes=0-18446744073709551615", 1000) == "0+1000");
    CHECK(extent("bytes=1000-", 1000) == "outside");
    CHECK(extent("bytes=-0", 1000) == "outside");
    CHECK(extent("bytes=0-0", 0) == "outside");
    CHECK(extent("bytes=-5", 0) == "outside");
    CHECK(extent("bytes=5-4", 1000) == "whole");
    CHECK(extent("bytes=-", 1000) == "whole");
    CHECK(extent("bytes=0-1,5-6", 1000) == "whole");
    CHECK(extent("bytes=a-b", 1000) == "whole");
    CHECK(extent("lines=1-2", 1000) == "whole");
    CHECK(extent("bytes=99999999999999999999-", 1000) == "whole");
}

TEST_CASE("any bytes: an answer, and never a read outside") {
    std::mt19937 random(11);
    const std::string good = "GET /files/a HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\nConnection: close\r\nContent-Length: 3\r\n\r\n";
    int refused = 0;
    for (int i = 0; i < 20'000; ++i) {
        std::string head = good;
        for (unsigned changes = 1 + random() % 4; changes > 0; --changes) head[random() % head.size()] = static_cast<char>(random());
        head.resize(random() % 2 != 0 ? head.size() : random() % head.size());
        // A buffer of just this size: a sanitizer sees any step beyond it.
        const std::string exact(head.data(), head.size());
        (void)hopeless(exact);
        (void)head_length(exact);
        refused += verdict(exact) != ok ? 1 : 0;
    }
    CHECK(refused > 10'000);
}
