#include "boot/images/appliance/http_reply.hpp"

#include <algorithm>

#include "boot/images/appliance/text.hpp"

namespace appliance {

namespace {

std::string_view take_line(std::string_view& text) noexcept {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

int hexadecimal(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

} // namespace

std::optional<HttpReply> parse_reply(std::string_view head) noexcept {
    const std::string_view first = take_line(head);
    // "HTTP/1.1 200 OK"
    if (!first.starts_with("HTTP/1.") || first.size() < 12 || first[8] != ' ') return {};
    const auto status = decimal(first.substr(9, 3));
    if (!status || *status < 100 || (first.size() > 12 && first[12] != ' ')) return {};
    HttpReply reply;
    reply.status = static_cast<unsigned>(*status);
    reply.reason = first.size() > 13 ? first.substr(13) : std::string_view();
    for (std::string_view line = take_line(head); !line.empty(); line = take_line(head)) {
        const std::size_t colon = line.find(':');
        if (colon == line.npos) return {};
        const std::string_view name = trimmed(line.substr(0, colon)), value = trimmed(line.substr(colon + 1));
        if (same_letters(name, "Content-Type")) reply.type = value;
        if (same_letters(name, "Location")) reply.location = value;
        if (same_letters(name, "Transfer-Encoding")) {
            if (!same_letters(value, "chunked")) return {};
            reply.chunked = true;
        }
        if (same_letters(name, "Content-Length")) {
            const auto length = decimal(value);
            if (!length || (reply.length && *reply.length != *length)) return {};
            reply.length = length;
        }
    }
    return reply;
}

/// One character between the data of two chunks.
bool BodyReader::step(char byte) noexcept {
    constexpr std::size_t kMostDigits = 15, kLongestLine = 8192;
    switch (state_) {
    case State::size:
        if (const int digit = hexadecimal(byte); digit >= 0) {
            left_ = left_ << 4 | static_cast<unsigned>(digit);
            return ++digits_ <= kMostDigits;
        }
        if (digits_ == 0) return false;
        state_ = State::extension;
        [[fallthrough]];
    case State::extension: // up to the line's end: nothing that is of use here
        if (++line_ > kLongestLine) return false;
        if (byte != '\n') return true;
        state_ = left_ == 0 ? State::trailer : State::data;
        digits_ = line_ = 0;
        return true;
    case State::after_data:
        if (byte == '\r' && line_ == 0) {
            ++line_;
            return true;
        }
        if (byte != '\n') return false;
        state_ = State::size;
        line_ = 0;
        return true;
    case State::trailer: // lines up to an empty one
        if (byte == '\r') return true;
        if (byte != '\n') return ++line_ <= kLongestLine;
        if (line_ == 0) state_ = State::done;
        line_ = 0;
        return true;
    default: return false;
    }
}

} // namespace appliance
