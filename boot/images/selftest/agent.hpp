// With `agent` on the command line the self-test image stays after its checks and does what a test on the host tells it, over the
// console: a line "ID VERB ARGUMENT ..." is answered by any number of lines "@ID item KEY=VALUE ..." and one "@ID ok KEY=VALUE ..." or
// "@ID error TEXT". Every command runs in a task of its own, so several can be under way. Values hold no blanks.
//
//     constexpr Verb kVerbs[] = {{"flush", 1, [](const Words& words, Answer& answer) { ... answer.value("sectors", n); }}};
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "libvirtio/base.hpp"

namespace selftest {

/// What the host sent, cut at blanks.
class Words {
public:
    explicit Words(std::string_view line) noexcept;
    [[nodiscard]] std::size_t count() const noexcept { return count_; }
    /// Empty behind the last word.
    [[nodiscard]] std::string_view text(std::size_t index) const noexcept { return index < count_ ? words_[index] : std::string_view(); }
    /// A number; `otherwise` if there is no such word.
    [[nodiscard]] std::uint64_t number(std::size_t index, std::uint64_t otherwise = 0) const noexcept;
    /// The same of something that there are so many of in memory; a larger number than that becomes the largest.
    [[nodiscard]] std::size_t size(std::size_t index, std::size_t otherwise = 0) const noexcept;
    /// For functions that want a C string.
    [[nodiscard]] const char* c_string(std::size_t index) const noexcept;

private:
    std::array<char, 512> line_{};
    std::array<std::string_view, 16> words_{};
    std::size_t count_ = 0;
};

/// Collects the values of one line, and whether the command has failed.
class Answer {
public:
    explicit Answer(std::string_view id) noexcept : id_(id) {}

    void value(const char* key, std::uint64_t number);
    void value(const char* key, std::string_view text);
    [[gnu::format(printf, 3, 4)]] void print(const char* key, const char* format, ...);
    /// Sends the values so far as an "item" line.
    void item();
    /// The first failure is kept.
    [[gnu::format(printf, 2, 3)]] void fail(const char* format, ...);
    void fail(const char* what, virtio::Error error) { fail("%s: %s", what, virtio::message(error)); }
    [[nodiscard]] bool failed() const noexcept { return failed_; }
    /// Sends the last line.
    void finish();

private:
    void add(const char* format, ...);
    void send(const char* kind);

    std::string_view id_;
    std::array<char, 1500> line_{};
    std::size_t length_ = 0;
    bool failed_ = false;
};

struct Verb {
    std::string_view name;
    std::size_t arguments; // at least
    void (*run)(const Words& words, Answer& answer);
};
[[nodiscard]] std::span<const Verb> device_verbs();
[[nodiscard]] std::span<const Verb> disk_verbs();
[[nodiscard]] std::span<const Verb> memory_verbs();
[[nodiscard]] std::span<const Verb> network_verbs();
[[nodiscard]] std::span<const Verb> machine_verbs();
[[nodiscard]] std::span<const Verb> port_verbs();

/// Serves until a command ends the machine or the console closes.
void run_agent();

} // namespace selftest
