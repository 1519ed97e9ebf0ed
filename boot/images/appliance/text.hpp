// Where commands and pages write their text, and the small words of text that they share. An Output belongs to its caller; task
// context. Text collects into memory of its own, up to a limit, and remembers a failure instead of reporting each one.
//
//     Text page(64 * 1024);
//     page.print("%s: %llu\n", name, count);
//     if (page.complete()) send(page.view());
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace appliance {

class Output {
public:
    virtual void write(std::string_view text) = 0;
    /// As printf; at most kPrintMax characters at a time, the rest is cut.
    [[gnu::format(printf, 2, 3)]] void print(const char* format, ...);
    static constexpr std::size_t kPrintMax = 511;

protected:
    ~Output() = default;
};

class Text final : public Output {
public:
    explicit Text(std::size_t limit) noexcept : limit_(limit) {}
    Text(const Text&) = delete;
    Text& operator=(const Text&) = delete;
    ~Text();

    void write(std::string_view text) override;
    [[nodiscard]] std::string_view view() const noexcept { return {data_, length_}; }
    /// False if something did not fit or memory ran out.
    [[nodiscard]] bool complete() const noexcept { return complete_; }

private:
    char* data_ = nullptr;
    std::size_t length_ = 0;
    std::size_t capacity_ = 0;
    std::size_t limit_;
    bool complete_ = true;
};

/// "1.5 MiB", "512 bytes": for people.
struct ByteCount {
    explicit ByteCount(std::uint64_t bytes) noexcept;
    [[nodiscard]] const char* c_str() const noexcept { return text_.data(); }

private:
    std::array<char, 24> text_{};
};

/// "2 days 03:04:05", "03:04:05".
struct Duration {
    explicit Duration(std::uint64_t nanoseconds) noexcept;
    [[nodiscard]] const char* c_str() const noexcept { return text_.data(); }

private:
    std::array<char, 40> text_{};
};

/// "2026-11-22 15:00:00 UTC" from nanoseconds since 1970.
struct Date {
    explicit Date(std::int64_t unix_ns) noexcept;
    [[nodiscard]] const char* c_str() const noexcept { return text_.data(); }

private:
    std::array<char, 40> text_{};
};

/// The front of a text for a message: printable, and with an end that printf can see.
struct Shown {
    explicit Shown(std::string_view text) noexcept;
    [[nodiscard]] const char* c_str() const noexcept { return text_.data(); }

private:
    std::array<char, 128> text_{};
};

/// The text with & < > " ' written as references, so that it is text in HTML wherever it stands.
void write_html(Output& output, std::string_view text);
/// The text as a part of a URL's path: everything but unreserved characters and slashes becomes %XX (RFC 3986).
void write_url(Output& output, std::string_view text);
/// Control characters as dots: what a device calls itself must not move the cursor.
void write_printable(Output& output, std::string_view text);

/// Equal but for the case of ASCII letters.
[[nodiscard]] bool same_letters(std::string_view a, std::string_view b) noexcept;
/// Without blanks and tabs at both ends.
[[nodiscard]] std::string_view trimmed(std::string_view text) noexcept;
/// A decimal number of digits only; nothing if there is anything else or it overflows.
[[nodiscard]] std::optional<std::uint64_t> decimal(std::string_view text) noexcept;

} // namespace appliance
