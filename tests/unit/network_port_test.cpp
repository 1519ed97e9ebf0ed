#include "kernel/network/address_option.hpp"
#include "kernel/network/partial_checksum.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

using kernel::Ipv4;
using kernel::parse_address_option;
using kernel::prepare_partial_checksum;

namespace {

std::uint16_t ones_complement_sum(const std::vector<std::uint8_t>& bytes, std::size_t from) {
    std::uint32_t sum = 0;
    for (std::size_t i = from; i < bytes.size(); i += 2)
        sum += static_cast<std::uint32_t>(bytes[i] << 8 | (i + 1 < bytes.size() ? bytes[i + 1] : 0));
    while ((sum >> 16) != 0) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(sum);
}

/// An Ethernet frame with an IPv4 packet of this protocol, options and payload; the checksum field is zero.
std::vector<std::uint8_t> frame(std::uint8_t protocol, std::size_t options, std::size_t payload) {
    const std::size_t header = protocol == 6 ? 20 : 8;
    const std::size_t total = 20 + options + header + payload;
    std::vector<std::uint8_t> bytes(14 + total);
    bytes[12] = 0x08;
    bytes[14] = static_cast<std::uint8_t>(0x40 | (20 + options) / 4);
    bytes[16] = static_cast<std::uint8_t>(total >> 8);
    bytes[17] = static_cast<std::uint8_t>(total);
    bytes[23] = protocol;
    for (std::size_t i = 0; i < 8; ++i) bytes[26 + i] = static_cast<std::uint8_t>(0xc0 + 7 * i);
    for (std::size_t i = 34 + options; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(31 * i);
    const std::size_t checksum = 34 + options + (protocol == 6 ? 16u : 6u);
    bytes[checksum] = bytes[checksum + 1] = 0;
    return bytes;
}

/// The pseudo header's sum by the book: addresses, protocol, length.
std::uint32_t pseudo_sum(const std::vector<std::uint8_t>& bytes, std::size_t options) {
    std::uint32_t sum = bytes[23] + static_cast<std::uint32_t>(bytes.size() - 34 - options);
    for (std::size_t i = 26; i < 34; i += 2) sum += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
    return sum;
}

} // namespace

TEST_CASE("ip= in all its forms") {
    const auto full = parse_address_option("10.0.2.15/24,10.0.2.2,10.0.2.3");
    REQUIRE(full.has_value());
    CHECK(full->address == Ipv4{10, 0, 2, 15});
    CHECK(full->netmask == Ipv4{255, 255, 255, 0});
    CHECK(full->gateway == Ipv4{10, 0, 2, 2});
    CHECK(full->dns == Ipv4{10, 0, 2, 3});
    const auto lone = parse_address_option("192.168.1.1/9");
    REQUIRE(lone.has_value());
    CHECK(lone->netmask == Ipv4{255, 128, 0, 0});
    CHECK(!lone->gateway);
    CHECK(parse_address_option("1.2.3.4/0")->netmask == Ipv4{});
    CHECK(parse_address_option("1.2.3.4/32")->netmask == Ipv4{255, 255, 255, 255});
}

TEST_CASE("what is not an address is refused") {
    for (const char* text : {"", "dhcp", "10.0.2.15", "10.0.2.15/", "10.0.2.15/33", "10.0.2/24", "10.0.2.256/24", "10.0.2.15.1/24",
                             "1..2.3/8", "10.0.2.15/24,", "10.0.2.15/24,x", "10.0.2.15/24,1.2.3.4,1.2.3.4,5", "1.2.3.4/-1", "1.2.3.4/024x",
                             " 1.2.3.4/24", "0001.2.3.4/8"}) {
        CAPTURE(text);
        if (std::string(text) == "10.0.2.15/24,") {
            CHECK(parse_address_option(text)->gateway == std::nullopt); // nothing behind the comma is nothing said
        } else {
            CHECK(!parse_address_option(text));
        }
    }
}

TEST_CASE("a device that adds up the rest gets a right checksum") {
    for (std::uint8_t protocol : {std::uint8_t{6}, std::uint8_t{17}}) {
        for (std::size_t options : {0u, 4u, 40u}) {
            for (std::size_t payload : {0u, 1u, 2u, 1460u}) {
                CAPTURE(int{protocol});
                CAPTURE(options);
                CAPTURE(payload);
                auto bytes = frame(protocol, options, payload);
                const auto original = bytes;
                const auto partial = prepare_partial_checksum(bytes);
                REQUIRE(partial.has_value());
                CHECK(partial->start == 34 + options);
                CHECK(partial->offset == (protocol == 6 ? 16 : 6));
                // What the device does (VIRTIO 1.4, 5.1.6.2): the complement of the sum from start on, stored at start + offset.
                const auto result = static_cast<std::uint16_t>(~ones_complement_sum(bytes, partial->start));
                bytes[partial->start + partial->offset] = static_cast<std::uint8_t>(result >> 8);
                bytes[partial->start + partial->offset + 1u] = static_cast<std::uint8_t>(result);
                // What the receiver checks: pseudo header and segment add up to all ones.
                std::uint32_t sum = pseudo_sum(bytes, options) + ones_complement_sum(bytes, partial->start);
                while ((sum >> 16) != 0) sum = (sum & 0xffff) + (sum >> 16);
                CHECK(sum == 0xffff);
                for (std::size_t i = 0; i < bytes.size(); ++i) {
                    if (i != partial->start + partial->offset && i != partial->start + partial->offset + 1u) CHECK(bytes[i] == original[i]);
                }
            }
        }
    }
}

TEST_CASE("fragments, other protocols and short headers are left alone") {
    auto untouched = [](std::vector<std::uint8_t> bytes, std::size_t visible = 9999) {
        const auto before = bytes;
        const auto partial = prepare_partial_checksum(std::span(bytes).first(std::min(visible, bytes.size())));
        CHECK(bytes == before);
        return !partial.has_value();
    };
    CHECK(untouched(frame(1, 0, 50)));
    auto arp = frame(6, 0, 50);
    arp[13] = 0x06;
    CHECK(untouched(arp));
    auto first_fragment = frame(17, 0, 50);
    first_fragment[20] = 0x20;
    CHECK(untouched(first_fragment));
    auto later_fragment = frame(17, 0, 50);
    later_fragment[21] = 0x05;
    CHECK(untouched(later_fragment));
    auto do_not_fragment = frame(6, 0, 50);
    do_not_fragment[20] = 0x40;
    CHECK(prepare_partial_checksum(do_not_fragment).has_value());
    for (std::size_t visible = 0; visible < 14 + 20 + 18; ++visible) CHECK(untouched(frame(6, 0, 50), visible));
    auto bad_length = frame(6, 0, 50);
    bad_length[14] = 0x44;
    CHECK(untouched(bad_length));
    auto version6 = frame(6, 0, 50);
    version6[14] = 0x65;
    CHECK(untouched(version6));
}
