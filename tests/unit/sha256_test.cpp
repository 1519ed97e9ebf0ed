// SHA-256 against the vectors of FIPS 180-4 and its example files, and against itself in pieces of every size.
#include "boot/images/appliance/sha256.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using appliance::Sha256;

namespace {

std::string digest(std::string_view text) {
    Sha256 hash;
    hash.update(std::as_bytes(std::span(text)));
    return hash.finish().c_str();
}

} // namespace

TEST_CASE("the published vectors") {
    CHECK(digest("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    CHECK(digest("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu") ==
          "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
    CHECK(digest(std::string(1'000'000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("pieces of any size give the same digest, also around the padding's edges") {
    for (std::size_t length : {55u, 56u, 57u, 63u, 64u, 65u, 119u, 120u, 128u, 1000u}) {
        std::string text(length, '\0');
        for (std::size_t i = 0; i < length; ++i) text[i] = static_cast<char>(i * 7);
        const std::string whole = digest(text);
        for (std::size_t piece = 1; piece <= 130; ++piece) {
            Sha256 hash;
            for (std::size_t at = 0; at < length; at += piece)
                hash.update(std::as_bytes(std::span(text).subspan(at, std::min(piece, length - at))));
            REQUIRE(std::string(hash.finish().c_str()) == whole);
        }
    }
}
