#include "kernel/log/log.hpp"

#include <atomic>
#include <cstdio>

#include "kernel/firmware/command_line.hpp"
#include "kernel/interrupt/interrupts.hpp"
#include "kernel/processor/processor.hpp"
#include "kernel/task/list.hpp"
#include "kernel/time/clock.hpp"
#include "kernel/uart/uart.hpp"

namespace kernel {

namespace {

struct Follower : ListNode<Follower> {
    std::atomic<std::uint32_t> news{0};
};

constinit LogLevel level_limit = LogLevel::info;
constinit LogSink sink = serial_log_sink;
constinit void* sink_context = nullptr;
constinit LogCursor sink_cursor;
constinit bool draining = false;
constinit List<Follower> followers;
constinit std::uint64_t announced = 0;

/// Brings the sink and the waiting readers up to date, in task context.
void follow() {
    if (&this_processor() != &processors::boot) return processors::boot.notify(); // sink and readers are there
    // Before the lines are read: what a handler adds meanwhile is news for the next call.
    const std::uint64_t head = log_ring().head();
    if (announced == head) return; // in the way of everybody who goes to sleep
    if (!draining && sink != nullptr) {
        draining = true;
        LogLine line;
        while (sink != nullptr && log_ring().read(sink_cursor, line)) {
            if (line.level <= level_limit) sink(sink_context, line);
        }
        draining = false;
    }
    announced = head;
    for (Follower* follower = followers.front(); follower != nullptr; follower = List<Follower>::next(*follower)) {
        follower->news.store(1, std::memory_order_relaxed);
        wake_hint();
    }
}

} // namespace

void log_v(LogLevel level, const char* format, std::va_list arguments) {
    if (level > level_limit) return;
    if (!interrupts_enabled() && task_statistics().tasks != 0) { // somebody logs from a handler: formatting would need vector registers
        log_from_interrupt(level, format, 0);
        return;
    }
    std::array<char, kLogTextMax + 1> text;
    const int wanted = std::vsnprintf(text.data(), text.size(), format, arguments);
    if (wanted < 0) return;
    std::size_t length = static_cast<std::size_t>(wanted) < kLogTextMax ? static_cast<std::size_t>(wanted) : kLogTextMax;
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r')) --length;
    for (std::size_t i = 0; i < length; ++i) {
        if (text[i] == '\n' || text[i] == '\r') text[i] = ' ';
    }
    log_ring().append(level, now_ns(), {text.data(), length});
    follow();
}

void log(LogLevel level, const char* format, ...) {
    std::va_list arguments;
    va_start(arguments, format);
    log_v(level, format, arguments);
    va_end(arguments);
}

void set_log_level(LogLevel level) noexcept { level_limit = level; }
LogLevel log_level() noexcept { return level_limit; }

void set_log_sink(LogSink new_sink, void* context) noexcept {
    announced = 0; // the new sink has seen nothing yet
    sink = new_sink;
    sink_context = context;
}

void serial_log_sink(void*, const LogLine& line) {
    std::array<char, kLogTextMax + 40> text;
    early_write(text.data(), format_log_line(line, text.data(), text.size()));
}

void start_log() {
    if (auto wanted = command_line_value("log")) {
        bool known = false;
        for (LogLevel level : {LogLevel::error, LogLevel::warning, LogLevel::info, LogLevel::debug}) {
            if (*wanted != log_level_name(level)) continue;
            set_log_level(level);
            known = true;
        }
        if (!known) {
            log(LogLevel::warning, "log=%.*s: no such level (error, warning, info, debug)", static_cast<int>(wanted->size()),
                wanted->data());
        }
    }
    scheduler().set_idle_hook(follow);
}

std::optional<LogLine> LogReader::next() noexcept {
    std::optional<LogLine> line(std::in_place);
    if (!log_ring().read(cursor_, *line)) line.reset();
    return line;
}

bool LogReader::wait(std::uint64_t deadline_ns) {
    while (cursor_.sequence >= log_ring().head()) {
        Follower me;
        followers.push_back(me);
        const bool news = wait_for(me.news, deadline_ns);
        followers.remove(me);
        if (!news) return false;
    }
    return true;
}

} // namespace kernel
