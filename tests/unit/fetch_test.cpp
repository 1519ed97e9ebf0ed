// What `fetch` and other commands take apart: addresses, parts of disks, answers of web servers.
#include "boot/images/appliance/http_reply.hpp"
#include "boot/images/appliance/operands.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>

using namespace appliance;

namespace {

/// The body of an answer fed in pieces of a size; "?" for nonsense, "..." at the end if it is not complete.
std::string body(const std::string& head, const std::string& data, std::size_t piece) {
    const auto reply = parse_reply(head);
    if (!reply) return "no reply";
    BodyReader reader(*reply);
    std::string result;
    for (std::size_t at = 0; at < data.size(); at += piece) {
        const std::string part = data.substr(at, piece);
        if (!reader.feed(part, [&](std::string_view text) { result += text; })) return "?";
    }
    if (!reader.complete()) result += "...";
    return result;
}

const std::string kChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

} // namespace

TEST_CASE("addresses") {
    const auto url = parse_url("http://10.0.2.2:8000/a/b?c#d");
    REQUIRE(url);
    CHECK(url->host == "10.0.2.2");
    CHECK(url->port == 8000);
    CHECK(url->target == "/a/b?c");
    CHECK(parse_url("HTTP://host")->target == "/");
    CHECK(parse_url("http://host")->port == 80);
    for (const char* bad :
         {"", "http://", "https://host/", "host/path", "http:///path", "http://host:0/", "http://host:65536/", "http://host:/",
          "http://user@host/", "http://ho st/", "http://host/a b", "http://host/\r\nX: y", "http://host:80:80/"})
        CHECK_MESSAGE(!parse_url(bad), bad);
}

TEST_CASE("parts of disks") {
    CHECK(parse_disk_part("disk:0")->disk == 0);
    CHECK(!parse_disk_part("disk:0")->first);
    CHECK(parse_disk_part("disk:12:5,6")->disk == 12);
    CHECK(parse_disk_part("disk:12:5,6")->first == 5);
    CHECK(parse_disk_part("disk:12:5,6")->count == 6);
    for (const char* bad : {"", "disk", "disk:", "disk:x", "disk:-1", "disk:1:", "disk:1:2", "disk:1:2,", "disk:1:,2", "disk:1:2,3,4",
                            "disk:1000", "disk:1:2,99999999999999999999", "index.html"})
        CHECK_MESSAGE(!parse_disk_part(bad), bad);
}

TEST_CASE("content types") {
    CHECK(content_type("a/b/index.HTML") == "text/html; charset=utf-8");
    CHECK(content_type("x.tar.gz") == "application/gzip");
    CHECK(content_type("a.html/b") == "application/octet-stream");
    CHECK(content_type("") == "application/octet-stream");
    CHECK(content_type(".png") == "image/png");
    CHECK(is_text("text/html; charset=utf-8"));
    CHECK(is_text("application/json"));
    CHECK(!is_text("image/png"));
    CHECK(!is_text(""));
}

TEST_CASE("heads of answers") {
    const auto reply = parse_reply("HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\ncontent-length: 12\r\n\r\n");
    REQUIRE(reply);
    CHECK(reply->status == 404);
    CHECK(reply->reason == "Not Found");
    CHECK(reply->type == "text/plain");
    CHECK(reply->length == 12);
    CHECK(parse_reply("HTTP/1.0 200\r\n\r\n")->status == 200);
    for (const char* bad :
         {"", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1200 OK\r\n\r\n", "SSH-2.0\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n"})
        CHECK_MESSAGE(!parse_reply(bad), bad);
}

TEST_CASE("bodies: by length, up to the end, in chunks cut anywhere, none") {
    for (std::size_t piece : {1u, 2u, 3u, 1000u}) {
        CHECK(body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "helloxyz", piece) == "hello");
        CHECK(body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "hel", piece) == "hel...");
        CHECK(body("HTTP/1.1 200 OK\r\n\r\n", "hello", piece) == "hello...");
        CHECK(body("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "hello", piece) == "");
        CHECK(body(kChunked, "5\r\nhello\r\n00A;x=y\r\n 0123456\r\n\r\n0\r\n\r\n", piece) == "hello 0123456\r\n");
        CHECK(body(kChunked, "5\nhello\n0\nTrailer: x\n\nrest", piece) == "hello");
        CHECK(body(kChunked, "5\r\nhel", piece) == "hel...");
        CHECK(body(kChunked, "x\r\n", piece) == "?");
        CHECK(body(kChunked, "5\r\nhelloX\r\n", piece) == "?");
        CHECK(body(kChunked, "1234567890abcdef0\r\n", piece) == "?");
        CHECK(body(kChunked, "5;" + std::string(9000, 'x'), piece) == "?");
        CHECK(body(kChunked, "0\r\n" + std::string(9000, 'x'), piece) == "?");
    }
}

TEST_CASE("any bytes as chunks") {
    std::mt19937 random(5);
    for (int i = 0; i < 3000; ++i) {
        std::string data;
        for (int j = 0; j < 40; ++j) data += "0123456789abcdef\r\n;x"[random() % 20];
        const std::string one = body(kChunked, data, 1), all = body(kChunked, data, 100);
        if (one != "?" && all != "?") CHECK(one == all);
        CHECK(one.size() <= data.size() + 3);
    }
}
