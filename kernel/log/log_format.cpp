#include <cstdio>
#include <inttypes.h>

#include "kernel/log/log.hpp"

namespace kernel {

const char* log_level_name(LogLevel level) noexcept {
    switch (level) {
    case LogLevel::error: return "error";
    case LogLevel::warning: return "warning";
    case LogLevel::info: return "info";
    case LogLevel::debug: return "debug";
    }
    return "?";
}

std::size_t format_log_line(const LogLine& line, char* buffer, std::size_t size) noexcept {
    const bool plain = line.level == LogLevel::info;
    const std::uint64_t microseconds = line.time_ns / 1000;
    const int written =
        std::snprintf(buffer, size, "[%5" PRIu64 ".%06" PRIu64 "] %s%s%.*s\n", microseconds / 1'000'000, microseconds % 1'000'000,
                      plain ? "" : log_level_name(line.level), plain ? "" : ": ", static_cast<int>(line.length), line.bytes.data());
    if (written < 0) return 0;
    return static_cast<std::size_t>(written) < size ? static_cast<std::size_t>(written) : size - 1;
}

} // namespace kernel
