// How the self-test counts: every check has a name and a body, prints "ok NAME", "FAIL NAME: why" or "skip NAME: why", and the rest
// goes on. One task runs the checks; a body may spawn others, but only it calls need() and skip().
//
//     run("clock.monotonic", [](Check& check) {
//         if (!check.need(later >= earlier, "went back by %llu ns", difference)) return;
//     });
#pragma once

#include <array>
#include <cstdarg>
#include <type_traits>

#include "libvirtio/base.hpp"

namespace selftest {

class Check {
public:
    /// What must hold. False: the check has failed, with the first reason given; the body should return.
    [[nodiscard, gnu::format(printf, 3, 4)]] bool need(bool condition, const char* format, ...);
    /// The same for a call that says why in errno: that is added. (An argument `errno` could be read before the call is made.)
    [[nodiscard, gnu::format(printf, 3, 4)]] bool need_call(bool condition, const char* format, ...);
    /// The same for something that can fail with an error: "what: message".
    template<class T> [[nodiscard]] bool need(const virtio::Result<T>& result, const char* what) {
        return need(result.has_value(), "%s: %s", what, result.has_value() ? "" : virtio::message(result.error()));
    }
    /// It must have failed with exactly this error.
    template<class T> [[nodiscard]] bool need_error(const virtio::Result<T>& result, virtio::Error expected, const char* what) {
        return need(!result.has_value() && result.error() == expected, "%s: '%s' instead of '%s'", what,
                    result.has_value() ? "success" : virtio::message(result.error()), virtio::message(expected));
    }
    /// Nothing to check here: what the machine lacks. The body should return.
    [[gnu::format(printf, 2, 3)]] void skip(const char* format, ...);

    [[nodiscard]] bool failed() const noexcept { return state_ == State::failed; }

private:
    friend class Report;
    enum class State { held, failed, skipped };
    State state_ = State::held;
    void fail(const char* format, std::va_list arguments);
    std::array<char, 200> why_{};
};

struct Totals {
    unsigned passed = 0, failed = 0, skipped = 0;
};
[[nodiscard]] Totals totals() noexcept;

using Body = void (*)(void* context, Check& check);
/// Runs one check and prints its line.
void run(const char* name, Body body, void* context);
template<class Callable> void run(const char* name, Callable callable) {
    run(name, [](void* context, Check& check) { (*static_cast<Callable*>(context))(check); }, &callable);
}
/// "disk0" and "flush" make "disk0.flush".
template<class Callable> void run(const char* group, const char* name, Callable callable);

/// A name made of two parts, as long as the object lives.
class Name {
public:
    Name(const char* group, const char* name);
    [[nodiscard]] const char* text() const noexcept { return text_.data(); }

private:
    std::array<char, 64> text_{};
};
template<class Callable> void run(const char* group, const char* name, Callable callable) {
    run(Name(group, name).text(), std::move(callable));
}

// The groups of checks, each in a file of its own.
void check_memory();
void check_tasks();
void check_clock();
void check_library();
void check_entropy();
void check_disks();
void check_channels();
void check_network();
void check_sockets();
void check_processors();

} // namespace selftest
