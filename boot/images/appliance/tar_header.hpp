// One 512-byte header of a tar archive, decoded and checked. Pure data; any context.
//
//     if (auto header = parse_tar_header(block)) use(header->path(), header->size);
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace appliance {

inline constexpr std::size_t kTarBlock = 512;

struct TarHeader {
    std::array<char, 256> name{}; // prefix and name, joined by a slash
    std::size_t name_length = 0;
    std::uint64_t size = 0;
    std::int64_t modified = 0;
    char type = '0';

    [[nodiscard]] std::string_view path() const noexcept { return {name.data(), name_length}; }
};

/// Nothing if the checksum is wrong, the magic is not ustar's or a number is none.
[[nodiscard]] std::optional<TarHeader> parse_tar_header(std::span<const std::byte, kTarBlock> block) noexcept;

/// An octal field, or GNU's base-256 one; nothing for anything else, or a negative number.
[[nodiscard]] std::optional<std::uint64_t> parse_tar_number(std::span<const std::byte> field) noexcept;

/// What a pax header says in place of the next header's fields.
struct PaxFields {
    std::string_view path; // into the text
    std::optional<std::uint64_t> size;
};
/// Records "LENGTH KEY=VALUE\n"; false if one is malformed.
[[nodiscard]] bool parse_pax(std::string_view text, PaxFields& fields) noexcept;

} // namespace appliance
