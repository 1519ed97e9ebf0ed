#include "boot/images/appliance/text.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <limits>

namespace appliance {

namespace {

bool control_character(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

} // namespace

void Output::print(const char* format, ...) {
    std::array<char, kPrintMax + 1> line;
    std::va_list arguments;
    va_start(arguments, format);
    const int length = std::vsnprintf(line.data(), line.size(), format, arguments);
    va_end(arguments);
    if (length > 0) write({line.data(), std::min(static_cast<std::size_t>(length), kPrintMax)});
}

Text::~Text() { std::free(data_); }

void Text::write(std::string_view text) {
    if (!complete_ || text.empty()) return;
    if (text.size() > limit_ - length_) {
        complete_ = false;
        return;
    }
    if (text.size() > capacity_ - length_) {
        const std::size_t wanted = std::min(limit_, std::max(length_ + text.size(), std::max<std::size_t>(1024, capacity_ * 2)));
        auto* larger = static_cast<char*>(std::realloc(data_, wanted));
        if (larger == nullptr) {
            complete_ = false;
            return;
        }
        data_ = larger;
        capacity_ = wanted;
    }
    std::memcpy(data_ + length_, text.data(), text.size());
    length_ += text.size();
}

ByteCount::ByteCount(std::uint64_t bytes) noexcept {
    constexpr std::array kUnits{"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned shift = 0;
    std::size_t unit = 0;
    while (unit + 1 < kUnits.size() && bytes >> shift >= 1024) {
        shift += 10;
        ++unit;
    }
    const auto whole = static_cast<unsigned long long>(bytes >> shift);
    // Tenths from the 10 bits below the point, rounded down: 1023.99 KiB is not yet 1 MiB.
    const unsigned tenths = unit == 0 ? 0 : static_cast<unsigned>((bytes >> (shift - 10) & 1023) * 10 >> 10);
    if (tenths == 0)
        std::snprintf(text_.data(), text_.size(), "%llu %s", whole, kUnits[unit]);
    else
        std::snprintf(text_.data(), text_.size(), "%llu.%u %s", whole, tenths, kUnits[unit]);
}

Duration::Duration(std::uint64_t nanoseconds) noexcept {
    const std::uint64_t seconds = nanoseconds / 1'000'000'000;
    const auto days = static_cast<unsigned long long>(seconds / 86'400);
    const auto rest = static_cast<unsigned>(seconds % 86'400);
    std::array<char, 24> front{};
    if (days != 0) std::snprintf(front.data(), front.size(), "%llu day%s ", days, days == 1 ? "" : "s");
    std::snprintf(text_.data(), text_.size(), "%s%02u:%02u:%02u", front.data(), rest / 3600, rest / 60 % 60, rest % 60);
}

Date::Date(std::int64_t unix_ns) noexcept {
    const auto seconds = static_cast<std::time_t>(unix_ns / 1'000'000'000);
    std::tm fields{};
    if (gmtime_r(&seconds, &fields) == nullptr) return;
    std::strftime(text_.data(), text_.size(), "%Y-%m-%d %H:%M:%S UTC", &fields);
}

Shown::Shown(std::string_view text) noexcept {
    for (std::size_t i = 0; i < std::min(text.size(), text_.size() - 1); ++i) text_[i] = control_character(text[i]) ? '.' : text[i];
}

void write_html(Output& output, std::string_view text) {
    while (!text.empty()) {
        const std::size_t plain = std::min(text.find_first_of("&<>\"'"), text.size());
        output.write(text.substr(0, plain));
        if (plain == text.size()) return;
        switch (text[plain]) {
        case '&': output.write("&amp;"); break;
        case '<': output.write("&lt;"); break;
        case '>': output.write("&gt;"); break;
        case '"': output.write("&quot;"); break;
        default: output.write("&#39;"); break;
        }
        text.remove_prefix(plain + 1);
    }
}

void write_url(Output& output, std::string_view text) {
    constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    for (const char& each : text) {
        if (kPlain.find(each) != std::string_view::npos)
            output.write({&each, 1});
        else
            output.print("%%%02X", static_cast<unsigned>(static_cast<unsigned char>(each)));
    }
}

void write_printable(Output& output, std::string_view text) {
    for (const char& each : text) output.write(control_character(each) ? std::string_view(".") : std::string_view(&each, 1));
}

bool same_letters(std::string_view a, std::string_view b) noexcept {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; };
    return std::ranges::equal(a, b, [&](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

std::optional<std::uint64_t> decimal(std::string_view text) noexcept {
    if (text.empty()) return {};
    std::uint64_t value = 0;
    for (const char each : text) {
        if (each < '0' || each > '9') return {};
        const auto digit = static_cast<std::uint64_t>(each - '0');
        if (value > (std::numeric_limits<std::uint64_t>::max() - digit) / 10) return {};
        value = value * 10 + digit;
    }
    return value;
}

} // namespace appliance
