// The panic's own printf against the host's.
#include <doctest/doctest.h>

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <string>

#include "kernel/panic/format.hpp"

namespace {

[[gnu::format(printf, 1, 2)]] std::string ours(const char* format, ...) {
    std::string text;
    std::va_list arguments;
    va_start(arguments, format);
    kernel::format_to([](void* context, const char* part, std::size_t size) { static_cast<std::string*>(context)->append(part, size); },
                      &text, format, arguments);
    va_end(arguments);
    return text;
}

template<class... Values> std::string theirs(const char* format, Values... values) {
    char text[256];
    std::snprintf(text, sizeof text, format, values...);
    return text;
}

} // namespace

#define SAME(...) CHECK(ours(__VA_ARGS__) == theirs(__VA_ARGS__))

TEST_CASE("the panic's printf prints what printf prints") {
    SAME("plain %d%% of %s\n", 42, "text");
    SAME("%d %i %u", -17, 2147483647, 4000000000u);
    SAME("%ld %lu %zu %lld", -9223372036854775807L - 1, ~0ul, std::size_t{77}, -5LL);
    SAME("[%8d][%-8d][%08d][%08d]", 42, 42, 42, -42);
    SAME("%x %X %016lx %04x", 0xbeefu, 0xbeefu, 0x1234abcdul, 0xfffffu);
    SAME("[%10s][%-10s][%.*s][%c]", "right", "left", 3, "precise", 'c');
    SAME("%p", reinterpret_cast<void*>(0x1234));
    SAME("%s", "");
}

TEST_CASE("what is unknown is printed as it stands, and null is survived") {
    const char* null = nullptr;
    const char* unknown = "%q and %";
    asm volatile("" : "+r"(null), "+r"(unknown));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"
    CHECK(ours(unknown) == "%q and %");
#pragma GCC diagnostic pop
    CHECK(ours("%s", null) == "(null)");
}
