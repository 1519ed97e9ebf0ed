// The system log: a bounded ring in memory (64 KiB, kernel/log/log_ring.hpp), read by the shell, by a channel or by a sink.
// log() is for task context; log_from_interrupt() is for handlers: it formats nothing and uses no C library. Both never block and
// never allocate; what does not fit any more overwrites the oldest lines, and a reader learns how many it lost.
//
//     kernel::log(kernel::LogLevel::warning, "blk%u: %s", index, virtio::message(error));
//     kernel::LogReader reader;                                  // from the oldest line on
//     while (auto line = reader.next()) print(line->text());
#pragma once

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "kernel/log/log_ring.hpp"

namespace kernel {

/// Formats as printf does and appends one line; trailing newlines are dropped, inner ones become spaces, at most kLogTextMax bytes stay.
/// Lines above the current level are dropped before they are formatted.
[[gnu::format(printf, 2, 3)]] void log(LogLevel level, const char* format, ...);
void log_v(LogLevel level, const char* format, std::va_list arguments);

/// For interrupt handlers: a fixed text and one number, printed as "text: 0x1f". The text must outlive the call only.
void log_from_interrupt(LogLevel level, const char* text, std::uint64_t value) noexcept;

/// Lines above this level are dropped. `info` from the start, `debug` with log=debug on the command line (error, warning, info, debug).
void set_log_level(LogLevel level) noexcept;
[[nodiscard]] LogLevel log_level() noexcept;

/// "error", "warning", "info", "debug".
[[nodiscard]] const char* log_level_name(LogLevel level) noexcept;

/// Takes log= from the command line and follows what interrupt handlers log. Before it, lines are kept and printed all the same.
void start_log();

/// Reads the ring from a sequence number on; any number of readers, none of them disturbs a writer. For task context.
class LogReader {
public:
    /// From the oldest line that is still there.
    LogReader() noexcept = default;
    /// Continues where an earlier reader stood.
    explicit LogReader(std::uint64_t sequence) noexcept : cursor_{sequence, 0} {}

    /// The next line, or nothing for now.
    [[nodiscard]] std::optional<LogLine> next() noexcept;
    /// Where next() will look, to be kept for later.
    [[nodiscard]] std::uint64_t sequence() const noexcept { return cursor_.sequence; }
    /// How many ring slots were overwritten before they were read (a line takes one slot for every 112 bytes).
    [[nodiscard]] std::uint64_t lost() const noexcept { return cursor_.lost; }
    /// Sleeps until there is another line (true) or the deadline has passed (false).
    [[nodiscard]] bool wait(std::uint64_t deadline_ns = ~std::uint64_t{0});

private:
    LogCursor cursor_;
};

/// Where lines go at once, besides the ring: the serial port from the start. The function is called in task context, must not block for
/// long and must not log; the line ends without a newline. Null: none, as soon as something else follows the ring.
using LogSink = void (*)(void* context, const LogLine& line);
void set_log_sink(LogSink sink, void* context) noexcept;
/// The first sink: prints "[    0.123456] text" on the serial port.
void serial_log_sink(void* context, const LogLine& line);

/// The ring itself, for log_ring.hpp's readers.
[[nodiscard]] LogRing& log_ring() noexcept;

/// "[    0.123456] warning: text" and a newline, in the caller's buffer; returns the length. `info` has no prefix.
std::size_t format_log_line(const LogLine& line, char* buffer, std::size_t size) noexcept;

} // namespace kernel
