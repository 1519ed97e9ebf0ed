// The command line's ip=A.B.C.D/NN[,gateway[,dns]]: text to numbers. Pure, any context.
//
//     auto option = kernel::parse_address_option("10.0.2.15/24,10.0.2.2,10.0.2.3");
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace kernel {

using Ipv4 = std::array<std::uint8_t, 4>; // as written

struct AddressOption {
    Ipv4 address{};
    Ipv4 netmask{};
    std::optional<Ipv4> gateway;
    std::optional<Ipv4> dns;
    [[nodiscard]] bool operator==(const AddressOption&) const = default;
};

/// Nothing if the text is malformed, or the prefix is longer than 32.
[[nodiscard]] std::optional<AddressOption> parse_address_option(std::string_view text) noexcept;
[[nodiscard]] std::optional<Ipv4> parse_ipv4(std::string_view text) noexcept;

} // namespace kernel
