// Writes flattened device trees for tests, right ones and (by the fields that can be set before done()) wrong ones.
//
//     TreeWriter tree;
//     tree.begin("").cells("#address-cells", {2}).begin("uart@9000000").cells("reg", {0, 0x9000000, 0, 0x1000}).end().end();
//     std::vector<std::byte> blob = tree.done();
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

class TreeWriter {
public:
    using Blob = std::vector<std::byte>;

    TreeWriter& begin(std::string_view name) {
        word(structure, 1);
        string(structure, name);
        pad(structure);
        return *this;
    }
    TreeWriter& end() {
        word(structure, 2);
        return *this;
    }
    TreeWriter& nop() {
        word(structure, 4);
        return *this;
    }
    TreeWriter& bytes(std::string_view name, const Blob& value) {
        word(structure, 3);
        word(structure, static_cast<std::uint32_t>(value.size()));
        word(structure, static_cast<std::uint32_t>(strings.size()));
        string(strings, name);
        structure.insert(structure.end(), value.begin(), value.end());
        pad(structure);
        return *this;
    }
    TreeWriter& cells(std::string_view name, std::initializer_list<std::uint32_t> values) {
        Blob value;
        for (const std::uint32_t one : values) word(value, one);
        return bytes(name, value);
    }
    TreeWriter& text(std::string_view name, std::initializer_list<std::string_view> values) {
        Blob value;
        for (const std::string_view one : values) string(value, one);
        return bytes(name, value);
    }
    TreeWriter& flag(std::string_view name) { return bytes(name, {}); }
    TreeWriter& reserve(std::uint64_t base, std::uint64_t size) {
        for (const std::uint64_t value : {base, size}) {
            word(reservations, static_cast<std::uint32_t>(value >> 32));
            word(reservations, static_cast<std::uint32_t>(value));
        }
        return *this;
    }

    /// Header, reservations (with their end), structure (with its end), strings.
    [[nodiscard]] Blob done() {
        word(structure, 9);
        reserve(0, 0);
        const auto first = std::uint32_t{40}, second = first + static_cast<std::uint32_t>(reservations.size()),
                   third = second + static_cast<std::uint32_t>(structure.size()),
                   total = third + static_cast<std::uint32_t>(strings.size());
        Blob blob;
        for (const std::uint32_t value : {magic, total, second, third, first, version, std::uint32_t{16}, std::uint32_t{0},
                                          static_cast<std::uint32_t>(strings.size()), static_cast<std::uint32_t>(structure.size())})
            word(blob, value);
        for (const Blob* part : {&reservations, &structure, &strings}) blob.insert(blob.end(), part->begin(), part->end());
        return blob;
    }

    static void word(Blob& blob, std::uint32_t value) {
        for (int shift = 24; shift >= 0; shift -= 8) blob.push_back(static_cast<std::byte>(value >> shift));
    }
    static void string(Blob& blob, std::string_view text) {
        for (const char c : text) blob.push_back(static_cast<std::byte>(c));
        blob.push_back(std::byte{0});
    }
    static void pad(Blob& blob) {
        while (blob.size() % 4 != 0) blob.push_back(std::byte{0});
    }

    Blob structure, strings, reservations;
    std::uint32_t magic = 0xd00dfeed, version = 17;
};

/// Overwrites a big-endian word of a blob.
inline void put_word(TreeWriter::Blob& blob, std::size_t at, std::uint32_t value) {
    for (std::size_t i = 0; i < 4; ++i) blob.at(at + i) = static_cast<std::byte>(value >> (24 - 8 * i));
}
