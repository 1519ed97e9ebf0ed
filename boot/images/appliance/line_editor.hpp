// Editing one line on a terminal in raw mode: cursor keys, Home, End, Delete, ^A ^E ^B ^F ^K ^U ^W ^L, history with up and down, UTF-8.
// A line longer than the terminal is wide scrolls sideways. Bytes in, bytes out; it waits for nothing and knows no terminal. One owner.
//
//     LineEditor editor("ringside> ");
//     editor.begin(screen, columns);                                   // prints the prompt
//     for (char byte : typed) if (editor.feed(byte, screen) == LineEditor::Event::line) run(editor.line());
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "boot/images/appliance/history.hpp"
#include "boot/images/appliance/text.hpp"

namespace appliance {

class LineEditor {
public:
    static constexpr std::size_t kLongest = 1000;

    enum class Event : std::uint8_t {
        none,
        line,      // Enter: line() is complete; then begin() again
        cancelled, // ^C
        end,       // ^D on an empty line
    };

    explicit constexpr LineEditor(std::string_view prompt) noexcept : prompt_(prompt) {}

    void begin(Output& screen, std::size_t columns);
    Event feed(char byte, Output& screen);
    [[nodiscard]] std::string_view line() const noexcept { return {text_.data(), length_}; }

private:
    void escape(char byte, Output& screen);
    void key(char final, unsigned number, Output& screen);
    void insert(char byte, Output& screen);
    void erase(std::size_t from, std::size_t to, Output& screen);
    void replace(std::string_view text, Output& screen);
    void browse(std::size_t age, Output& screen);
    void move(std::size_t to, Output& screen);
    void draw(Output& screen);

    [[nodiscard]] std::size_t left(std::size_t from) const noexcept;
    [[nodiscard]] std::size_t right(std::size_t from) const noexcept;
    [[nodiscard]] std::size_t word_left() const noexcept;
    [[nodiscard]] std::size_t word_right() const noexcept;
    [[nodiscard]] std::size_t width(std::size_t from, std::size_t to) const noexcept;

    enum class Escape : std::uint8_t { none, started, bracket, letter };

    std::string_view prompt_;
    History history_;
    std::array<char, kLongest> text_{};
    std::array<char, kLongest> draft_{}; // what was typed before the history was looked at
    std::size_t draft_length_ = 0;
    std::size_t length_ = 0;
    std::size_t cursor_ = 0; // in bytes
    std::size_t scroll_ = 0; // the first byte that is shown
    std::size_t columns_ = 80;
    std::size_t age_ = 0; // 0: the line being typed
    unsigned parameter_ = 0;
    unsigned parameters_ = 0;
    Escape escape_ = Escape::none;
    bool after_return_ = false;
};

} // namespace appliance
