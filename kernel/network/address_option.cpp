#include "kernel/network/address_option.hpp"

namespace kernel {

namespace {

std::optional<unsigned> parse_decimal(std::string_view text, unsigned maximum) noexcept {
    if (text.empty() || text.size() > 3) return std::nullopt;
    unsigned value = 0;
    for (char digit : text) {
        if (digit < '0' || digit > '9') return std::nullopt;
        value = value * 10 + static_cast<unsigned>(digit - '0');
    }
    if (value > maximum) return std::nullopt;
    return value;
}

/// Takes what stands before the separator off the front of `text`.
std::string_view next_field(std::string_view& text, char separator) noexcept {
    const std::size_t end = text.find(separator);
    const std::string_view field = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    return field;
}

} // namespace

std::optional<Ipv4> parse_ipv4(std::string_view text) noexcept {
    Ipv4 address{};
    for (std::size_t i = 0; i < address.size(); ++i) {
        const bool last = i + 1 == address.size();
        if (!last && text.find('.') == std::string_view::npos) return std::nullopt;
        const auto part = parse_decimal(last ? text : next_field(text, '.'), 255);
        if (!part) return std::nullopt;
        address[i] = static_cast<std::uint8_t>(*part);
    }
    return address;
}

std::optional<AddressOption> parse_address_option(std::string_view text) noexcept {
    AddressOption option;
    std::string_view first = next_field(text, ',');
    if (first.find('/') == std::string_view::npos) return std::nullopt;
    const auto address = parse_ipv4(next_field(first, '/'));
    const auto prefix = parse_decimal(first, 32);
    if (!address || !prefix) return std::nullopt;
    option.address = *address;
    const std::uint32_t mask = *prefix == 0 ? 0 : ~std::uint32_t{0} << (32 - *prefix);
    for (unsigned i = 0; i < 4; ++i) option.netmask[i] = static_cast<std::uint8_t>(mask >> (24 - 8 * i));
    for (auto* place : {&option.gateway, &option.dns}) {
        if (text.empty()) break;
        const auto value = parse_ipv4(next_field(text, ','));
        if (!value) return std::nullopt;
        *place = *value;
    }
    if (!text.empty()) return std::nullopt;
    return option;
}

} // namespace kernel
