#include "boot/images/appliance/operands.hpp"

#include <algorithm>
#include <array>

#include "boot/images/appliance/text.hpp"

namespace appliance {

std::optional<DiskPart> parse_disk_part(std::string_view text) noexcept {
    constexpr std::string_view kPrefix = "disk:";
    if (!text.starts_with(kPrefix)) return {};
    text.remove_prefix(kPrefix.size());
    const std::size_t colon = std::min(text.find(':'), text.size());
    const auto number = decimal(text.substr(0, colon));
    if (!number || *number > 999) return {};
    DiskPart part{static_cast<std::size_t>(*number), {}, {}};
    if (colon == text.size()) return part;
    const std::string_view range = text.substr(colon + 1);
    const std::size_t comma = std::min(range.find(','), range.size());
    if (comma == range.size()) return {};
    part.first = decimal(range.substr(0, comma));
    part.count = decimal(range.substr(comma + 1));
    if (!part.first || !part.count) return {};
    return part;
}

std::optional<Url> parse_url(std::string_view text) noexcept {
    constexpr std::string_view kScheme = "http://";
    if (text.size() <= kScheme.size() || !same_letters(text.substr(0, kScheme.size()), kScheme)) return {};
    if (std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; })) return {};
    text.remove_prefix(kScheme.size());
    text = text.substr(0, text.find('#'));
    const std::size_t slash = std::min(text.find('/'), text.size());
    std::string_view host = text.substr(0, slash);
    Url url{.host = {}, .target = slash == text.size() ? std::string_view("/") : text.substr(slash)};
    if (const std::size_t colon = host.find(':'); colon != host.npos) {
        const auto port = decimal(host.substr(colon + 1));
        if (!port || *port == 0 || *port > 65535) return {};
        url.port = static_cast<std::uint16_t>(*port);
        host = host.substr(0, colon);
    }
    // A name and a password in front of the host are not for the shell's history.
    if (host.empty() || host.size() > 255 || host.find('@') != host.npos || host.find('?') != host.npos) return {};
    url.host = host;
    return url;
}

std::string_view content_type(std::string_view name) noexcept {
    struct Type {
        std::string_view ending, type;
    };
    static constexpr std::array kTypes{
        Type{"html", "text/html; charset=utf-8"},
        Type{"htm", "text/html; charset=utf-8"},
        Type{"txt", "text/plain; charset=utf-8"},
        Type{"md", "text/plain; charset=utf-8"},
        Type{"log", "text/plain; charset=utf-8"},
        Type{"css", "text/css; charset=utf-8"},
        Type{"csv", "text/csv; charset=utf-8"},
        Type{"js", "text/javascript; charset=utf-8"},
        Type{"mjs", "text/javascript; charset=utf-8"},
        Type{"json", "application/json"},
        Type{"xml", "application/xml"},
        Type{"wasm", "application/wasm"},
        Type{"pdf", "application/pdf"},
        Type{"gz", "application/gzip"},
        Type{"zip", "application/zip"},
        Type{"tar", "application/x-tar"},
        Type{"svg", "image/svg+xml"},
        Type{"png", "image/png"},
        Type{"jpg", "image/jpeg"},
        Type{"jpeg", "image/jpeg"},
        Type{"gif", "image/gif"},
        Type{"webp", "image/webp"},
        Type{"ico", "image/x-icon"},
        Type{"ppm", "image/x-portable-pixmap"},
        Type{"mp4", "video/mp4"},
        Type{"mp3", "audio/mpeg"},
        Type{"woff2", "font/woff2"},
    };
    const std::string_view file = name.substr(name.rfind('/') + 1);
    if (const std::size_t dot = file.rfind('.'); dot != file.npos) {
        const auto found = std::ranges::find_if(kTypes, [&](const Type& each) { return same_letters(each.ending, file.substr(dot + 1)); });
        if (found != kTypes.end()) return found->type;
    }
    return "application/octet-stream";
}

bool is_text(std::string_view type) noexcept {
    type = trimmed(type.substr(0, type.find(';')));
    return (type.size() > 5 && same_letters(type.substr(0, 5), "text/")) || same_letters(type, "application/json") ||
           same_letters(type, "application/xml");
}

} // namespace appliance
