#include "boot/images/selftest/check.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace selftest {

namespace {

constinit Totals counted{};

} // namespace

/// The first reason is the one to read.
void Check::fail(const char* format, std::va_list arguments) {
    if (state_ == State::failed) return;
    state_ = State::failed;
    std::vsnprintf(why_.data(), why_.size(), format, arguments);
}

bool Check::need(bool condition, const char* format, ...) {
    if (condition) return true;
    std::va_list arguments;
    va_start(arguments, format);
    fail(format, arguments);
    va_end(arguments);
    return false;
}

bool Check::need_call(bool condition, const char* format, ...) {
    if (condition) return true;
    const int error = errno;
    const bool first = state_ != State::failed;
    std::va_list arguments;
    va_start(arguments, format);
    fail(format, arguments);
    va_end(arguments);
    if (first) {
        const std::size_t length = std::strlen(why_.data());
        std::snprintf(why_.data() + length, why_.size() - length, ": errno %d", error);
    }
    return false;
}

void Check::skip(const char* format, ...) {
    if (state_ != State::held) return;
    state_ = State::skipped;
    std::va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(why_.data(), why_.size(), format, arguments);
    va_end(arguments);
}

Name::Name(const char* group, const char* name) { std::snprintf(text_.data(), text_.size(), "%s.%s", group, name); }

class Report {
public:
    static void print(const char* name, const Check& check) {
        switch (check.state_) {
        case Check::State::held:
            ++counted.passed;
            std::printf("ok %s\n", name);
            break;
        case Check::State::failed:
            ++counted.failed;
            std::printf("FAIL %s: %s\n", name, check.why_.data());
            break;
        case Check::State::skipped:
            ++counted.skipped;
            std::printf("skip %s: %s\n", name, check.why_.data());
            break;
        }
        std::fflush(stdout);
    }
};

void run(const char* name, Body body, void* context) {
    Check check;
    body(context, check);
    Report::print(name, check);
}

Totals totals() noexcept { return counted; }

} // namespace selftest
