// What a browser sends, taken apart: the head of an HTTP/1.x request (RFC 9112), strictly. Everything that two parsers could read
// differently is refused, so that nothing can be smuggled past one of them. Pure data, views into the caller's buffer; any task.
//
//     std::size_t length = head_length(received);                    // 0: not complete yet
//     auto request = parse_request(received.substr(0, length));
//     if (!request) answer(request.error());                         // 400, 405, 414, ...
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

namespace appliance {

enum class HttpStatus : std::uint16_t {
    ok = 200,
    partial_content = 206,
    moved_permanently = 301,
    bad_request = 400,
    not_found = 404,
    method_not_allowed = 405,
    request_timeout = 408,
    content_too_large = 413,
    uri_too_long = 414,
    range_not_satisfiable = 416,
    head_too_large = 431,
    internal_error = 500,
    not_implemented = 501,
    unavailable = 503,
    version_not_supported = 505,
};
/// "Not Found"
[[nodiscard]] const char* phrase(HttpStatus status) noexcept;

enum class HttpMethod : std::uint8_t { get, head };

/// A part of something: first and last byte, as in "bytes=0-499"; either may be missing, not both.
struct ByteRange {
    std::optional<std::uint64_t> first, last;
};

struct HttpRequest {
    HttpMethod method = HttpMethod::get;
    std::string_view target; // path and query as they were sent, not decoded
    bool keep_alive = true;
    std::uint64_t body_bytes = 0; // follow the head
    std::optional<ByteRange> range;
};

inline constexpr std::size_t kLongestTarget = 2048;
inline constexpr std::size_t kLongestHead = 8192;

/// How many bytes the head takes with the empty line at its end; 0 if that has not come yet.
[[nodiscard]] std::size_t head_length(std::string_view received) noexcept;
/// Why an unfinished head need not be waited for: it is too long already. Nothing if it may go on.
[[nodiscard]] std::optional<HttpStatus> hopeless(std::string_view received) noexcept;
[[nodiscard]] std::expected<HttpRequest, HttpStatus> parse_request(std::string_view head) noexcept;

/// The part of `size` bytes that a range names: offset and length; nothing if it lies outside.
struct Extent {
    std::uint64_t offset = 0, length = 0;
};
[[nodiscard]] std::optional<Extent> resolve(const ByteRange& range, std::uint64_t size) noexcept;

} // namespace appliance
