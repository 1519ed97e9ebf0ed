// Cutting a command line into commands and words: ';' separates commands, blanks separate words, quotes and backslashes keep both.
// Pure data in the caller's buffers; any task.
//
//     CommandSplitter splitter(line);
//     Words words;
//     while (auto problem = splitter.next(words)) ...           // words.list() is one command
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace appliance {

/// The words of one command, with their text.
class Words {
public:
    static constexpr std::size_t kMostWords = 32;
    static constexpr std::size_t kMostBytes = 4096;

    [[nodiscard]] std::span<const std::string_view> list() const noexcept { return std::span(words_).first(count_); }

private:
    friend class CommandSplitter;
    std::array<std::string_view, kMostWords> words_{};
    std::array<char, kMostBytes> text_{};
    std::size_t count_ = 0;
    std::size_t used_ = 0;
};

enum class SplitResult : std::uint8_t { command, end, unclosed_quote, too_long };

class CommandSplitter {
public:
    explicit CommandSplitter(std::string_view line) noexcept : rest_(line) {}

    /// The next command that is not empty. After an error nothing more comes.
    [[nodiscard]] SplitResult next(Words& words) noexcept;

private:
    [[nodiscard]] SplitResult word(Words& words) noexcept;
    std::string_view rest_;
};

} // namespace appliance
