#include "tests/referee/chain.hpp"

#include <algorithm>
#include <cstring>

namespace referee {

namespace {

std::uint64_t total(const std::vector<Element>& elements) noexcept {
    std::uint64_t bytes = 0;
    for (const Element& element : elements) bytes += element.length;
    return bytes;
}

/// Calls copy(host pointer, offset into the caller's bytes, bytes) for each piece of `elements` from `offset` on.
template<class Copy> std::size_t pieces(const std::vector<Element>& elements, std::uint64_t offset, std::size_t bytes, Copy copy) noexcept {
    std::size_t done = 0;
    for (const Element& element : elements) {
        if (done == bytes) break;
        if (offset >= element.length) {
            offset -= element.length;
            continue;
        }
        const std::size_t piece = std::min<std::size_t>(bytes - done, element.length - static_cast<std::size_t>(offset));
        if (element.data == nullptr) break;
        copy(element.data + offset, done, piece);
        done += piece;
        offset = 0;
    }
    return done;
}

} // namespace

std::uint64_t Chain::readable_bytes() const noexcept { return total(readable); }
std::uint64_t Chain::writable_bytes() const noexcept { return total(writable); }

std::size_t Chain::read(std::uint64_t offset, void* out, std::size_t bytes) const noexcept {
    return pieces(readable, offset, bytes, [out](const std::byte* from, std::size_t at, std::size_t piece) {
        std::memcpy(static_cast<std::byte*>(out) + at, from, piece);
    });
}

std::size_t Chain::write(std::uint64_t offset, const void* data, std::size_t bytes) const noexcept {
    return pieces(writable, offset, bytes, [data](std::byte* to, std::size_t at, std::size_t piece) {
        std::memcpy(to, static_cast<const std::byte*>(data) + at, piece);
    });
}

} // namespace referee
