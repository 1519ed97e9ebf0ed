// What a web server answers, taken apart, for the command `fetch`: the head, and a body by length, in chunks or up to the end. The
// server is not trusted: every length is checked, nothing is unbounded. Pure data; any task.
//
//     auto reply = parse_reply(head);
//     BodyReader body(*reply);
//     while (!body.complete()) body.feed(received, [](std::string_view piece) { ... });      // false: nonsense
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace appliance {

struct HttpReply {
    unsigned status = 0;
    std::string_view reason;   // "Not Found"
    std::string_view type;     // Content-Type
    std::string_view location; // of a redirection
    std::optional<std::uint64_t> length;
    bool chunked = false;

    /// Statuses whose answers have no body, whatever else they say (RFC 9112, 6.3).
    [[nodiscard]] bool bodiless() const noexcept { return status < 200 || status == 204 || status == 304; }
};

/// Nothing if it is not an HTTP/1.x answer.
[[nodiscard]] std::optional<HttpReply> parse_reply(std::string_view head) noexcept;

class BodyReader {
public:
    explicit BodyReader(const HttpReply& reply) noexcept
        : left_(reply.bodiless() ? 0
                : reply.chunked  ? 0
                                 : reply.length.value_or(std::numeric_limits<std::uint64_t>::max())),
          state_(reply.chunked && !reply.bodiless() ? State::size
                 : left_ == 0                       ? State::done
                                                    : State::data),
          chunked_(reply.chunked), known_(reply.chunked || reply.length || reply.bodiless()) {}

    /// Hands the body's bytes in `text` to use(); false if the chunks are malformed.
    template<class Use> [[nodiscard]] bool feed(std::string_view text, Use&& use) {
        while (!text.empty() && state_ != State::done) {
            if (state_ == State::data) {
                const std::string_view piece = text.substr(0, left_ < text.size() ? static_cast<std::size_t>(left_) : text.size());
                use(piece);
                text.remove_prefix(piece.size());
                left_ -= piece.size();
                if (left_ == 0) state_ = chunked_ ? State::after_data : State::done;
            } else {
                if (!step(text.front())) return false;
                text.remove_prefix(1);
            }
        }
        return true;
    }
    [[nodiscard]] bool complete() const noexcept { return state_ == State::done; }
    /// Whether the end of the connection may be the end of the body.
    [[nodiscard]] bool ends_with_connection() const noexcept { return !known_; }

private:
    enum class State : unsigned char { data, size, extension, after_data, trailer, done };
    [[nodiscard]] bool step(char byte) noexcept;

    std::uint64_t left_ = 0; // of the chunk, or of the whole
    std::size_t digits_ = 0;
    std::size_t line_ = 0; // characters of the trailer's line
    State state_ = State::done;
    bool chunked_ = false;
    bool known_ = false;
};

} // namespace appliance
