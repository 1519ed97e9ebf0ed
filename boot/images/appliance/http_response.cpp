#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "boot/images/appliance/http_server.hpp"
#include "boot/images/appliance/text.hpp"

namespace appliance {

bool Response::write(std::string_view text) {
    if (alive_ && connection_.write(text, stall_ms_) != Connection::Outcome::done) alive_ = false;
    if (alive_) bytes_ += text.size();
    return alive_;
}

bool Response::begin(HttpStatus status, std::string_view type, std::uint64_t length, std::string_view fields) {
    started_ = true;
    status_ = status;
    left_ = head_only_ ? 0 : length;
    Text head(4096);
    head.print("HTTP/1.1 %u %s\r\nServer: Ringside\r\nContent-Length: %llu\r\nContent-Type: ", static_cast<unsigned>(status),
               phrase(status), static_cast<unsigned long long>(length));
    head.write(type);
    head.write("\r\n");
    head.write(fields);
    head.write(keep_alive_ ? "\r\n" : "Connection: close\r\n\r\n");
    if (!head.complete()) alive_ = false;
    return write(head.view()) && left_ > 0;
}

bool Response::body(std::span<const std::byte> bytes) {
    // Never more than was promised: the client would take it for the next answer.
    const auto part = bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), left_)));
    if (!write({reinterpret_cast<const char*>(part.data()), part.size()})) return false;
    left_ -= part.size();
    return left_ > 0;
}

void Response::send(HttpStatus status, std::string_view type, std::string_view text, std::string_view fields) {
    if (begin(status, type, text.size(), fields)) (void)body(std::as_bytes(std::span(text)));
}

void Response::send_status(HttpStatus status, std::string_view fields) {
    Text page(512);
    page.print("<!doctype html>\n<title>%s</title>\n<h1>%u %s</h1>\n", phrase(status), static_cast<unsigned>(status), phrase(status));
    send(status, "text/html; charset=utf-8", page.view(), fields);
}

void Response::redirect(std::string_view where) {
    Text fields(4096);
    fields.write("Location: ");
    write_url(fields, where);
    fields.write("\r\n");
    send_status(HttpStatus::moved_permanently, fields.view());
}

} // namespace appliance
