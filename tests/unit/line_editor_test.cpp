// The line editor, watched through a small terminal that understands what it prints.
#include "boot/images/appliance/line_editor.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <random>
#include <string>

using namespace appliance;
using Event = LineEditor::Event;

namespace {

/// One row: printable characters, carriage return, "erase to the end", "cursor right".
struct Terminal final : Output {
    std::u32string row;
    std::size_t column = 0;
    std::size_t columns;
    std::string pending;
    int bells = 0;

    explicit Terminal(std::size_t width) : columns(width) {}

    void write(std::string_view text) override {
        pending += text;
        while (!pending.empty() && take()) {
        }
    }
    bool take() {
        const auto byte = static_cast<unsigned char>(pending[0]);
        std::size_t length = 1;
        if (byte == 0x1b) {
            const std::size_t end = pending.find_first_of("ABCDHJKm", 2);
            if (end == std::string::npos) return false;
            length = end + 1;
            if (pending[end] == 'K') row.resize(std::min(row.size(), column));
            if (pending[end] == 'C') column += static_cast<std::size_t>(std::stoul(pending.substr(2, end - 2)));
            if (pending[end] == 'J') row.clear();
            REQUIRE(column < columns);
        } else if (byte == '\r') {
            column = 0;
        } else if (byte == '\n') {
            row.clear();
            column = 0;
        } else if (byte == '\a') {
            ++bells;
        } else {
            length = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
            if (pending.size() < length) return false;
            REQUIRE(column < columns); // it must never wrap
            if (row.size() <= column) row.resize(column + 1, U' ');
            row[column++] = byte < 0x80 ? static_cast<char32_t>(byte) : U'?';
        }
        pending.erase(0, length);
        return true;
    }
    std::string shown() const { return {row.begin(), row.end()}; }
};

struct Fixture {
    Terminal terminal;
    std::unique_ptr<LineEditor> editor = std::make_unique<LineEditor>("> ");
    Event event = Event::none;

    explicit Fixture(std::size_t columns = 80) : terminal(columns) { editor->begin(terminal, columns); }
    void type(std::string_view keys) {
        for (char key : keys) {
            const Event happened = editor->feed(key, terminal);
            if (happened != Event::none) event = happened;
        }
    }
    std::string enter(std::string_view keys) {
        type(keys);
        type("\r");
        REQUIRE(event == Event::line);
        const std::string line(editor->line());
        editor->begin(terminal, terminal.columns);
        return line;
    }
};

const std::string kUp = "\x1b[A", kDown = "\x1b[B", kRight = "\x1b[C", kLeft = "\x1b[D", kHome = "\x1b[H", kEnd = "\x1b[F";

} // namespace

TEST_CASE("typing, moving, inserting, deleting") {
    Fixture f;
    CHECK(f.enter("ls docs") == "ls docs");
    CHECK(f.enter("ls docs" + kHome + "x") == "xls docs");
    CHECK(f.enter("ls" + kHome + kEnd + "!") == "ls!");
    CHECK(f.enter("abc" + kLeft + kLeft + "X") == "aXbc");
    CHECK(f.enter("abc" + kLeft + kLeft + kLeft + kLeft + kRight + "X") == "aXbc");
    CHECK(f.enter("abc\x7f\x7fX") == "aX");
    CHECK(f.enter("abc" + kLeft + "\b") == "ac");
    CHECK(f.enter("\x7f\b") == "");
    CHECK(f.enter("abc\x01X\x05Y") == "XabcY");
    CHECK(f.enter("abc\x02\x02\x06X") == "abXc");
    CHECK(f.enter("abc" + kHome + "\x1b[3~") == "bc");
    CHECK(f.enter("abc\x1b[1~1\x1b[4~2\x1b[7~3\x1b[8~4") == "31abc24");
    CHECK(f.enter("abc\x1bOH1\x1bOF2") == "1abc2");
    CHECK(f.enter("ab\tc") == "ab c");
}

TEST_CASE("killing: to the end, to the start, a word") {
    Fixture f;
    CHECK(f.enter("one two" + kLeft + kLeft + kLeft + "\x0b") == "one ");
    CHECK(f.enter("one two" + kLeft + kLeft + kLeft + "\x15") == "two");
    CHECK(f.enter("one two  \x17") == "one ");
    CHECK(f.enter("one two\x17\x17\x17") == "");
    CHECK(f.enter("one two three\x1b[1;5D\x1b[1;5DX") == "one Xtwo three");
    CHECK(f.enter("one two" + kHome + "\x1b[1;5CX") == "oneX two");
    CHECK(f.enter("one two\x1b"
                  "bX\x1b"
                  "fY") == "one XtwoY");
}

TEST_CASE("^C cancels, ^D ends an empty line and deletes in another, CR LF is one Enter") {
    Fixture f;
    f.type("abc\x03");
    CHECK(f.event == Event::cancelled);
    f.editor->begin(f.terminal, 80);
    f.event = Event::none;
    f.type("ab" + kHome + "\x04");
    CHECK(f.event == Event::none);
    CHECK(f.enter("") == "b");
    f.type("\x04");
    CHECK(f.event == Event::end);

    Fixture g;
    int lines = 0;
    for (char key : std::string_view("a\r\nb\nc\r")) {
        if (g.editor->feed(key, g.terminal) == Event::line) {
            ++lines;
            g.editor->begin(g.terminal, 80);
        }
    }
    CHECK(lines == 3);
}

TEST_CASE("history: up and down, the unfinished line comes back, repetitions and empty lines are not kept") {
    Fixture f;
    f.enter("first");
    f.enter("second");
    f.enter("second");
    f.enter("");
    CHECK(f.enter(kUp) == "second");
    CHECK(f.enter(kUp + kUp) == "first");
    CHECK(f.enter(kUp + kUp + kUp + kUp + kUp) == "first");
    CHECK(f.enter("draft" + kUp + kDown) == "draft");
    CHECK(f.enter("x" + kDown + kDown) == "x");
    CHECK(f.enter(kUp + kUp + "!") == "draft!");
    CHECK(f.enter("\x10") == "draft!");
    CHECK(f.enter("\x10\x10\x0e") == "draft!");
}

TEST_CASE("the history is bounded") {
    auto history = std::make_unique<History>();
    for (int i = 0; i < 10'000; ++i) history->add("line " + std::to_string(i));
    CHECK(history->size() <= History::kLines);
    CHECK(history->back(1) == "line 9999");
    CHECK(history->back(2) == "line 9998");
    CHECK(history->back(history->size() + 1).empty());
    for (int i = 0; i < 20; ++i) history->add(std::string(1000, static_cast<char>('a' + i)));
    CHECK(history->size() == 8);
    CHECK(history->back(8) == std::string(1000, 'm'));
    history->add(std::string(History::kBytes + 1, 'x'));
    CHECK(history->back(1) == std::string(1000, 't'));
}

TEST_CASE("what the terminal shows is what was typed, with the cursor in its place") {
    Fixture f;
    f.type("abc" + kLeft);
    CHECK(f.terminal.shown() == "> abc");
    CHECK(f.terminal.column == 4);
    f.type("X");
    CHECK(f.terminal.shown() == "> abXc");
    f.type("\x0b");
    CHECK(f.terminal.shown() == "> abX");
}

TEST_CASE("a long line scrolls sideways, never wraps, and is all there") {
    Fixture f(20);
    std::string typed;
    for (int i = 0; i < 200; ++i) typed += static_cast<char>('a' + i % 26);
    f.type(typed);
    CHECK(f.terminal.shown().ends_with(typed.substr(typed.size() - 10)));
    f.type(kHome);
    CHECK(f.terminal.shown() == "> " + typed.substr(0, 17));
    CHECK(f.terminal.column == 2);
    CHECK(f.enter("") == typed);
}

TEST_CASE("the length is bounded and the bell rings") {
    Fixture f;
    CHECK(f.enter(std::string(5000, 'x')) == std::string(LineEditor::kLongest, 'x'));
    CHECK(f.terminal.bells == 5000 - static_cast<int>(LineEditor::kLongest));
}

TEST_CASE("characters of several bytes move and go as one") {
    Fixture f;
    CHECK(f.enter("a\u00e9\u20ac\x7f") == "a\u00e9");
    CHECK(f.enter("\u00e9\u20ac" + kLeft + "x") == "\u00e9x\u20ac");
    CHECK(f.enter("\u20ac\u00e9" + kHome + "\x1b[3~") == "\u00e9");
    f.type("a\u20acb" + kLeft);
    CHECK(f.terminal.column == 4);
}

TEST_CASE("unknown escapes are swallowed whole") {
    Fixture f;
    CHECK(f.enter("a\x1b[15~b\x1b[200~c\x1b[?25hd\x1bZe\x1bOPf") == "abcdef");
    f.type("abc\x1b[\x03");
    CHECK(f.event == Event::cancelled);
}

TEST_CASE("random keys: never outside, and the terminal always agrees with the line") {
    std::mt19937 random(3);
    const std::string keys[] = {"a",    "b c",  kUp,    kDown,  kLeft,     kRight,   kHome, kEnd,
                                "\x7f", "\x0b", "\x15", "\x17", "\x1b[3~", "\u20ac", "\r",  "\x1b[1;5D"};
    for (std::size_t columns : {12u, 20u, 80u}) {
        Fixture f(columns);
        for (int i = 0; i < 5000; ++i) {
            f.event = Event::none;
            f.type(keys[random() % std::size(keys)]);
            if (f.event == Event::line) f.editor->begin(f.terminal, columns);
            REQUIRE(f.terminal.shown().starts_with("> "));
            REQUIRE(f.terminal.column >= 2);
        }
    }
}
