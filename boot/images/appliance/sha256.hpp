// SHA-256 (FIPS 180-4). An own implementation of some sixty lines: the distribution's source archives have it only inside whole
// cryptography libraries (mbedtls, nettle, libtomcrypt), each a configuration and a build of its own for one function.
// It is for comparing data, not for secrets. One owner; any task.
//
//     Sha256 hash;
//     hash.update(bytes);
//     output.print("%s\n", hash.finish().c_str());
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace appliance {

class Sha256 {
public:
    /// 64 hexadecimal digits.
    struct Digest {
        std::array<char, 65> text{};
        [[nodiscard]] const char* c_str() const noexcept { return text.data(); }
    };

    void update(std::span<const std::byte> data) noexcept;
    /// The digest of all data so far; the object is spent afterwards.
    [[nodiscard]] Digest finish() noexcept;

private:
    void block(const std::byte* data) noexcept;

    std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    std::array<std::byte, 64> rest_{};
    std::uint64_t bytes_ = 0;
};

} // namespace appliance
