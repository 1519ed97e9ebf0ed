#include "kernel/newlib/descriptors.hpp"
#include "kernel/newlib/line_editor.hpp"

#include <memory>
#include <string>

#include <doctest/doctest.h>

namespace {

struct CountingFile final : kernel::File {
    int closes = 0;
    void closed() override { ++closes; }
};

struct Typist {
    kernel::LineEditor editor;
    std::string screen;

    void type(std::string_view keys) {
        for (char key : keys) editor.type(key, [this](std::string_view text) { screen += text; });
    }
    std::string take(std::size_t most = 2000) {
        std::string line(most, '?');
        line.resize(editor.take({line.data(), line.size()}));
        return line;
    }
};

} // namespace

TEST_CASE("the lowest free descriptor is taken, and comes back") {
    auto table = std::make_unique<kernel::DescriptorTable>();
    CountingFile file;
    CHECK(table->open(file, 2) == 0);
    CHECK(table->open(file, 2) == 1);
    CHECK(table->open(file, 2, 7) == 7);
    CHECK(table->close(0));
    CHECK(!table->close(0));
    CHECK(table->open(file, 5) == 0);
    CHECK(table->find(0)->flags == 5);
    CHECK(table->size() == 3);
}

TEST_CASE("a file hears of its last descriptor only") {
    auto table = std::make_unique<kernel::DescriptorTable>();
    CountingFile file;
    const int first = table->open(file, 0);
    const int second = table->open(file, 0);
    table->close(first);
    CHECK(file.closes == 0);
    table->close(second);
    CHECK(file.closes == 1);
}

TEST_CASE("numbers outside the table are not open, and a full table says so") {
    auto table = std::make_unique<kernel::DescriptorTable>();
    CountingFile file;
    for (int number : {-1, 0, 255, 256, 1 << 30}) CHECK(table->find(number) == nullptr);
    for (std::size_t i = 0; i < kernel::kDescriptors; ++i) CHECK(table->open(file, 0) == static_cast<int>(i));
    CHECK(table->open(file, 0) == -1);
    CHECK(table->open(file, 0, -5) == -1);
    CHECK(file.references == kernel::kDescriptors);
}

TEST_CASE("a typed line is echoed, corrected and given when Enter comes") {
    Typist typist;
    typist.type("helk");
    CHECK(!typist.editor.complete());
    CHECK(typist.take().empty());
    typist.type("\blo\r");
    CHECK(typist.editor.complete());
    CHECK(typist.screen == "helk\b \blo\n");
    CHECK(typist.take() == "hello\n");
    CHECK(!typist.editor.complete());
}

TEST_CASE("CR LF is one Enter, LF alone is one too") {
    Typist typist;
    typist.type("a\r");
    CHECK(typist.take() == "a\n");
    typist.type("\n");
    CHECK(!typist.editor.complete());
    typist.type("b\n");
    CHECK(typist.take() == "b\n");
    typist.type("\n");
    CHECK(typist.take() == "\n");
}

TEST_CASE("a line is given in portions if the reader wants few") {
    Typist typist;
    typist.type("abcdef\r");
    CHECK(typist.take(4) == "abcd");
    CHECK(typist.editor.complete());
    CHECK(typist.take(4) == "ef\n");
    CHECK(!typist.editor.complete());
}

TEST_CASE("Ctrl-U empties the line, backspace stops at its start, control characters are ignored") {
    Typist typist;
    typist.type("abc\x15\b\b\x01\x1bxy\r");
    CHECK(typist.take() == "xy\n");
    CHECK(typist.screen == "abc\b \b\b \b\b \bxy\n");
}

TEST_CASE("Ctrl-D ends the input at the start of a line, and sends what there is elsewhere") {
    Typist typist;
    typist.type("ab\x04");
    CHECK(typist.take() == "ab");
    typist.type("\x04");
    CHECK(typist.editor.complete());
    CHECK(typist.take().empty());
    CHECK(!typist.editor.complete());
    typist.type("c\r");
    CHECK(typist.take() == "c\n");
}

TEST_CASE("a line that is too long is cut, and Enter still fits") {
    Typist typist;
    typist.type(std::string(3000, 'x') + "\r");
    const std::string line = typist.take(4000);
    CHECK(line.size() == kernel::LineEditor::kLineMax);
    CHECK(line.back() == '\n');
}
