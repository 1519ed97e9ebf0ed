// The bouncing DMA domain: copies, room, alignment, and what is given back wrongly.
#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "libvirtio/bounce.hpp"

using namespace virtio;

namespace {

struct Pool {
    explicit Pool(std::size_t granules = 16, std::uint64_t address = 0x10'0000)
        : memory(static_cast<std::byte*>(std::aligned_alloc(BounceDomain::kGranule, granules * BounceDomain::kGranule))),
          size(granules * BounceDomain::kGranule), bus(address) {
        std::memset(memory, 0xee, size);
        REQUIRE(domain.start({memory, size}, {bus}));
    }
    ~Pool() { std::free(memory); }
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;
    std::byte* at(DmaAddress address) { return memory + (address.value - bus); }
    std::size_t free_granules() { return domain.statistics().granules - domain.statistics().in_use; }

    BounceDomain domain;
    std::byte* memory;
    std::size_t size;
    std::uint64_t bus;
};

std::vector<std::byte> pattern(std::size_t bytes) {
    std::vector<std::byte> data(bytes);
    for (std::size_t i = 0; i < bytes; ++i) data[i] = static_cast<std::byte>(i * 7 + i / 256);
    return data;
}

} // namespace

TEST_CASE("bytes go in at map, come out at unmap, and only in their direction") {
    Pool pool;
    auto mine = pattern(5000);
    const auto original = mine;
    const auto out = pool.domain.map(mine.data(), mine.size(), DmaDirection::to_device);
    REQUIRE(out);
    CHECK(out->length == 5000);
    CHECK(out->address.value >= pool.bus);
    CHECK(out->address.value + out->length <= pool.bus + pool.size);
    CHECK(std::memcmp(pool.at(out->address), original.data(), 5000) == 0);
    std::memset(pool.at(out->address), 0x55, 5000); // the device may scribble over what it was only to read
    pool.domain.unmap(*out, DmaDirection::to_device);
    CHECK(mine == original);

    const auto in = pool.domain.map(mine.data(), 3000, DmaDirection::from_device);
    REQUIRE(in);
    // Nothing of ours, and nothing of an earlier request's, is in what the device does not write.
    for (std::size_t i = 0; i < 3000; ++i) REQUIRE(pool.at(in->address)[i] == std::byte{0});
    std::memset(pool.at(in->address), 0x77, 100);
    CHECK(mine == original); // not before unmap
    pool.domain.unmap(*in, DmaDirection::from_device);
    CHECK(mine[99] == std::byte{0x77});
    CHECK(mine[100] == std::byte{0});
    CHECK(mine[3000] == original[3000]);

    auto both = pattern(10);
    const auto mapped = pool.domain.map(both.data(), 10, DmaDirection::both);
    REQUIRE(mapped);
    CHECK(pool.at(mapped->address)[9] == both[9]);
    pool.at(mapped->address)[9] = std::byte{1};
    pool.domain.unmap(*mapped, DmaDirection::both);
    CHECK(both[9] == std::byte{1});
    CHECK(pool.domain.statistics().in_use == 1); // the books
}

TEST_CASE("a pool without a stretch that long lends a shorter one, then none, and says so") {
    Pool pool{8}; // one granule holds the books
    auto mine = pattern(40 * BounceDomain::kGranule);
    const auto whole = pool.domain.map(mine.data(), mine.size(), DmaDirection::to_device);
    REQUIRE(whole);
    CHECK(whole->length == 7 * BounceDomain::kGranule);
    CHECK(pool.domain.map(mine.data(), 1, DmaDirection::to_device).error() == Error::dma_map_failed);
    CHECK(pool.domain.allocate(1, 1).error() == Error::out_of_memory);
    CHECK(pool.domain.statistics().refused == 2);
    CHECK(pool.domain.statistics().most_in_use == 8);
    pool.domain.unmap(*whole, DmaDirection::to_device);
    // Holes: the longest is taken.
    std::vector<DmaMapping> each;
    for (unsigned i = 0; i < 7; ++i) each.push_back(*pool.domain.map(mine.data(), 1, DmaDirection::to_device));
    for (const unsigned i : {0u, 2u, 3u, 5u}) pool.domain.unmap(each[i], DmaDirection::to_device);
    const auto longest = pool.domain.map(mine.data(), mine.size(), DmaDirection::to_device);
    REQUIRE(longest);
    CHECK(longest->length == 2 * BounceDomain::kGranule);
    CHECK(pool.domain.map(mine.data(), BounceDomain::kLongestMap + 1, DmaDirection::to_device)->length == BounceDomain::kGranule);
}

TEST_CASE("one map lends at most kLongestMap") {
    Pool pool{300};
    auto mine = pattern(BounceDomain::kLongestMap + 1);
    CHECK(pool.domain.map(mine.data(), mine.size(), DmaDirection::to_device)->length == BounceDomain::kLongestMap);
}

TEST_CASE("rings: zeroed, aligned for the device, given back") {
    for (const std::uint64_t skew : {0u, 1u, 3u}) {
        Pool pool{64, 0x10'0000 + skew * BounceDomain::kGranule};
        const std::size_t before = pool.free_granules();
        std::vector<DmaMemory> all;
        for (const std::size_t alignment : {1u, 64u, 4096u, 16384u, 4096u}) {
            const auto memory = pool.domain.allocate(3000, alignment);
            REQUIRE(memory);
            CHECK(memory->address.value % alignment == 0);
            CHECK(memory->size == 3000);
            CHECK(pool.at(memory->address) == memory->data);
            for (std::size_t i = 0; i < 3000; ++i) REQUIRE(memory->data[i] == std::byte{0});
            for (const DmaMemory& other : all) CHECK((memory->data >= other.data + 4096 || memory->data + 4096 <= other.data));
            std::memset(memory->data, 0x11, 3000);
            all.push_back(*memory);
        }
        for (const DmaMemory& memory : all) pool.domain.free(memory);
        CHECK(pool.free_granules() == before);
        CHECK(pool.domain.allocate(0, 1).error() == Error::out_of_memory);
        CHECK(pool.domain.allocate(64 * BounceDomain::kGranule, 1).error() == Error::out_of_memory);
    }
}

TEST_CASE("what was never lent, or comes back twice, changes nothing") {
    Pool pool;
    auto mine = pattern(100);
    const auto kept = pool.domain.map(mine.data(), 100, DmaDirection::from_device);
    auto mapping = *pool.domain.map(mine.data(), 100, DmaDirection::from_device);
    const std::size_t in_use = pool.domain.statistics().in_use;
    pool.domain.unmap(mapping, DmaDirection::from_device);
    std::memset(mine.data(), 0x42, 100);
    pool.domain.unmap(mapping, DmaDirection::from_device); // twice
    CHECK(mine[0] == std::byte{0x42});
    mapping.cookie = 1u << 30;
    pool.domain.unmap(mapping, DmaDirection::from_device); // outside
    mapping.cookie = kept->cookie;
    mapping.length = 0;
    pool.domain.unmap(mapping, DmaDirection::from_device); // empty
    CHECK(mine[0] == std::byte{0x42});
    pool.domain.free({mine.data(), 100, {}});
    pool.domain.free({pool.memory + pool.size - 1, 1, {}});
    pool.domain.free({nullptr, 0, {}});
    CHECK(pool.domain.statistics().in_use == in_use - 1);
    pool.domain.unmap(*kept, DmaDirection::from_device);
    CHECK(pool.domain.statistics().in_use == in_use - 2);
}

TEST_CASE("a pool is refused when it is too small, too large, misaligned, or not the first") {
    BounceDomain domain;
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(4096, 16 * BounceDomain::kGranule));
    const auto bytes = [&](std::size_t count) { return std::span{memory, count}; };
    std::byte one{};
    CHECK(domain.map(&one, 1, DmaDirection::to_device).error() == Error::dma_map_failed);
    CHECK(domain.allocate(1, 1).error() == Error::out_of_memory);
    domain.free({memory, 1, {}});
    std::array<DmaRegion, 2> regions;
    CHECK(domain.regions(regions) == 0);
    CHECK(domain.start(bytes(4 * BounceDomain::kGranule - 1), {0}).error() == Error::invalid_argument);
    CHECK(domain.start({memory + 1, 8 * BounceDomain::kGranule}, {0}).error() == Error::invalid_argument);
    CHECK(domain.start(bytes(8 * BounceDomain::kGranule), {1}).error() == Error::invalid_argument);
    CHECK(domain.start(bytes(BounceDomain::kMostBytes + BounceDomain::kGranule), {0}).error() == Error::invalid_argument);
    REQUIRE(domain.start(bytes(16 * BounceDomain::kGranule), {0x8000}));
    CHECK(domain.start(bytes(16 * BounceDomain::kGranule), {0x8000}).error() == Error::already_started);
    REQUIRE(domain.regions(regions) == 1);
    CHECK(regions[0].bus.value == 0x8000);
    CHECK(regions[0].size == 16 * BounceDomain::kGranule);
    CHECK(regions[0].host == memory);
    CHECK(domain.regions({}) == 0);
    CHECK_FALSE(domain.direct());
    std::free(memory);
}

TEST_CASE("thousands of loans in any order: no granule is lent twice, none is lost") {
    Pool pool{200};
    struct Loan {
        DmaMapping mapping;
        std::uint8_t mark;
    };
    std::vector<Loan> loans;
    std::uint64_t random = 7;
    const auto next = [&](std::uint64_t below) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        return (random >> 33) % below;
    };
    std::vector<std::byte> scratch(40 * BounceDomain::kGranule);
    const std::size_t before = pool.free_granules();
    for (unsigned round = 0; round < 20'000; ++round) {
        if (next(2) == 0 || loans.empty()) {
            const auto mapping = pool.domain.map(scratch.data(), 1 + next(scratch.size()), DmaDirection::to_device);
            if (!mapping) continue;
            const auto mark = static_cast<std::uint8_t>(next(256));
            std::memset(pool.at(mapping->address), mark, mapping->length);
            loans.push_back({*mapping, mark});
        } else {
            const std::size_t which = next(loans.size());
            const Loan loan = loans[which];
            loans[which] = loans.back();
            loans.pop_back();
            for (std::uint32_t i = 0; i < loan.mapping.length; i += 61)
                REQUIRE(pool.at(loan.mapping.address)[i] == std::byte{loan.mark}); // nobody else wrote there
            pool.domain.unmap(loan.mapping, DmaDirection::to_device);
        }
    }
    for (const Loan& loan : loans) pool.domain.unmap(loan.mapping, DmaDirection::to_device);
    CHECK(pool.free_granules() == before);
}

TEST_CASE("without a pool, or for nothing, no room is looked for") {
    BounceDomain none;
    std::byte byte{};
    REQUIRE_FALSE(none.map(&byte, 1, DmaDirection::to_device));
    REQUIRE_FALSE(none.allocate(64, 64));
    CHECK(none.statistics().refused == 0);
    Pool pool;
    REQUIRE_FALSE(pool.domain.map(&byte, 0, DmaDirection::to_device));
    CHECK(pool.domain.statistics().refused == 0);
}
