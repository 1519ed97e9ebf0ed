// What a platform says of its memory is checked before a device hears of it, and what a caller asks of a configuration.
#include <doctest/doctest.h>

#include <array>

#include "libvirtio/config.hpp"
#include "libvirtio/platform.hpp"
#include "tests/unit/support/fake_device.hpp"

using namespace virtio;

namespace {

struct Board final : Platform {
    void* dma_allocate(std::size_t, std::size_t) noexcept override { return nullptr; }
    void dma_free(void*, std::size_t) noexcept override {}
    DmaAddress dma_address(const void* at) noexcept override { return {reinterpret_cast<std::uintptr_t>(at) + 0x1000}; }
    std::uint64_t now_ns() noexcept override { return 0; }
    std::size_t dma_contiguous(const void*, std::size_t) noexcept override { return contiguous; }
    std::size_t contiguous = 0;
};

struct Direct final : DmaDomain {
    Direct() noexcept : DmaDomain(std::uint64_t{16}) {}
    Result<DmaMemory> allocate(std::size_t, std::size_t) noexcept override { return fail(Error::out_of_memory); }
    void free(const DmaMemory&) noexcept override {}
};

constexpr std::size_t kLong = std::size_t{5} << 30;

} // namespace

TEST_CASE("a platform's domain: nothing left, nothing contiguous, more than was asked for, more than a descriptor says") {
    Board board;
    DmaDomain& domain = **board.dma_domain({}, false);
    CHECK(board.dma_domain({}, true).error() == Error::dma_domain_missing);
    CHECK(domain.allocate(64, 64).error() == Error::out_of_memory);
    std::byte byte{};
    CHECK(domain.map(&byte, 100, DmaDirection::both).error() == Error::dma_map_failed);
    board.contiguous = 40;
    CHECK(domain.map(&byte, 100, DmaDirection::both)->length == 40);
    CHECK(domain.map(&byte, 100, DmaDirection::both)->address == board.dma_address(&byte));
    board.contiguous = 4096;
    CHECK(domain.map(&byte, 100, DmaDirection::both)->length == 100);
    board.contiguous = kLong;
    CHECK(domain.map(&byte, kLong, DmaDirection::both)->length == 0x8000'0000);
}

TEST_CASE("a direct domain: no more at a time than a descriptor says") {
    Direct domain;
    std::byte byte{};
    CHECK(domain.map(&byte, 100, DmaDirection::both)->length == 100);
    CHECK(domain.map(&byte, kLong, DmaDirection::both)->length == 0x8000'0000);
    CHECK(domain.map(&byte, 1, DmaDirection::both)->address.value == reinterpret_cast<std::uintptr_t>(&byte) + 16);
}

TEST_CASE("configuration: fields of nobody, fields over the end; the device is not even asked") {
    constexpr Field<std::uint32_t> kFirst{.offset = 0};
    constexpr Field<std::uint32_t> kOver{.offset = 6};
    constexpr Field<std::uint32_t> kBehind{.offset = 100};
    constexpr Field<std::uint32_t> kLast{.offset = 4};
    CHECK(Config{}.read(kFirst).error() == Error::field_not_negotiated);
    CHECK(Config{}.write(kFirst, 1u).error() == Error::field_not_negotiated);
    fake::FakeDevice device{{.type = 2, .features = {}, .config = std::vector<std::uint8_t>(8)}};
    const Config config{device, {}};
    CHECK(config.read(kOver).error() == Error::out_of_range);
    CHECK(config.read(kBehind).error() == Error::out_of_range);
    CHECK(device.config_reads == 0);
    CHECK(config.read(kLast).has_value());
    CHECK(device.config_reads == 1);
}
