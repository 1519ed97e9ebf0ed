#include "kernel/newlib/console.hpp"

#include <array>
#include <cerrno>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "kernel/log/log.hpp"
#include "kernel/newlib/descriptors.hpp"
#include "kernel/newlib/line_editor.hpp"
#include "kernel/task/mutex.hpp"
#include "kernel/uart/uart.hpp"

namespace kernel {

namespace {

/// The serial port, until something better is there. Nothing interrupts for it: a reader looks 50 times a second.
class SerialConsole final : public Console {
public:
    constexpr SerialConsole() noexcept : Console(kLookNs) {}

    virtio::Result<std::size_t> read(std::span<char> into, std::uint64_t deadline_ns) override {
        for (;;) {
            std::size_t count = 0;
            while (count < into.size()) {
                const int byte = peeked_ >= 0 ? peeked_ : early_read();
                peeked_ = -1;
                if (byte < 0) break;
                into[count++] = static_cast<char>(byte);
            }
            if (count > 0 || into.empty()) return count;
            const std::uint64_t now = now_ns();
            if (now >= deadline_ns) return virtio::fail(virtio::Error::timeout);
            sleep_until(now + kLookNs);
        }
    }
    virtio::Result<std::size_t> write(std::span<const char> from) override {
        // early_write() makes CR LF out of LF; ours has been made already.
        for (char byte : from) {
            if (byte != '\r') early_write(&byte, 1);
        }
        return from.size();
    }
    [[nodiscard]] bool readable() const override {
        if (peeked_ < 0) peeked_ = early_read();
        return peeked_ >= 0;
    }

private:
    static constexpr std::uint64_t kLookNs = 20'000'000;

    mutable int peeked_ = -1;
};

constinit SerialConsole serial_console;
constinit Console* the_console = &serial_console;
constinit ConsoleMode the_mode = ConsoleMode::line;

/// Descriptors 0, 1 and 2: whatever console there is at the moment, with a terminal's manners.
class TerminalFile final : public File {
public:
    long read(std::span<char> into, Blocking blocking) override {
        if (into.empty()) return 0;
        MutexLock lock(reading_);
        while (!editor_.complete()) {
            const bool raw = the_mode == ConsoleMode::raw;
            if (raw && !ahead_.empty()) return ahead_.take(into);
            Console& from = console();
            if (blocking == Blocking::never && !from.readable()) return -EAGAIN;
            const auto count = raw ? from.read(into) : gather(from);
            if (count && raw) return static_cast<long>(*count);
            if (count || &from != &console()) continue; // or another console was set meanwhile
            return count.error() == virtio::Error::closed ? 0 : -EIO;
        }
        const std::size_t count = editor_.take(into);
        while (!editor_.complete() && !ahead_.empty()) editor_.type(ahead_.take(), [](std::string_view text) { print(console(), text); });
        return static_cast<long>(count);
    }

    long write(std::span<const char> from, Blocking) override {
        MutexLock lock(writing_);
        print(console(), {from.data(), from.size()});
        return static_cast<long>(from.size());
    }

    int control(unsigned long request, void* argument) override {
        if (request != static_cast<unsigned long>(TIOCGWINSZ)) return -ENOTTY;
        const Console::Size size = console().size();
        *static_cast<struct winsize*>(argument) = {size.rows, size.columns, 0, 0};
        return 0;
    }

    [[nodiscard]] bool terminal() const override { return true; }
    [[nodiscard]] short ready() override {
        short events = console().writable() ? kWritable : short{0};
        bool readable = console().readable();
        if (readable && the_mode == ConsoleMode::line && reading_.try_lock()) {
            // A part of a line is not readable yet: take what is there to see whether it is a whole one. The end shows in read().
            while (!editor_.complete() && console().readable() && gather(console())) {
            }
            readable = editor_.complete() || console().readable();
            reading_.unlock();
        }
        return readable || editor_.complete() ? static_cast<short>(events | kReadable) : events;
    }
    [[nodiscard]] PollSource* poll_source() override { return &console().poll_source; }

private:
    struct TypedAhead {
        std::array<char, 128> bytes;
        std::size_t first = 0, last = 0;
        void fill(std::span<const char> rest) noexcept {
            first = last = 0;
            for (char byte : rest) bytes[last++] = byte;
        }
        [[nodiscard]] bool empty() const noexcept { return first == last; }
        char take() noexcept { return bytes[first++]; }
        long take(std::span<char> into) noexcept {
            std::size_t count = 0;
            while (count < into.size() && !empty()) into[count++] = take();
            return static_cast<long>(count);
        }
    };

    /// Feeds the line editor with what the console has, waiting if that is nothing; what follows a complete line is kept for later.
    virtio::Result<std::size_t> gather(Console& from) {
        std::array<char, 128> typed;
        auto count = from.read(typed);
        for (std::size_t i = 0; count && i < *count; ++i) {
            if (editor_.complete()) {
                ahead_.fill({typed.data() + i, *count - i});
                break;
            }
            editor_.type(typed[i], [&](std::string_view text) { print(from, text); });
        }
        return count;
    }

    /// Newlines become CR LF. A console whose host side is gone swallows the rest.
    static void print(Console& to, std::string_view text) {
        while (!text.empty()) {
            const std::size_t line = text.find('\n');
            if (line != 0 && !put(to, text.substr(0, line))) return;
            if (line == std::string_view::npos) return;
            if (!put(to, "\r\n")) return;
            text.remove_prefix(line + 1);
        }
    }
    static bool put(Console& to, std::string_view text) {
        while (!text.empty()) {
            auto count = to.write({text.data(), text.size()});
            if (!count || *count == 0) return false;
            text.remove_prefix(*count);
        }
        return true;
    }

    Mutex reading_;
    Mutex writing_;
    LineEditor editor_;
    TypedAhead ahead_{};
};

constinit TerminalFile terminal;
constinit DescriptorTable table;
constinit bool opened = false;

} // namespace

Console& console() noexcept { return *the_console; }

void set_console(Console& console) noexcept {
    Console& old = *the_console;
    the_console = &console;
    set_log_sink(nullptr, nullptr);
    old.poll_source.notify();
}

void set_console_mode(ConsoleMode mode) noexcept { the_mode = mode; }
ConsoleMode console_mode() noexcept { return the_mode; }

DescriptorTable& descriptors() noexcept {
    if (!opened) {
        opened = true;
        for (int i = 0; i < 3; ++i) table.open(terminal, 2); // O_RDWR
    }
    return table;
}

} // namespace kernel
