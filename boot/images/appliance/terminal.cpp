#include "boot/images/appliance/terminal.hpp"

#include <array>
#include <cstdio>
#include <poll.h>
#include <unistd.h>

#include "boot/images/appliance/line_editor.hpp"
#include "boot/images/appliance/shell.hpp"
#include "kernel/newlib/console.hpp"

namespace appliance {

namespace {

constexpr char kControlC = 3;

/// Standard output. It is buffered, since each write of a console is a request to the host.
class StandardOutput final : public Output {
public:
    void write(std::string_view text) override { std::fwrite(text.data(), 1, text.size(), stdout); }
    static void flush() { std::fflush(stdout); }
};

class BatchSession final : public Session {
public:
    using Session::Session;
    bool interrupted() override {
        StandardOutput::flush();
        return false;
    }
};

/// What was typed, also while a command ran: that is kept for the next line, unless ^C was among it.
class Keyboard {
public:
    /// Waits for a byte; false if the console is gone for now.
    bool next(char& byte) {
        if (first_ == last_) {
            const auto count = read(STDIN_FILENO, bytes_.data(), bytes_.size());
            if (count <= 0) return false;
            first_ = 0;
            last_ = static_cast<std::size_t>(count);
        }
        byte = bytes_[first_++];
        return true;
    }
    /// Whether ^C has been typed; what was typed before it is forgotten.
    bool take_interrupt() {
        pollfd asked{STDIN_FILENO, POLLIN, 0};
        while (poll(&asked, 1, 0) == 1 && (asked.revents & POLLIN) != 0) {
            if (first_ == last_) first_ = last_ = 0;
            if (last_ == bytes_.size()) break; // so much typed ahead: the rest waits outside
            const auto count = read(STDIN_FILENO, &bytes_[last_], bytes_.size() - last_);
            if (count <= 0) break;
            last_ += static_cast<std::size_t>(count);
        }
        for (std::size_t i = first_; i < last_; ++i) {
            if (bytes_[i] != kControlC) continue;
            first_ = i + 1;
            return true;
        }
        return false;
    }

private:
    std::array<char, 512> bytes_;
    std::size_t first_ = 0;
    std::size_t last_ = 0;
};

class TerminalSession final : public Session {
public:
    TerminalSession(Output& output, Keyboard& keyboard) noexcept : Session(output), keyboard_(keyboard) {}
    bool interrupted() override {
        StandardOutput::flush();
        if (!keyboard_.take_interrupt()) return false;
        out.write("^C\n");
        return true;
    }

private:
    Keyboard& keyboard_;
};

} // namespace

int run_batch(std::string_view line) {
    StandardOutput output;
    BatchSession session(output);
    const int status = Shell(commands(), session).run(line);
    StandardOutput::flush();
    return status;
}

void run_terminal() {
    kernel::set_console_mode(kernel::ConsoleMode::raw);
    StandardOutput output;
    Keyboard keyboard;
    TerminalSession session(output, keyboard);
    Shell shell(commands(), session);
    static constinit LineEditor editor("ringside> ");
    for (;;) {
        editor.begin(output, kernel::console().size().columns);
        LineEditor::Event event = LineEditor::Event::none;
        while (event == LineEditor::Event::none) {
            StandardOutput::flush();
            char byte = 0;
            if (keyboard.next(byte))
                event = editor.feed(byte, output);
            else
                usleep(100'000); // nobody is connected
        }
        if (event == LineEditor::Event::line) shell.run(editor.line());
        if (event == LineEditor::Event::end) output.write("'poweroff' switches the machine off.\n");
    }
}

} // namespace appliance
