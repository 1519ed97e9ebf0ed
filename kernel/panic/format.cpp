#include "kernel/panic/format.hpp"

#include <cstdint>

namespace kernel {
namespace {

enum class Size : std::uint8_t { plain, longer, longest };

struct Field {
    std::size_t width = 0;
    std::size_t precision = ~std::size_t{0};
    bool left = false;
    bool zero = false;
    Size size = Size::plain;
};

class Writer {
public:
    Writer(FormatSink sink, void* context) noexcept : sink_(sink), context_(context) {}

    void text(const char* begin, std::size_t size) const noexcept {
        if (size != 0) sink_(context_, begin, size);
    }
    void repeat(char c, std::size_t count) const noexcept {
        while (count-- != 0) text(&c, 1);
    }
    void padded(const char* begin, std::size_t size, const Field& field) const noexcept {
        const std::size_t padding = field.width > size ? field.width - size : 0;
        if (!field.left) repeat(' ', padding);
        text(begin, size);
        if (field.left) repeat(' ', padding);
    }
    void number(std::uint64_t value, unsigned base, bool negative, bool capital, const Field& field) const noexcept {
        char digits[24];
        std::size_t at = sizeof digits;
        do {
            const auto digit = static_cast<char>(value % base);
            digits[--at] = static_cast<char>(digit < 10 ? '0' + digit : (capital ? 'A' : 'a') + digit - 10);
            value /= base;
        } while (value != 0);
        const std::size_t size = sizeof digits - at + (negative ? 1 : 0);
        if (field.zero && !field.left) {
            if (negative) text("-", 1);
            if (field.width > size) repeat('0', field.width - size);
            text(digits + at, sizeof digits - at);
            return;
        }
        if (negative) digits[--at] = '-';
        padded(digits + at, size, field);
    }

private:
    FormatSink sink_;
    void* context_;
};

std::size_t bounded_length(const char* text, std::size_t limit) noexcept {
    std::size_t length = 0;
    while (length < limit && text[length] != 0) ++length;
    return length;
}

} // namespace

void format_to(FormatSink sink, void* context, const char* format, std::va_list list) noexcept {
    std::va_list arguments; // a copy, so that the helpers below may take its address whatever type it is
    va_copy(arguments, list);
    const Writer out(sink, context);
    const char* at = format;
    while (*at != 0) {
        const char* plain = at;
        while (*at != 0 && *at != '%') ++at;
        out.text(plain, static_cast<std::size_t>(at - plain));
        if (*at == 0) break;
        const char* start = at++;

        Field field;
        for (; *at == '-' || *at == '0'; ++at) (*at == '-' ? field.left : field.zero) = true;
        for (; *at >= '0' && *at <= '9'; ++at) field.width = field.width * 10 + static_cast<std::size_t>(*at - '0');
        if (*at == '.' && at[1] == '*') {
            const int precision = va_arg(arguments, int);
            field.precision = precision < 0 ? 0 : static_cast<std::size_t>(precision);
            at += 2;
        }
        for (; *at == 'l' || *at == 'z' || *at == 'h'; ++at)
            if (*at != 'h') field.size = *at == 'l' && field.size == Size::longer ? Size::longest : Size::longer;

        const char conversion = *at;
        if (conversion != 0) ++at;
        switch (conversion) {
        case 'd':
        case 'i': {
            const std::int64_t value = field.size == Size::longest  ? va_arg(arguments, long long)
                                       : field.size == Size::longer ? va_arg(arguments, long)
                                                                    : va_arg(arguments, int);
            const auto bits = static_cast<std::uint64_t>(value);
            out.number(value < 0 ? 0 - bits : bits, 10, value < 0, false, field);
            break;
        }
        case 'u':
        case 'x':
        case 'X': {
            const std::uint64_t value = field.size == Size::longest  ? va_arg(arguments, unsigned long long)
                                        : field.size == Size::longer ? va_arg(arguments, unsigned long)
                                                                     : va_arg(arguments, unsigned);
            out.number(value, conversion == 'u' ? 10 : 16, false, conversion == 'X', field);
            break;
        }
        case 'p':
            out.text("0x", 2);
            out.number(reinterpret_cast<std::uintptr_t>(va_arg(arguments, void*)), 16, false, false, field);
            break;
        case 'c': {
            const char c = static_cast<char>(va_arg(arguments, int));
            out.padded(&c, 1, field);
            break;
        }
        case 's': {
            const char* text = va_arg(arguments, const char*);
            if (text == nullptr) text = "(null)";
            out.padded(text, bounded_length(text, field.precision), field);
            break;
        }
        case '%': out.text("%", 1); break;
        default: out.text(start, static_cast<std::size_t>(at - start)); break;
        }
    }
    va_end(arguments);
}

} // namespace kernel
