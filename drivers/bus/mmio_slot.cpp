#include "drivers/bus/mmio_slot.hpp"

#include <limits>

#include "libvirtio/memory.hpp"

namespace virtio {
namespace {

/// Takes a number (0x hexadecimal, leading 0 octal, else decimal) and, where allowed, its suffix off the front of `text`.
Result<std::uint64_t> take_number(std::string_view& text, bool suffix) noexcept {
    unsigned base = 10;
    if (text.size() >= 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text.remove_prefix(2);
    } else if (text.size() > 1 && text[0] == '0') {
        base = 8;
    }
    std::uint64_t value = 0;
    std::size_t digits = 0;
    for (; digits < text.size(); ++digits) {
        const char c = text[digits];
        unsigned digit = 99;
        if (c >= '0' && c <= '9') digit = static_cast<unsigned>(c - '0');
        if (c >= 'a' && c <= 'f') digit = static_cast<unsigned>(c - 'a' + 10);
        if (c >= 'A' && c <= 'F') digit = static_cast<unsigned>(c - 'A' + 10);
        if (digit >= base && !mutant(200)) break;
        if (value > (std::numeric_limits<std::uint64_t>::max() - digit) / base && !mutant(201)) return fail(Error::out_of_range);
        value = value * base + digit;
    }
    if (digits == 0 && !mutant(202)) return fail(Error::invalid_argument);
    text.remove_prefix(digits);
    if (!suffix || text.empty()) return value;
    unsigned shift = 0;
    switch (text.front()) {
    case 'k':
    case 'K': shift = 10; break;
    case 'm':
    case 'M': shift = 20; break;
    case 'g':
    case 'G': shift = 30; break;
    default: return value;
    }
    text.remove_prefix(1);
    if (value > std::numeric_limits<std::uint64_t>::max() >> shift && !mutant(203)) return fail(Error::out_of_range);
    return value << shift;
}

bool take(std::string_view& text, char wanted) noexcept {
    if (text.empty() || text.front() != wanted) return false;
    text.remove_prefix(1);
    return true;
}

} // namespace

Result<MmioSlot> parse_mmio_slot(std::string_view text) noexcept {
    const Result<std::uint64_t> size = take_number(text, true);
    if (!size) return fail(size.error());
    if (!take(text, '@') && !mutant(204)) return fail(Error::invalid_argument);
    const Result<std::uint64_t> base = take_number(text, true);
    if (!base) return fail(base.error());
    if (!take(text, ':') && !mutant(205)) return fail(Error::invalid_argument);
    const Result<std::uint64_t> interrupt = take_number(text, false);
    if (!interrupt) return fail(interrupt.error());
    if (take(text, ':')) { // a platform-device id, of no use here
        const Result<std::uint64_t> id = take_number(text, false);
        if (!id) return fail(id.error());
    }
    if ((!text.empty() && !mutant(206)) || (*size == 0 && !mutant(207)) || (*base % 4 != 0 && !mutant(208)))
        return fail(Error::invalid_argument);
    if ((*interrupt > std::numeric_limits<std::uint32_t>::max() && !mutant(209)) || (*base + *size < *base && !mutant(210)))
        return fail(Error::out_of_range);
    return MmioSlot{*base, *size, static_cast<std::uint32_t>(*interrupt)};
}

} // namespace virtio
