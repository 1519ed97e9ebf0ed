#include "kernel/firmware/command_line.hpp"

namespace kernel {
namespace {

constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// The next word, quotes still in it (a blank inside quotes does not end it), and what follows. An unclosed quote reaches to the end.
std::string_view take_word(std::string_view& text) noexcept {
    std::size_t begin = 0;
    while (begin < text.size() && is_blank(text[begin])) ++begin;
    char quote = 0;
    std::size_t end = begin;
    for (; end < text.size() && (quote != 0 || !is_blank(text[end])); ++end) {
        if (quote == 0 && (text[end] == '"' || text[end] == '\''))
            quote = text[end];
        else if (text[end] == quote)
            quote = 0;
    }
    const std::string_view word = text.substr(begin, end - begin);
    text.remove_prefix(end);
    return word;
}

/// Takes off one pair of quotes around the whole text.
std::string_view unquote(std::string_view text) noexcept {
    if (text.empty() || (text.front() != '"' && text.front() != '\'')) return text;
    const char quote = text.front();
    text.remove_prefix(1);
    if (!text.empty() && text.back() == quote) text.remove_suffix(1);
    return text;
}

constexpr int digit_value(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return 99;
}

} // namespace

bool is_appended(std::string_view word) noexcept { return word.starts_with("virtio_mmio.device="); }

void CommandLine::Iterator::next() noexcept {
    std::string_view word = take_word(rest_);
    while (!word.empty() && (word == "--" || (after_dashes_ && !is_appended(word)))) {
        after_dashes_ = true;
        word = take_word(rest_);
    }
    done_ = word.empty();
    if (done_) return;
    // "key=value with blanks" may be quoted as a whole or from the = on.
    const std::string_view bare = unquote(word);
    const std::size_t equals = bare.find('=');
    word_.has_value = equals != std::string_view::npos;
    word_.key = bare.substr(0, equals);
    word_.value = word_.has_value ? unquote(bare.substr(equals + 1)) : std::string_view{};
}

std::optional<std::string_view> CommandLine::value(std::string_view key) const noexcept {
    std::optional<std::string_view> found;
    for (const CommandLineWord& word : *this)
        if (word.key == key) found = word.value;
    return found;
}

std::string_view CommandLine::program_arguments() const noexcept {
    std::string_view rest = text_;
    for (;;) {
        const std::string_view word = take_word(rest);
        if (word.empty()) return {};
        if (word == "--") return rest;
    }
}

std::optional<std::string_view> next_argument(std::string_view& text) noexcept {
    const std::string_view word = take_word(text);
    if (word.empty()) return std::nullopt;
    return unquote(word);
}

std::optional<std::string_view> percent_decode(std::string_view text, std::span<char> out) noexcept {
    std::size_t length = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%') {
            if (text.size() - i < 3) return std::nullopt;
            const int high = digit_value(text[i + 1]), low = digit_value(text[i + 2]);
            if (high > 15 || low > 15) return std::nullopt;
            c = static_cast<char>(high << 4 | low);
            i += 2;
        }
        if (length == out.size()) return std::nullopt;
        out[length++] = c;
    }
    return std::string_view(out.data(), length);
}

std::optional<std::uint64_t> parse_number(std::string_view text) noexcept {
    std::uint64_t base = 10, number = 0;
    if (text.starts_with("0x") || text.starts_with("0X")) {
        base = 16;
        text.remove_prefix(2);
    }
    if (text.empty()) return std::nullopt;
    for (const char c : text) {
        const auto digit = static_cast<std::uint64_t>(digit_value(c));
        if (digit >= base || number > (~std::uint64_t{0} - digit) / base) return std::nullopt;
        number = number * base + digit;
    }
    return number;
}

} // namespace kernel
