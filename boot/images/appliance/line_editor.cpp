#include "boot/images/appliance/line_editor.hpp"

#include <algorithm>
#include <cstring>

namespace appliance {

namespace {

constexpr char control(char letter) { return static_cast<char>(letter - '@'); }
bool continues(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; } // inside a UTF-8 sequence

} // namespace

void LineEditor::begin(Output& screen, std::size_t columns) {
    // Some terminals say 0 for "unknown"; very narrow ones still get some characters.
    columns_ = columns == 0 ? 80 : std::max(columns, prompt_.size() + 8);
    length_ = cursor_ = scroll_ = age_ = 0;
    escape_ = Escape::none;
    screen.write(prompt_);
}

LineEditor::Event LineEditor::feed(char byte, Output& screen) {
    if (escape_ != Escape::none && byte != control('C')) {
        escape(byte, screen);
        return Event::none;
    }
    escape_ = Escape::none;
    const bool second_half = byte == '\n' && after_return_; // CR LF is one Enter
    after_return_ = byte == '\r';
    switch (byte) {
    case '\n':
        if (second_half) break;
        [[fallthrough]];
    case '\r':
        move(length_, screen);
        screen.write("\n");
        history_.add(line());
        return Event::line;
    case control('C'): screen.write("^C\n"); return Event::cancelled;
    case control('D'):
        if (length_ == 0) {
            screen.write("\n");
            return Event::end;
        }
        erase(cursor_, right(cursor_), screen);
        break;
    case control('['): escape_ = Escape::started; break;
    case control('A'): move(0, screen); break;
    case control('E'): move(length_, screen); break;
    case control('B'): move(left(cursor_), screen); break;
    case control('F'): move(right(cursor_), screen); break;
    case control('P'): browse(age_ + 1, screen); break;
    case control('N'): browse(age_ - 1, screen); break;
    case control('K'): erase(cursor_, length_, screen); break;
    case control('U'): erase(0, cursor_, screen); break;
    case control('W'): erase(word_left(), cursor_, screen); break;
    case control('L'):
        screen.write("\x1b[H\x1b[2J");
        draw(screen);
        break;
    case '\b':
    case 0x7f: erase(left(cursor_), cursor_, screen); break;
    case '\t': insert(' ', screen); break;
    default:
        if (static_cast<unsigned char>(byte) >= 0x20) insert(byte, screen);
    }
    return Event::none;
}

/// ESC [ parameters final, ESC O final, ESC letter. What is unknown is swallowed whole and does nothing.
void LineEditor::escape(char byte, Output& screen) {
    switch (escape_) {
    case Escape::started:
        parameter_ = parameters_ = 0;
        escape_ = byte == '[' ? Escape::bracket : byte == 'O' ? Escape::letter : Escape::none;
        if (byte == 'b') move(word_left(), screen);
        if (byte == 'f') move(word_right(), screen);
        break;
    case Escape::letter:
        escape_ = Escape::none;
        key(byte, 0, screen);
        break;
    default:
        if (byte >= '0' && byte <= '9') {
            parameter_ = std::min(parameter_ * 10 + static_cast<unsigned>(byte - '0'), 999u);
        } else if (byte == ';') {
            if (parameters_++ == 0) parameter_ = 0; // "1;5C": the last one says which modifier
        } else if (byte >= '@' && byte <= '~') {
            escape_ = Escape::none;
            key(byte, parameter_, screen);
        }
    }
}

void LineEditor::key(char final, unsigned number, Output& screen) {
    const bool with_control = number == 5;
    switch (final) {
    case 'A': browse(age_ + 1, screen); break;
    case 'B': browse(age_ - 1, screen); break;
    case 'C': move(with_control ? word_right() : right(cursor_), screen); break;
    case 'D': move(with_control ? word_left() : left(cursor_), screen); break;
    case 'H': move(0, screen); break;
    case 'F': move(length_, screen); break;
    case '~':
        if (number == 1 || number == 7) move(0, screen);
        if (number == 4 || number == 8) move(length_, screen);
        if (number == 3) erase(cursor_, right(cursor_), screen);
        break;
    default: break;
    }
}

void LineEditor::insert(char byte, Output& screen) {
    if (length_ == text_.size()) {
        screen.write("\a");
        return;
    }
    std::memmove(&text_[cursor_] + 1, &text_[cursor_], length_ - cursor_);
    text_[cursor_++] = byte;
    ++length_;
    // Typing at the end, with room to the right, needs no more than the character itself.
    if (cursor_ == length_ && prompt_.size() + width(scroll_, length_) < columns_)
        screen.write({&byte, 1});
    else if (!continues(byte))
        draw(screen);
}

void LineEditor::erase(std::size_t from, std::size_t to, Output& screen) {
    if (from == to) return;
    std::memmove(&text_[from], text_.data() + to, length_ - to);
    length_ -= to - from;
    cursor_ = from;
    draw(screen);
}

void LineEditor::replace(std::string_view text, Output& screen) {
    length_ = std::min(text.size(), text_.size());
    std::memcpy(text_.data(), text.data(), length_);
    cursor_ = length_;
    scroll_ = 0;
    draw(screen);
}

void LineEditor::browse(std::size_t age, Output& screen) {
    if (age > history_.size()) return; // age_ - 1 of 0 too
    if (age_ == 0) {
        draft_ = text_;
        draft_length_ = length_;
    }
    age_ = age;
    replace(age == 0 ? std::string_view(draft_.data(), draft_length_) : history_.back(age), screen);
}

void LineEditor::move(std::size_t to, Output& screen) {
    if (to == cursor_) return;
    cursor_ = to;
    draw(screen);
}

/// Draws the whole line anew: prompt, the part that fits, and the cursor in its place.
void LineEditor::draw(Output& screen) {
    const std::size_t room = columns_ - prompt_.size() - 1; // the cursor may stand behind the last character
    if (cursor_ < scroll_) scroll_ = cursor_;
    while (width(scroll_, cursor_) > room) scroll_ = right(scroll_);
    while (scroll_ > 0 && width(left(scroll_), length_) <= room) scroll_ = left(scroll_);
    std::size_t end = scroll_;
    while (end < length_ && width(scroll_, right(end)) <= room) end = right(end);
    screen.write("\r");
    screen.write(prompt_);
    screen.write(line().substr(scroll_, end - scroll_));
    screen.write("\x1b[K\r");
    screen.print("\x1b[%zuC", prompt_.size() + width(scroll_, cursor_));
}

std::size_t LineEditor::left(std::size_t from) const noexcept {
    if (from == 0) return 0;
    do --from;
    while (from > 0 && continues(text_[from]));
    return from;
}

std::size_t LineEditor::right(std::size_t from) const noexcept {
    if (from == length_) return from;
    do ++from;
    while (from < length_ && continues(text_[from]));
    return from;
}

std::size_t LineEditor::word_left() const noexcept {
    std::size_t at = cursor_;
    while (at > 0 && text_[at - 1] == ' ') --at;
    while (at > 0 && text_[at - 1] != ' ') --at;
    return at;
}

std::size_t LineEditor::word_right() const noexcept {
    std::size_t at = cursor_;
    while (at < length_ && text_[at] == ' ') ++at;
    while (at < length_ && text_[at] != ' ') ++at;
    return at;
}

/// In columns: each character counts as one.
std::size_t LineEditor::width(std::size_t from, std::size_t to) const noexcept {
    return static_cast<std::size_t>(std::count_if(text_.data() + from, text_.data() + to, [](char c) { return !continues(c); }));
}

} // namespace appliance
