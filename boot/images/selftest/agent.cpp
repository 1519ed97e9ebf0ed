#include "boot/images/selftest/agent.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <unistd.h>

#include <ringside/app.hpp>

#include "kernel/firmware/command_line.hpp"
#include "kernel/newlib/console.hpp"
#include "kernel/task/mutex.hpp"

namespace selftest {

namespace {

constinit kernel::Mutex output;

void send_line(std::string_view line) {
    const kernel::MutexLock lock(output);
    while (!line.empty()) {
        const auto sent = ::write(STDOUT_FILENO, line.data(), line.size());
        if (sent <= 0) return;
        line.remove_prefix(static_cast<std::size_t>(sent));
    }
}

const Verb* find(std::string_view name) {
    for (const auto verbs : {device_verbs(), disk_verbs(), memory_verbs(), network_verbs(), machine_verbs(), port_verbs()})
        for (const Verb& verb : verbs)
            if (verb.name == name) return &verb;
    return nullptr;
}

void serve(const Words& words) {
    Answer answer(words.text(0));
    const Verb* verb = find(words.text(1));
    if (verb == nullptr)
        answer.fail("no such command");
    else if (words.count() < 2 + verb->arguments)
        answer.fail("%zu arguments are needed", verb->arguments);
    else
        verb->run(words, answer);
    answer.finish();
}

} // namespace

Words::Words(std::string_view line) noexcept {
    const std::size_t length = std::min(line.size(), line_.size() - 1);
    std::copy_n(line.data(), length, line_.data());
    std::size_t at = 0;
    while (count_ < words_.size()) {
        while (at < length && line_[at] == ' ') ++at;
        const std::size_t start = at;
        while (at < length && line_[at] != ' ') ++at;
        if (at == start) return;
        words_[count_++] = {line_.data() + start, at - start};
        line_[at++] = '\0'; // for c_string()
    }
}

std::uint64_t Words::number(std::size_t index, std::uint64_t otherwise) const noexcept {
    return index < count_ ? kernel::parse_number(words_[index]).value_or(otherwise) : otherwise;
}

const char* Words::c_string(std::size_t index) const noexcept { return index < count_ ? words_[index].data() : ""; }

void Answer::add(const char* format, ...) {
    std::va_list arguments;
    va_start(arguments, format);
    const int written = std::vsnprintf(line_.data() + length_, line_.size() - length_, format, arguments);
    va_end(arguments);
    if (written > 0) length_ = std::min(length_ + static_cast<std::size_t>(written), line_.size() - 1);
}

std::size_t Words::size(std::size_t index, std::size_t otherwise) const noexcept {
    return static_cast<std::size_t>(std::min<std::uint64_t>(number(index, otherwise), ~std::size_t{0}));
}

void Answer::value(const char* key, std::uint64_t number) { add(" %s=%llu", key, static_cast<unsigned long long>(number)); }

void Answer::value(const char* key, std::string_view text) {
    add(" %s=", key);
    for (char c : text) add("%c", c > ' ' && c < 0x7f ? c : '_');
}

void Answer::print(const char* key, const char* format, ...) {
    std::array<char, 400> text{};
    std::va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text.data(), text.size(), format, arguments);
    va_end(arguments);
    value(key, std::string_view(text.data()));
}

void Answer::fail(const char* format, ...) {
    if (failed_) return;
    failed_ = true;
    std::va_list arguments;
    va_start(arguments, format);
    const int written = std::vsnprintf(line_.data(), line_.size(), format, arguments);
    va_end(arguments);
    length_ = written > 0 ? std::min(static_cast<std::size_t>(written), line_.size() - 1) : 0;
}

void Answer::send(const char* kind) {
    std::array<char, 1600> line{};
    const int length = std::snprintf(line.data(), line.size(), "@%.*s %s%s%.*s\n", static_cast<int>(id_.size()), id_.data(), kind,
                                     failed_ ? " " : "", static_cast<int>(length_), line_.data());
    send_line({line.data(), static_cast<std::size_t>(length)});
    length_ = 0;
}

void Answer::item() {
    if (!failed_) send("item");
}

void Answer::finish() { send(failed_ ? "error" : "ok"); }

void run_agent() {
    kernel::set_console_mode(kernel::ConsoleMode::raw);
    send_line("agent ready\n");
    std::array<char, 512> line{};
    std::size_t length = 0;
    std::array<char, 256> typed{};
    for (;;) {
        const auto count = ::read(STDIN_FILENO, typed.data(), typed.size());
        if (count <= 0) return;
        for (char c : std::span(typed.data(), static_cast<std::size_t>(count))) {
            if (c != '\n' && c != '\r') {
                if (length < line.size()) line[length++] = c;
                continue;
            }
            if (length != 0) (void)ringside::spawn("command", [line, length] { serve(Words({line.data(), length})); });
            length = 0;
        }
    }
}

} // namespace selftest
