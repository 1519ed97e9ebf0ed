#include "boot/images/appliance/http_request.hpp"

#include <algorithm>
#include <array>

#include "boot/images/appliance/text.hpp"

namespace appliance {

namespace {

using enum HttpStatus;

/// RFC 9110, 5.6.2: what names of methods and fields are made of.
bool token(std::string_view text) noexcept {
    static constexpr std::string_view kExtra = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || kExtra.find(c) != kExtra.npos;
    });
}

/// Up to the next line's end, which is taken away: CR LF, or LF alone as RFC 9112, 2.2 allows.
std::string_view take_line(std::string_view& text) noexcept {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

std::string_view take_word(std::string_view& line) noexcept {
    const std::size_t end = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    return word;
}

/// Calls use(item) for each item of a list such as "keep-alive, Upgrade".
template<class Use> void each_item(std::string_view list, Use use) {
    while (!list.empty()) {
        const std::size_t comma = std::min(list.find(','), list.size());
        use(trimmed(list.substr(0, comma)));
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
}

/// One "bytes=first-last"; several ranges, and what cannot be read, are ignored: the answer is then the whole (RFC 9110, 14.2).
std::optional<ByteRange> parse_range(std::string_view value) noexcept {
    constexpr std::string_view kUnit = "bytes=";
    if (value.size() < kUnit.size() || !same_letters(value.substr(0, kUnit.size()), kUnit)) return {};
    value = trimmed(value.substr(kUnit.size()));
    const std::size_t dash = value.find('-');
    if (dash == value.npos || value.find(',') != value.npos) return {};
    const std::string_view first = value.substr(0, dash), last = value.substr(dash + 1);
    ByteRange range{decimal(first), decimal(last)};
    if ((!range.first && !first.empty()) || (!range.last && !last.empty()) || (!range.first && !range.last)) return {};
    if (range.first && range.last && *range.last < *range.first) return {};
    return range;
}

/// The request line; the minor version goes to `minor`.
std::expected<HttpRequest, HttpStatus> parse_request_line(std::string_view line, unsigned& minor) noexcept {
    const std::string_view method = take_word(line);
    std::string_view target = take_word(line);
    if (!token(method) || target.empty()) return std::unexpected(bad_request);
    if (!line.starts_with("HTTP/") || line.size() != 8 || line[6] != '.' || !decimal(line.substr(5, 1)) || !decimal(line.substr(7)))
        return std::unexpected(bad_request);
    if (line[5] != '1') return std::unexpected(version_not_supported);
    minor = static_cast<unsigned>(line[7] - '0');
    if (target.size() > kLongestTarget) return std::unexpected(uri_too_long);

    HttpRequest request;
    if (method == "HEAD") {
        request.method = HttpMethod::head;
    } else if (method != "GET") {
        constexpr std::array<std::string_view, 7> kKnown{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"};
        return std::unexpected(std::ranges::find(kKnown, method) != kKnown.end() ? method_not_allowed : not_implemented);
    }
    // As a proxy would be asked (RFC 9112, 3.2.2): every server has to understand it.
    if (target.size() > 7 && same_letters(target.substr(0, 7), "http://")) {
        const std::size_t slash = target.find('/', 7);
        target = slash == target.npos ? std::string_view("/") : target.substr(slash);
    }
    if (!target.starts_with('/')) return std::unexpected(bad_request);
    request.target = target;
    return request;
}

} // namespace

const char* phrase(HttpStatus status) noexcept {
    switch (status) {
    case ok: return "OK";
    case partial_content: return "Partial Content";
    case moved_permanently: return "Moved Permanently";
    case bad_request: return "Bad Request";
    case not_found: return "Not Found";
    case method_not_allowed: return "Method Not Allowed";
    case request_timeout: return "Request Timeout";
    case content_too_large: return "Content Too Large";
    case uri_too_long: return "URI Too Long";
    case range_not_satisfiable: return "Range Not Satisfiable";
    case head_too_large: return "Request Header Fields Too Large";
    case internal_error: return "Internal Server Error";
    case not_implemented: return "Not Implemented";
    case unavailable: return "Service Unavailable";
    case version_not_supported: return "HTTP Version Not Supported";
    }
    return "Unknown";
}

std::size_t head_length(std::string_view received) noexcept {
    for (std::size_t end = received.find('\n'); end != received.npos; end = received.find('\n', end + 1)) {
        const std::string_view rest = received.substr(end + 1);
        if (rest.starts_with("\r\n")) return end + 3;
        if (rest.starts_with('\n')) return end + 2;
    }
    return 0;
}

std::optional<HttpStatus> hopeless(std::string_view received) noexcept {
    // A method, a target and a version: a first line that is longer is a target that is longer.
    if (std::min(received.find('\n'), received.size()) > kLongestTarget + 32) return uri_too_long;
    if (received.size() >= kLongestHead) return head_too_large;
    return {};
}

std::expected<HttpRequest, HttpStatus> parse_request(std::string_view head) noexcept {
    // Control characters have no business here, and a carriage return alone is read as a line's end by some.
    for (std::size_t i = 0; i < head.size(); ++i) {
        const auto code = static_cast<unsigned char>(head[i]);
        if (head[i] == '\r' && i + 1 < head.size() && head[i + 1] == '\n') continue;
        if ((code < 0x20 && head[i] != '\n' && head[i] != '\t') || code == 0x7f) return std::unexpected(bad_request);
    }
    unsigned minor = 1;
    auto request = parse_request_line(take_line(head), minor);
    if (!request) return request;
    request->keep_alive = minor >= 1;
    unsigned hosts = 0;
    std::optional<std::uint64_t> length;
    for (std::string_view line = take_line(head); !line.empty(); line = take_line(head)) {
        const std::size_t colon = line.find(':');
        // A blank before the colon, or at the start of a line, is forbidden (RFC 9112, 5): no token has one.
        if (colon == line.npos || !token(line.substr(0, colon))) return std::unexpected(bad_request);
        const std::string_view name = line.substr(0, colon), value = trimmed(line.substr(colon + 1));
        if (same_letters(name, "Host")) {
            ++hosts;
        } else if (same_letters(name, "Connection")) {
            each_item(value, [&](std::string_view item) {
                if (same_letters(item, "close")) request->keep_alive = false;
                if (same_letters(item, "keep-alive") && minor == 0) request->keep_alive = true;
            });
        } else if (same_letters(name, "Content-Length")) {
            const auto bytes = decimal(value);
            if (!bytes || (length && *length != *bytes)) return std::unexpected(bad_request);
            length = bytes;
        } else if (same_letters(name, "Transfer-Encoding")) {
            return std::unexpected(not_implemented);
        } else if (same_letters(name, "Range")) {
            request->range = parse_range(value);
        }
    }
    if (hosts > 1 || (hosts == 0 && minor >= 1)) return std::unexpected(bad_request); // RFC 9112, 3.2
    request->body_bytes = length.value_or(0);
    return request;
}

std::optional<Extent> resolve(const ByteRange& range, std::uint64_t size) noexcept {
    if (!range.first) { // the last so many bytes
        const std::uint64_t length = std::min(range.last.value_or(0), size);
        return length == 0 ? std::nullopt : std::optional(Extent{size - length, length});
    }
    if (*range.first >= size) return {};
    const std::uint64_t last = std::min(range.last.value_or(size - 1), size - 1);
    return Extent{*range.first, last - *range.first + 1};
}

} // namespace appliance
