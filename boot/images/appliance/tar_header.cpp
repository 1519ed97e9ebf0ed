#include "boot/images/appliance/tar_header.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace appliance {

namespace {

// POSIX.1-2017, pax, "ustar Interchange Format": where the fields are.
struct Field {
    std::size_t offset, size;
};
constexpr Field kName{0, 100}, kSize{124, 12}, kModified{136, 12}, kChecksum{148, 8}, kMagic{257, 6}, kPrefix{345, 155};
constexpr std::size_t kType = 156;

std::span<const std::byte> part(std::span<const std::byte, kTarBlock> block, Field field) {
    return block.subspan(field.offset, field.size);
}

std::string_view text(std::span<const std::byte, kTarBlock> block, Field field) {
    const std::string_view all(reinterpret_cast<const char*>(block.data()) + field.offset, field.size);
    return all.substr(0, all.find('\0'));
}

} // namespace

std::optional<std::uint64_t> parse_tar_number(std::span<const std::byte> field) noexcept {
    if (field.empty()) return {};
    std::uint64_t value = 0;
    if ((field[0] & std::byte{0x80}) != std::byte{}) {
        if (field[0] != std::byte{0x80}) return {}; // negative, or too large for anybody
        for (const std::byte each : field.subspan(1)) {
            if (value >> 56 != 0) return {};
            value = value << 8 | std::to_integer<std::uint64_t>(each);
        }
        return value;
    }
    std::size_t i = 0;
    while (i < field.size() && field[i] == std::byte{' '}) ++i;
    bool any = false;
    for (; i < field.size() && field[i] != std::byte{' '} && field[i] != std::byte{0}; ++i) {
        const auto digit = std::to_integer<unsigned>(field[i]) - '0';
        if (digit > 7 || value >> 61 != 0) return {};
        value = value << 3 | digit;
        any = true;
    }
    // An empty field is what some archivers write for zero.
    return any || std::ranges::all_of(field, [](std::byte b) { return b == std::byte{0} || b == std::byte{' '}; }) ? std::optional(value)
                                                                                                                   : std::nullopt;
}

std::optional<TarHeader> parse_tar_header(std::span<const std::byte, kTarBlock> block) noexcept {
    // "ustar\0" is POSIX's magic, "ustar " GNU's old one. Archives older than both are not read: anything could look like them.
    const bool posix = std::memcmp(block.data() + kMagic.offset, "ustar\0", kMagic.size) == 0;
    const bool gnu = std::memcmp(block.data() + kMagic.offset, "ustar ", kMagic.size) == 0;
    if (!posix && !gnu) return {};

    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < block.size(); ++i) {
        const bool in_checksum = i >= kChecksum.offset && i < kChecksum.offset + kChecksum.size;
        sum += in_checksum ? std::uint64_t{' '} : std::to_integer<std::uint64_t>(block[i]);
    }
    const auto checksum = parse_tar_number(part(block, kChecksum));
    const auto size = parse_tar_number(part(block, kSize));
    const auto modified = parse_tar_number(part(block, kModified));
    if (checksum != sum || !size) return {};

    TarHeader header;
    const auto append = [&](std::string_view piece) {
        std::memcpy(header.name.data() + header.name_length, piece.data(), piece.size());
        header.name_length += piece.size();
    };
    // GNU keeps other things where POSIX has the prefix.
    if (const auto prefix = posix ? text(block, kPrefix) : std::string_view(); !prefix.empty()) {
        append(prefix);
        append("/");
    }
    append(text(block, kName));
    header.size = *size;
    header.modified = static_cast<std::int64_t>(modified.value_or(0));
    header.type = static_cast<char>(block[kType]);
    return header;
}

bool parse_pax(std::string_view text, PaxFields& fields) noexcept {
    while (!text.empty()) {
        std::size_t length = 0;
        const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), length);
        const auto digits = static_cast<std::size_t>(end - text.data());
        if (problem != std::errc() || length <= digits + 1 || length > text.size() || text[digits] != ' ' || text[length - 1] != '\n')
            return false;
        const std::string_view record = text.substr(digits + 1, length - digits - 2);
        const std::size_t equals = record.find('=');
        if (equals == record.npos) return false;
        const std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
        if (key == "path") fields.path = value;
        if (key == "size") {
            std::uint64_t size = 0;
            const auto [last, error] = std::from_chars(value.data(), value.data() + value.size(), size);
            if (error != std::errc() || last != value.data() + value.size()) return false;
            fields.size = size;
        }
        text.remove_prefix(length);
    }
    return true;
}

} // namespace appliance
