// The C library and the C++ runtime as a program meets them.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <random>
#include <string_view>
#include <unistd.h>

#include "boot/images/selftest/check.hpp"

namespace selftest {

namespace {

struct Counter {
    Counter() : value(41) { ++value; }
    int value;
};
Counter constructed; // by code that runs before main()

struct Shape {
    virtual ~Shape() = default;
    [[nodiscard]] virtual int corners() const = 0;
};
struct Square final : Shape {
    [[nodiscard]] int corners() const override { return 4; }
};

void printing(Check& check) {
    std::array<char, 128> text{};
    std::snprintf(text.data(), text.size(), "%d %5.2f %s %#llx %c|%-6s|%06d %g", -7, 3.14159, "abc", 0x123456789abULL, 'x', "ab", 42,
                  1e-20);
    (void)check.need(std::string_view(text.data()) == "-7  3.14 abc 0x123456789ab x|ab    |000042 1e-20", "printed '%s'", text.data());
}

void reading(Check& check) {
    int number = 0;
    double real = 0;
    std::array<char, 16> word{};
    const int fields = std::sscanf("17 2.5 hello", "%d %lf %15s", &number, &real, word.data());
    (void)(check.need(fields == 3 && number == 17 && std::string_view(word.data()) == "hello", "sscanf read %d fields", fields) &&
           check.need(real > 2.499999 && real < 2.500001, "sscanf read %f", real) &&
           check.need(std::strtoll("-9223372036854775807", nullptr, 10) == -9223372036854775807LL, "strtoll"));
}

void mathematics(Check& check) {
    volatile double two = 2, one = 1, negative = -1.5; // not folded by the compiler
    const auto near = [](double value, double expected) { return std::fabs(value - expected) < 1e-12; };
    std::mt19937 twister(5489);
    twister.discard(9999);
    (void)(check.need(near(std::sqrt(two), 1.4142135623730951), "sqrt") && check.need(near(std::sin(one), 0.8414709848078965), "sin") &&
           check.need(near(std::pow(two, 0.5) * std::exp(one), 3.844231028159117), "pow and exp") &&
           check.need(near(std::floor(negative), -2) && near(std::trunc(negative), -1), "floor and trunc") &&
           // What the standard says of the ten-thousandth number.
           check.need(twister() == 4123659995u, "the Mersenne twister"));
}

void sorting(Check& check) {
    std::array<int, 1000> values{};
    unsigned state = 1;
    for (int& value : values) value = static_cast<int>((state = state * 1103515245u + 12345u) >> 16 & 0x7fff);
    std::array<int, 1000> again = values;
    std::qsort(values.data(), values.size(), sizeof(int),
               [](const void* a, const void* b) { return *static_cast<const int*>(a) - *static_cast<const int*>(b); });
    std::sort(again.begin(), again.end());
    (void)check.need(values == again && std::is_sorted(values.begin(), values.end()), "qsort and std::sort differ");
}

void constructors(Check& check) {
    (void)check.need(constructed.value == 42, "a static constructor left %d", constructed.value);
    Shape* volatile shape = new Square;
    Shape* const made = shape;
    (void)check.need(made->corners() == 4, "a virtual call went elsewhere");
    delete made;
}

void string_functions(Check& check) {
    // All lengths and alignments of the routines that the compiler calls by itself.
    std::array<unsigned char, 300> from{}, into{};
    for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<unsigned char>(i * 7 + 1);
    for (std::size_t length = 0; length < 130; ++length) {
        for (std::size_t offset = 0; offset < 17; ++offset) {
            into.fill(0xee);
            std::memcpy(into.data() + offset, from.data() + 1, length);
            const bool copied = std::memcmp(into.data() + offset, from.data() + 1, length) == 0;
            const bool kept = into[offset + length] == 0xee && (offset == 0 || into[offset - 1] == 0xee);
            if (!check.need(copied && kept, "memcpy of %zu bytes to offset %zu", length, offset)) return;
            std::memmove(into.data() + offset + 1, into.data() + offset, length);
            if (!check.need(std::equal(from.begin() + 1, from.begin() + 1 + static_cast<std::ptrdiff_t>(length),
                                       into.begin() + static_cast<std::ptrdiff_t>(offset) + 1),
                            "memmove of %zu bytes from offset %zu", length, offset))
                return;
            std::memset(into.data() + offset, 0x5a, length);
            for (std::size_t i = 0; i < length; ++i)
                if (!check.need(into[offset + i] == 0x5a, "memset of %zu bytes at offset %zu", length, offset)) return;
        }
    }
}

void descriptors(Check& check) {
    errno = 0;
    if (!check.need(::write(99, "x", 1) == -1 && errno == EBADF, "a descriptor that is not open took a byte")) return;
    errno = 0;
    if (!check.need(::open("/no/such/file", O_RDONLY) == -1 && errno == ENOENT, "a file that is not there was opened")) return;
    const int copy = ::dup(1);
    if (!check.need(copy > 2, "dup gave %d", copy)) return;
    if (!check.need(::close(copy) == 0, "close failed")) return;
    (void)check.need(::close(copy) == -1, "closed twice");
}

} // namespace

void check_library() {
    run("library.printing", printing);
    run("library.reading", reading);
    run("library.mathematics", mathematics);
    run("library.sorting", sorting);
    run("library.constructors", constructors);
    run("library.string_functions", string_functions);
    run("library.descriptors", descriptors);
}

} // namespace selftest
