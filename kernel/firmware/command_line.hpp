// The kernel command line: words separated by blanks, key=value or bare keys, quotes "..." or '...' around blanks, repeated keys.
// Everything after a word "--" belongs to the program, but for what a monitor appends (virtio_mmio.device=). A view: nothing is copied
// but what quotes force (into the caller's buffer).
// Any context; the text lives for ever.
//
//     auto address = kernel::command_line_value("ip");                                    // the last one wins
//     for (auto word : kernel::command_line()) if (word.key == "virtio_mmio.device") ...  // repeated keys
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace kernel {

struct CommandLineWord {
    std::string_view key;
    std::string_view value; ///< without its outer quotes
    bool has_value = false; ///< "key=" has an empty one, "key" has none
};

class CommandLine {
public:
    constexpr explicit CommandLine(std::string_view text) noexcept : text_(text) {}

    class Iterator {
    public:
        using value_type = CommandLineWord;
        using difference_type = std::ptrdiff_t;
        constexpr Iterator() noexcept = default;
        explicit Iterator(std::string_view rest) noexcept : rest_(rest) { next(); }
        const CommandLineWord& operator*() const noexcept { return word_; }
        const CommandLineWord* operator->() const noexcept { return &word_; }
        Iterator& operator++() noexcept {
            next();
            return *this;
        }
        bool operator==(const Iterator& other) const noexcept {
            return done_ == other.done_ && (done_ || rest_.data() == other.rest_.data());
        }

    private:
        void next() noexcept;
        std::string_view rest_;
        CommandLineWord word_;
        bool done_ = true;
        bool after_dashes_ = false;
    };

    [[nodiscard]] Iterator begin() const noexcept { return Iterator(text_); }
    [[nodiscard]] Iterator end() const noexcept { return {}; }
    /// The last occurrence's value (an empty one for a bare key).
    [[nodiscard]] std::optional<std::string_view> value(std::string_view key) const noexcept;
    /// What stands behind the word "--", unparsed; empty without it.
    [[nodiscard]] std::string_view program_arguments() const noexcept;

private:
    std::string_view text_;
};

/// A word that a virtual machine monitor has appended (virtio_mmio.device=...): it is the kernel's even behind "--", and no argument.
[[nodiscard]] bool is_appended(std::string_view word) noexcept;

/// The machine's own command line.
[[nodiscard]] CommandLine command_line() noexcept;
[[nodiscard]] std::optional<std::string_view> command_line_value(std::string_view key) noexcept;

/// Decodes %41 to A. Returns what was written to `out`; nothing if it does not fit or a % is not followed by two hexadecimal digits.
[[nodiscard]] std::optional<std::string_view> percent_decode(std::string_view text, std::span<char> out) noexcept;

/// The next word of a program's arguments, without its outer quotes; advances `text`; nothing at the end.
[[nodiscard]] std::optional<std::string_view> next_argument(std::string_view& text) noexcept;

/// Unsigned number, decimal or 0x...; nothing if any character is not a digit or it overflows.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text) noexcept;

} // namespace kernel
