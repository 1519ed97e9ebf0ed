// What commands take as operands: parts of disks and addresses of pages. Pure; any context.
//
//     auto part = parse_disk_part("disk:1:2048,16");            // disk 1, 16 sectors from sector 2048 on
//     auto url = parse_url("http://10.0.2.2:8000/index.html");
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace appliance {

struct DiskPart {
    std::size_t disk = 0;
    std::optional<std::uint64_t> first, count; // sectors; missing: the whole disk
};
/// "disk:N" or "disk:N:FIRST,COUNT"; nothing for anything else.
[[nodiscard]] std::optional<DiskPart> parse_disk_part(std::string_view text) noexcept;

struct Url {
    std::string_view host;
    std::uint16_t port = 80;
    std::string_view target; // "/index.html"; never empty
};
/// "http://HOST[:PORT][/PATH]"; nothing for anything else, nor where a part holds blanks or control characters.
[[nodiscard]] std::optional<Url> parse_url(std::string_view text) noexcept;

/// What a file of that name holds, as Content-Type says it.
[[nodiscard]] std::string_view content_type(std::string_view name) noexcept;
/// Whether people can read it on a terminal.
[[nodiscard]] bool is_text(std::string_view content_type) noexcept;

} // namespace appliance
