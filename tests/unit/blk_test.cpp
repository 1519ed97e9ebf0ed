// The block driver against a disk that really walks the rings, obeys, fails and lies.
#include <doctest/doctest.h>

#include <cstring>
#include <numeric>

#include "drivers/blk/blk.hpp"
#include "tests/unit/support/crooked_domain.hpp"
#include "tests/unit/support/disk_model.hpp"

using namespace virtio;
using fake::Disk;

namespace {

using Bytes = std::vector<std::byte>;
constexpr std::uint64_t kSecond = 1'000'000'000;

bool same(std::span<const std::byte> got, const Disk& disk, std::uint64_t sector) {
    return std::memcmp(got.data(), disk.image.data() + sector * 512, got.size()) == 0;
}

Bytes pattern(std::size_t bytes, unsigned seed) {
    std::mt19937 random(seed);
    Bytes data(bytes);
    for (std::byte& byte : data) byte = static_cast<std::byte>(random());
    return data;
}

/// A started driver; the destructor demands that no rule was broken and nothing leaked.
struct Rig {
    explicit Rig(Disk::Options options = {}, BlockOptions driver_options = {}) : disk(options) {
        const Result<> started = driver.start(disk.port(), disk.device, driver_options);
        REQUIRE_MESSAGE(started.has_value(), message(started ? Error::none : started.error()));
    }
    ~Rig() {
        static_cast<void>(driver.stop());
        if (check_end) {
            for (const std::string& broken : disk.device.violations) FAIL_CHECK(broken);
            CHECK(disk.platform.live.empty());
            CHECK(driver.device().watchdog_rescues() == 0);
        }
    }
    bool check_end = true;
    Disk disk;
    BlockDevice driver;
};

} // namespace

TEST_CASE("blk: starts in the specified order and reads limits and topology") {
    Rig rig;
    CHECK(rig.disk.device.status_writes == std::vector<std::uint8_t>{0, 1, 3, 11, 15});
    CHECK(rig.driver.sectors() == 2048);
    CHECK_FALSE(rig.driver.read_only());
    CHECK(rig.driver.limits().block_size == 512);
    CHECK(rig.driver.limits().segment_bytes == 1 << 20);
    CHECK(rig.driver.limits().segments == BlockDevice::kMostSegments);
    CHECK(rig.driver.limits().discard_sectors == 100);
    CHECK(rig.driver.limits().write_zeroes_sectors == 64);
    CHECK(rig.driver.topology().physical_block_exponent == 3);
    CHECK(rig.driver.topology().minimum_io_blocks == 0x10);
    CHECK(rig.driver.topology().optimal_io_blocks == 8);
    CHECK(rig.driver.start(rig.disk.port(), rig.disk.device).error() == Error::already_started);
}

TEST_CASE("blk: architecture's sketch B: queued, one kick, wait with a deadline") {
    for (const bool direct : {false, true}) {
        Rig rig({.direct = direct}, {.queue_size = 64});
        static BlockRequest request;
        request = {};
        std::array<std::byte, 512> first{};
        REQUIRE(rig.driver.read(request, 0, first));
        rig.driver.kick();
        REQUIRE(rig.driver.wait(request, kSecond));
        CHECK(same(first, rig.disk, 0));
        CHECK(request.bytes == 512);
    }
}

TEST_CASE("blk: a disk of another type is left alone") {
    fake::HostPlatform platform;
    fake::FakeDevice device{{.type = 1, .features = FeatureSet::of(32), .config = {}, .queue_sizes = {8}}};
    BlockDevice driver;
    CHECK(driver.start(platform, device).error() == Error::no_device);
    CHECK(device.status_writes.empty());
}

TEST_CASE("blk: trap 12: acknowledges only what it implements, whatever is offered") {
    std::vector<unsigned> all(24);
    std::iota(all.begin(), all.end(), 0u);
    for (unsigned bit = 28; bit < 42; ++bit) all.push_back(bit);
    Rig rig({.features = all, .direct = true});
    const FeatureSet expected = FeatureSet::of(1, 2, 5, 6, 9, 10, 11, 13, 14, 32) | kRingFeatures;
    CHECK((rig.disk.device.accepted & FeatureSet::of(0, 3, 4, 7, 8, 12, 15, 16, 17, 37, 41)).empty());
    CHECK((rig.disk.device.accepted & expected) == rig.disk.device.accepted);
    CHECK(rig.disk.device.accepted.has(5)); // BLK-016: RO is accepted when offered
    CHECK(rig.driver.read_only());
}

TEST_CASE("blk: BLK-006: no DISCARD on a host-managed zoned disk") {
    for (const std::uint8_t model : {std::uint8_t{0}, std::uint8_t{1}, std::uint8_t{2}}) {
        Disk disk({.features = {9, 13, 17, 28, 29, 32}});
        disk.device.config[92] = model;
        BlockDevice driver;
        REQUIRE(driver.start(disk.port(), disk.device));
        CHECK(disk.device.accepted.has(13) == (model != 1));
        CHECK_FALSE(disk.device.accepted.has(17)); // BLK-005
        REQUIRE(driver.stop());
    }
}

TEST_CASE("blk: reads and writes, single and vectored, both kinds of memory") {
    for (const bool direct : {false, true}) {
        Rig rig({.direct = direct});
        Bytes data = pattern(4096, 1);
        REQUIRE(rig.driver.write(8, data));
        CHECK(same(data, rig.disk, 8));
        Bytes back(4096);
        REQUIRE(rig.driver.read(8, back));
        CHECK(back == data);

        // A list of pieces of any length.
        Bytes a(100), b(412), c(1024), d(1);
        Bytes e(511);
        const std::array<std::span<std::byte>, 5> list{a, b, c, d, e};
        BlockRequest request;
        REQUIRE(rig.driver.read(request, 8, list));
        REQUIRE(rig.driver.wait(request, kSecond));
        CHECK(request.bytes == 2048);
        Bytes joined;
        for (const auto& piece : list) joined.insert(joined.end(), piece.begin(), piece.end());
        CHECK(std::memcmp(joined.data(), data.data(), joined.size()) == 0);

        const std::array<std::span<const std::byte>, 3> from{std::span(data).first(3), std::span(data).subspan(3, 1000),
                                                             std::span(data).subspan(1003, 21)};
        REQUIRE(rig.driver.write(request, 100, from));
        REQUIRE(rig.driver.wait(request));
        CHECK(same(std::span(data).first(1024), rig.disk, 100));
        CHECK(rig.driver.counters().bytes_written == 4096 + 1024);
        CHECK(rig.driver.counters().bytes_read == 4096 + 2048);
    }
}

TEST_CASE("blk: a batch of 32 costs one kick and one interrupt; depth 1 one each per request") {
    Rig rig({.queue_size = 256, .direct = true});
    rig.disk.automatic = false;
    Bytes memory(32 * 4096);
    std::array<BlockRequest, 32> requests;
    const unsigned kicks = rig.disk.device.queues[0].kicks;
    const unsigned interrupts = rig.disk.device.queues[0].interrupts;
    for (unsigned round = 0; round < 10; ++round) {
        for (unsigned i = 0; i < 32; ++i) REQUIRE(rig.driver.read(requests[i], i * 8, std::span(memory).subspan(i * 4096, 4096)));
        CHECK(rig.disk.device.available(0) == 0); // nothing is visible before the kick
        rig.driver.kick();
        rig.disk.collect();
        REQUIRE(rig.disk.pending.size() == 32);
        std::vector<std::pair<std::uint32_t, std::uint32_t>> used;
        for (const auto& chain : rig.disk.pending) used.emplace_back(chain.head, rig.disk.execute(chain));
        rig.disk.pending.clear();
        rig.disk.device.use_batch(0, used);
        while (rig.driver.poll() != 0) {
        }
        for (const auto& request : requests) CHECK((request.done() && request.error == Error::none));
        CHECK(same(memory, rig.disk, 0));
    }
    CHECK(rig.disk.device.queues[0].kicks - kicks == 10);
    CHECK(rig.disk.device.queues[0].interrupts - interrupts == 10);
    rig.disk.automatic = true;
    for (unsigned i = 0; i < 100; ++i) REQUIRE(rig.driver.read(i, std::span(memory).first(4096)));
    CHECK(rig.disk.device.queues[0].kicks - kicks == 110);
}

TEST_CASE("blk: B12: completions in any order reach their own requests") {
    Rig rig;
    rig.disk.automatic = false;
    std::mt19937 random(5);
    Bytes memory(24 * 512);
    std::array<BlockRequest, 24> requests;
    for (unsigned round = 0; round < 50; ++round) {
        for (unsigned i = 0; i < 24; ++i) REQUIRE(rig.driver.read(requests[i], (i * 7) % 64, std::span(memory).subspan(i * 512, 512)));
        rig.driver.kick();
        rig.disk.collect();
        std::shuffle(rig.disk.pending.begin(), rig.disk.pending.end(), random);
        for (const auto& chain : rig.disk.pending) rig.disk.answer(chain);
        rig.disk.pending.clear();
        while (rig.driver.poll() != 0) {
        }
        for (unsigned i = 0; i < 24; ++i) {
            CHECK(requests[i].done());
            CHECK(same(std::span(memory).subspan(i * 512, 512), rig.disk, (i * 7) % 64));
        }
    }
}

TEST_CASE("blk: trap 32, B31, B47: nothing is sent that the disk cannot take") {
    for (const bool direct : {false, true}) {
        CAPTURE(direct);
        Rig rig({.sectors = 16, .direct = direct});
        const auto kicks = rig.driver.queue().counters().kicks;
        Bytes data(512 * 4);
        std::span<std::byte> all(data);
        BlockRequest request;
        CHECK(rig.driver.read(request, 16, all.first(512)).error() == Error::out_of_range);
        CHECK(rig.driver.read(request, 15, all.first(1024)).error() == Error::out_of_range);
        CHECK(rig.driver.read(request, ~0ull, all.first(512)).error() == Error::out_of_range);
        CHECK(rig.driver.read(request, ~0ull - 3, all).error() == Error::out_of_range); // the sum wraps
        CHECK(rig.driver.read(request, 0, all.first(511)).error() == Error::unaligned);
        CHECK(rig.driver.read(request, 0, all.first(513)).error() == Error::unaligned);
        CHECK(rig.driver.read(request, 0, all.first(0)).error() == Error::empty_request);
        CHECK(rig.driver.read(request, 0, std::span<std::byte>()).error() == Error::empty_request);
        CHECK(rig.driver.write(request, 16, std::span<const std::byte>(all.first(512))).error() == Error::out_of_range);
        // Lists: an empty piece, no piece, a total that wraps around 64 bits, a null pointer with a length.
        std::array<std::span<std::byte>, 2> list{all.first(512), all.first(0)};
        CHECK(rig.driver.read(request, 0, list).error() == Error::empty_request);
        CHECK(rig.driver.read(request, 0, std::span<const std::span<std::byte>>()).error() == Error::empty_request);
        list = {all.first(512), std::span(data.data(), SIZE_MAX - 511)};
        CHECK(rig.driver.read(request, 0, list).error() == Error::out_of_range);
        list = {all.first(512), std::span(data.data(), SIZE_MAX / 2 - 511)};
        CHECK(rig.driver.read(request, 0, list).error() != Error::none);
        std::byte* nowhere = nullptr;
        list = {all.first(512), std::span(nowhere, 512)};
        CHECK(rig.driver.read(request, 0, list).error() == Error::invalid_argument);
        CHECK(rig.driver.read(request, 0, std::span(nowhere, 512)).error() == Error::invalid_argument);
        CHECK(rig.driver.discard(request, 0, 17).error() == Error::out_of_range);
        CHECK(rig.driver.discard(request, 2, ~0ull).error() == Error::out_of_range);
        CHECK(rig.driver.write_zeroes(request, 0, 0).error() == Error::empty_request);
        CHECK(rig.driver.queue().counters().kicks == kicks);
        CHECK(rig.disk.seen.empty());
        CHECK(rig.driver.counters().refused >= 16);
        // The last sector is there.
        CHECK(rig.driver.read(15, all.first(512)));
        // The same request twice.
        rig.disk.automatic = false;
        REQUIRE(rig.driver.read(request, 0, all.first(512)));
        CHECK(rig.driver.read(request, 0, all.first(512)).error() == Error::request_in_flight);
        CHECK(rig.driver.flush(request).error() == Error::request_in_flight);
        rig.disk.automatic = true;
        CHECK(rig.driver.wait(request));
    }
}

TEST_CASE("blk: a write to a read-only disk is an error before anything is sent") {
    for (const bool direct : {false, true}) {
        CAPTURE(direct);
        Rig rig({.features = {5, 9, 13, 14, 28, 29, 32}, .direct = direct});
        Bytes data(512);
        CHECK(rig.driver.write(0, data).error() == Error::read_only);
        BlockRequest request;
        CHECK(rig.driver.discard(request, 0, 1).error() == Error::read_only);
        CHECK(rig.driver.write_zeroes(request, 0, 1).error() == Error::read_only);
        CHECK(rig.disk.seen.empty());
        CHECK(rig.driver.read(0, data));
    }
}

TEST_CASE("blk: the block size binds requests; nonsense of the device's is taken for 512") {
    for (const bool direct : {false, true}) {
        CAPTURE(direct);
        Rig rig({.block_size = 4096, .direct = direct});
        Bytes data(8192);
        CHECK(rig.driver.read(0, std::span(data).first(512)).error() == Error::unaligned);
        CHECK(rig.driver.read(1, std::span(data).first(4096)).error() == Error::unaligned);
        CHECK(rig.driver.read(8, data));
        CHECK(same(data, rig.disk, 8));
        for (const std::uint32_t size : {0u, 1u, 256u, 513u, 131072u, 0x8000'0000u, 0xffff'ffffu}) {
            Rig odd({.block_size = size});
            CHECK(odd.driver.limits().block_size == 512);
            CHECK(odd.driver.read(1, std::span(data).first(512)));
        }
    }
}

TEST_CASE("blk: trap 32: requests beyond seg_max and size_max are one request, resumed by its completions") {
    for (const bool direct : {false, true}) {
        for (const std::uint32_t seg_max : {0u, 1u, 2u, 3u, 126u, 0xffff'ffffu}) {
            for (const std::uint32_t size_max : {512u, 700u, 4096u, 0xffff'ffffu}) {
                CAPTURE(direct);
                CAPTURE(seg_max);
                CAPTURE(size_max);
                Rig rig({.size_max = size_max, .seg_max = seg_max, .direct = direct});
                Bytes data(40 * 512);
                BlockRequest request;
                unsigned completions = 0;
                static unsigned* counter;
                counter = &completions;
                request.complete = [](Request&) noexcept { ++*counter; };
                REQUIRE(rig.driver.read(request, 3, data));
                rig.driver.kick();
                REQUIRE(rig.driver.wait(request, kSecond));
                CHECK(completions == 1);
                CHECK(same(data, rig.disk, 3));
                for (const auto& seen : rig.disk.seen) {
                    CHECK(seen.segments <= std::max(seg_max, 1u));
                    CHECK(seen.longest <= size_max);
                }
                CHECK(rig.driver.counters().resumed == rig.disk.seen.size() - 1);
                // The same for writes from pieces, 20 of 1,024 bytes.
                const Bytes fresh = pattern(20 * 1024, seg_max);
                std::vector<std::span<const std::byte>> list;
                for (std::size_t at = 0; at < fresh.size(); at += 1024) list.push_back(std::span(fresh).subspan(at, 1024));
                rig.disk.seen.clear();
                BlockRequest write;
                REQUIRE(rig.driver.write(write, 100, list));
                REQUIRE(rig.driver.wait(write, kSecond));
                CHECK(same(fresh, rig.disk, 100));
                for (const auto& seen : rig.disk.seen) CHECK(seen.segments <= std::max(seg_max, 1u));
            }
        }
    }
}

TEST_CASE("blk: a block in more pieces than the device takes goes through the driver's own memory") {
    for (const bool direct : {false, true}) {
        Rig rig({.seg_max = 1, .direct = direct});
        const Bytes fresh = pattern(4 * 512, 9);
        std::vector<std::span<const std::byte>> list;
        for (std::size_t at = 0, step = 1; at < fresh.size(); at += step, step = step % 97 + 13)
            list.push_back(std::span(fresh).subspan(at, std::min(step, fresh.size() - at)));
        BlockRequest request;
        REQUIRE(rig.driver.write(request, 5, list));
        REQUIRE(rig.driver.wait(request));
        CHECK(same(fresh, rig.disk, 5));
        Bytes back(fresh.size());
        std::vector<std::span<std::byte>> into;
        for (std::size_t at = 0; at < back.size(); at += 77)
            into.push_back(std::span(back).subspan(at, std::min<std::size_t>(77, back.size() - at)));
        REQUIRE(rig.driver.read(request, 5, into));
        REQUIRE(rig.driver.wait(request));
        CHECK(back == fresh);
        CHECK(rig.driver.counters().bounced >= 8);
    }
    // Segments smaller than a block: the bounce block itself is cut.
    Rig rig({.size_max = 100, .seg_max = 16, .block_size = 512});
    Bytes back(2048);
    REQUIRE(rig.driver.read(2, back));
    CHECK(same(back, rig.disk, 2));
}

TEST_CASE("blk: limits that allow no block at all refuse to start") {
    for (const auto& [size_max, seg_max] : {std::pair{0u, 5u}, std::pair{511u, 1u}, std::pair{50u, 10u}}) {
        Disk disk({.size_max = size_max, .seg_max = seg_max});
        BlockDevice driver;
        CHECK(driver.start(disk.port(), disk.device).error() == Error::bad_config);
        CHECK((disk.device.status_writes.back() & 128) != 0); // FAILED
        CHECK(disk.platform.live.empty());
    }
}

TEST_CASE("blk: B48: memory that is scattered for the device") {
    for (const std::size_t limit : {std::size_t{64}, std::size_t{512}, std::size_t{4096}}) {
        for (const std::uint32_t seg_max : {1u, 2u, 16u}) {
            CAPTURE(limit);
            CAPTURE(seg_max);
            Rig rig({.seg_max = seg_max});
            rig.disk.platform.contiguous_limit = limit;
            alignas(4096) static std::byte area[5 * 4096];
            for (const std::size_t offset : {std::size_t{0}, std::size_t{8}, std::size_t{4088}}) {
                const std::span<std::byte> part(area + offset, 3 * 4096);
                std::memset(area, 0, sizeof area);
                REQUIRE(rig.driver.read(1, part));
                CHECK(same(part, rig.disk, 1));
                REQUIRE(rig.driver.write(200, part));
                CHECK(same(part, rig.disk, 200));
            }
            rig.disk.platform.contiguous_limit = SIZE_MAX;
        }
    }
}

TEST_CASE("blk: B5: IOERR, UNSUPP and a missing status reach the caller; the driver goes on") {
    for (const bool direct : {false, true}) {
        CAPTURE(direct);
        Rig rig({.direct = direct});
        Bytes data(512);
        rig.disk.fail_sector = 7;
        CHECK(rig.driver.read(7, data).error() == Error::io_error);
        CHECK(rig.driver.read(6, data));
        rig.disk.fail_status = 2;
        CHECK(rig.driver.read(7, data).error() == Error::unsupported_request);
        for (const std::uint8_t status : {std::uint8_t{3}, std::uint8_t{0x80}, std::uint8_t{0xff}}) {
            rig.disk.fail_status = status;
            CHECK(rig.driver.read(7, data).error() == Error::bad_response);
        }
        CHECK(rig.driver.read(6, data)); // leaves an "ok" behind
        rig.disk.skip_status = true;     // every slot has seen an "ok" before: it must not be taken for this one
        for (unsigned i = 0; i < 300; ++i) CHECK(rig.driver.read(6, data).error() == Error::bad_response);
        rig.disk.skip_status = false;
        CHECK(rig.driver.read(6, data));
        // A failure in the middle of a resumed request: what was moved is told.
        Rig small({.size_max = 512, .seg_max = 1});
        small.disk.fail_sector = 2;
        Bytes more(4 * 512);
        BlockRequest request;
        REQUIRE(small.driver.read(request, 0, more));
        CHECK(small.driver.wait(request).error() == Error::io_error);
        CHECK(request.bytes == 1024);
        CHECK(small.disk.seen.size() == 3);
    }
}

TEST_CASE("blk: B3, trap 11, BLK-044: the used length decides nothing") {
    for (const std::uint32_t lie : {0u, 1u, 511u, 513u, 514u, 0x7fff'ffffu, 0xffff'ffffu}) {
        Rig rig({.direct = lie % 2 != 0});
        rig.disk.lie_length = lie;
        Bytes data(512);
        REQUIRE(rig.driver.read(4, data));
        CHECK(same(data, rig.disk, 4));
        REQUIRE(rig.driver.write(4, data));
        REQUIRE(rig.driver.flush());
    }
}

TEST_CASE("blk: trap 32, B46: flush is negotiated, sent, and empty where there is nothing to flush") {
    Rig rig;
    REQUIRE(rig.driver.flush());
    CHECK(rig.disk.flushes == 1);
    CHECK(rig.driver.cache_mode() == CacheMode::write_back);
    REQUIRE(rig.driver.set_cache_mode(CacheMode::write_through));
    CHECK(rig.disk.device.config[32] == 0);
    CHECK(rig.driver.cache_mode() == CacheMode::write_through);
    REQUIRE(rig.driver.flush()); // BLK-026: what was written before the switch may still be volatile
    CHECK(rig.disk.flushes == 2);
    rig.disk.fail_sector = 0;
    CHECK(rig.driver.flush().error() == Error::io_error);

    Rig plain({.features = {28, 29, 32}});
    BlockRequest request;
    bool called = false;
    static bool* flag;
    flag = &called;
    request.complete = [](Request&) noexcept { *flag = true; };
    REQUIRE(plain.driver.flush(request));
    CHECK(request.done());
    CHECK(called);
    CHECK(plain.driver.wait(request));
    CHECK(plain.disk.seen.empty());
    CHECK(plain.driver.cache_mode() == CacheMode::write_through); // BLK-002
    CHECK(plain.driver.set_cache_mode(CacheMode::write_back).error() == Error::field_not_negotiated);
    Rig wce({.features = {9, 32}});
    CHECK(wce.driver.cache_mode() == CacheMode::write_back); // BLK-003
    REQUIRE(wce.driver.flush());
    CHECK(wce.disk.flushes == 1);
}

TEST_CASE("blk: CONFIG_WCE is nothing without FLUSH") {
    Rig rig({.features = {11, 28, 32}});
    CHECK_FALSE(rig.disk.device.accepted.has(11));
}

TEST_CASE("blk: discard and write zeroes, split at the device's limits") {
    Rig rig;
    BlockRequest request;
    REQUIRE(rig.driver.discard(request, 10, 250));
    REQUIRE(rig.driver.wait(request));
    CHECK(rig.disk.seen.size() == 3); // 100 + 100 + 50
    CHECK(rig.disk.image[10 * 512] == 0xdd);
    CHECK(rig.disk.image[260 * 512 - 1] == 0xdd);
    CHECK(rig.disk.image[260 * 512] == Disk({}).image[260 * 512]);
    REQUIRE(rig.driver.write_zeroes(request, 20, 65, Unmap::allowed));
    REQUIRE(rig.driver.wait(request));
    CHECK(rig.disk.last_flags == 1);
    CHECK(rig.disk.image[20 * 512] == 0);
    CHECK(rig.disk.image[85 * 512 - 1] == 0);
    REQUIRE(rig.driver.write_zeroes(request, 0, 1));
    REQUIRE(rig.driver.wait(request));
    CHECK(rig.disk.last_flags == 0);
    Rig plain({.features = {32}});
    CHECK(plain.driver.discard(request, 0, 1).error() == Error::unsupported_request);
    CHECK(plain.driver.write_zeroes(request, 0, 1).error() == Error::unsupported_request);
}

TEST_CASE("blk: the name is asked for once, printable, and may be missing") {
    Rig rig;
    CHECK(rig.driver.id() == "ring-7?");
    CHECK(rig.driver.id() == "ring-7?");
    CHECK(rig.disk.seen.size() == 1);
    Rig nameless;
    nameless.disk.fail_sector = 0;
    nameless.disk.fail_status = 2;
    CHECK(nameless.driver.id().empty());
    Rig full;
    std::memset(full.disk.id, 'x', 20); // no terminator
    CHECK(full.driver.id() == "xxxxxxxxxxxxxxxxxxxx");
    Rig silent; // asked, never answered: bounded
    silent.disk.automatic = false;
    CHECK(silent.driver.id().empty());
}

TEST_CASE("blk: ring full is an error value; room is announced; blocking calls wait for it") {
    for (const bool direct : {false, true}) {
        CAPTURE(direct);
        Rig rig({.queue_size = 16, .direct = direct});
        rig.disk.automatic = false;
        Bytes data(512 * 200);
        std::vector<BlockRequest> requests(200);
        unsigned accepted = 0;
        Error why = Error::none;
        while (accepted < 200) {
            const Result<> sent = rig.driver.read(requests[accepted], accepted, std::span(data).subspan(accepted * 512, 512));
            if (!sent) {
                why = sent.error();
                break;
            }
            ++accepted;
        }
        CHECK(why == Error::ring_full);
        CHECK(accepted == rig.driver.depth());
        CHECK(rig.driver.queue().counters().ring_full == 1);
        CHECK(rig.driver.counters().refused == 0);
        struct Waiter : RoomWaiter {
            unsigned calls = 0;
        } waiter;
        waiter.on_room = [](RoomWaiter& base) noexcept { ++static_cast<Waiter&>(base).calls; };
        rig.driver.when_room(waiter);
        rig.driver.kick();
        CHECK(rig.driver.poll() == 0);
        CHECK(waiter.calls == 0);
        rig.disk.serve();
        CHECK(rig.driver.poll() == accepted);
        CHECK(waiter.calls == 1);
        rig.driver.when_room(waiter);
        REQUIRE(rig.driver.recover()); // a reset makes room as well
        CHECK(waiter.calls == 2);
        for (unsigned i = 0; i < accepted; ++i) CHECK(same(std::span(data).subspan(i * 512, 512), rig.disk, i));

        for (unsigned i = 0; i < accepted; ++i) REQUIRE(rig.driver.read(requests[i], i, std::span(data).subspan(i * 512, 512)));
        CHECK(rig.driver.read(0, std::span(data).first(512), kSecond).error() == Error::timeout); // nobody answers
        CHECK_FALSE(requests[0].done());                                                          // and nothing was reset for it
        rig.disk.automatic = true;
        CHECK(rig.driver.read(0, std::span(data).first(512), kSecond));
        for (unsigned i = 0; i < accepted; ++i) CHECK(rig.driver.wait(requests[i]));
    }
}

TEST_CASE("blk: B33: any queue size that fits a request works") {
    for (const bool indirect : {true, false}) {
        for (const int wanted : {4, 8, 16, 64, 256, 1024}) {
            const auto size = static_cast<std::uint16_t>(wanted);
            CAPTURE(indirect);
            CAPTURE(size);
            std::vector<unsigned> features{1, 2, 9, 13, 14, 32};
            if (indirect) features.push_back(28);
            Rig rig({.features = features, .queue_size = size});
            Bytes data(64 * 512);
            REQUIRE(rig.driver.read(0, data));
            CHECK(same(data, rig.disk, 0));
            std::vector<std::span<std::byte>> list;
            for (std::size_t at = 0; at < data.size(); at += 256) list.push_back(std::span(data).subspan(at, 256));
            // As many of them at once as there are slots.
            std::vector<BlockRequest> requests(rig.driver.depth());
            unsigned sent = 0;
            for (auto& request : requests) {
                if (!rig.driver.read(request, 7, list)) break;
                ++sent;
            }
            CHECK(sent >= 1);
            std::memset(data.data(), 0, data.size());
            for (unsigned i = 0; i < sent; ++i) REQUIRE(rig.driver.wait(requests[i], kSecond));
            CHECK(same(data, rig.disk, 7));
            REQUIRE(rig.driver.flush());
            BlockRequest zero;
            REQUIRE(rig.driver.write_zeroes(zero, 0, 1));
            REQUIRE(rig.driver.wait(zero));
        }
    }
    for (const std::uint16_t size : {std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{0}}) {
        Disk disk({.queue_size = size});
        BlockDevice driver;
        CHECK_FALSE(driver.start(disk.port(), disk.device));
        CHECK(disk.platform.live.empty());
    }
    Rig cap({.queue_size = 256}, {.queue_size = 32});
    CHECK(cap.disk.device.queues[0].size == 32);
}

TEST_CASE("blk: B28: 70,000 reads go past the wrap of the indices") {
    Rig rig({.direct = true});
    Bytes data(512);
    for (std::uint64_t i = 0; i < 70'000; ++i) {
        REQUIRE(rig.driver.read(i % 2048, data));
        if (i % 97 == 0) CHECK(same(data, rig.disk, i % 2048));
    }
    CHECK(rig.driver.counters().reads == 70'000);
}

TEST_CASE("blk: B1, B2, B7: a lying device breaks the queue; requests end, recover() heals") {
    for (const std::uint32_t id : {500u, 0xffffu, 0xffff'ffffu, 127u, 1u}) {
        CAPTURE(id);
        Rig rig;
        rig.disk.automatic = false;
        Bytes data(512);
        BlockRequest request;
        REQUIRE(rig.driver.read(request, 0, data));
        rig.driver.kick();
        rig.disk.collect();
        rig.disk.device.use(0, id == rig.disk.pending.front().head ? id + 1 : id, 1);
        rig.driver.poll();
        CHECK(rig.driver.failed());
        BlockRequest other;
        CHECK(rig.driver.read(other, 0, data).error() == Error::queue_broken);
        CHECK(rig.driver.wait(request).error() == Error::device_reset); // wait() heals as well
        rig.disk.pending.clear();
        rig.disk.automatic = true;
        CHECK_FALSE(rig.driver.failed());
        CHECK(rig.driver.read(1, data));
        CHECK(same(data, rig.disk, 1));
        CHECK(rig.driver.counters().resets == 1);
    }
    for (const std::uint16_t jump : {std::uint16_t{2}, std::uint16_t{128}, std::uint16_t{0xffff}, std::uint16_t{32768}}) {
        Rig rig;
        rig.disk.automatic = false;
        Bytes data(512);
        BlockRequest request;
        REQUIRE(rig.driver.read(request, 0, data));
        rig.driver.kick();
        rig.disk.device.poke_used_index(0, static_cast<std::uint16_t>(rig.disk.device.used_index(0) + jump));
        rig.driver.poll();
        CHECK(rig.driver.failed());
        REQUIRE(rig.driver.recover());
        CHECK((request.done() && request.error == Error::device_reset));
    }
}

TEST_CASE("blk: B6: descriptors rewritten by the device change nothing") {
    Rig rig;
    rig.disk.automatic = false;
    Bytes data(2048);
    std::array<std::span<std::byte>, 4> list{std::span(data).first(512), std::span(data).subspan(512, 512),
                                             std::span(data).subspan(1024, 512), std::span(data).subspan(1536, 512)};
    BlockRequest request;
    REQUIRE(rig.driver.read(request, 0, list));
    rig.driver.kick();
    rig.disk.collect();
    const fake::Chain chain = rig.disk.pending.front();
    rig.disk.pending.clear();
    rig.disk.execute(chain);
    rig.disk.device.scribble_descriptors(0, 0xff);
    rig.disk.device.use(0, chain.head, 1);
    while (rig.driver.poll() != 0) {
    }
    CHECK((request.done() && request.error == Error::none));
    CHECK(same(data, rig.disk, 0));
}

TEST_CASE("blk: trap 28, B37: an expired deadline resets the device before anything is handed back") {
    for (const bool direct : {false, true}) {
        CAPTURE(direct);
        Rig rig({.direct = direct});
        rig.disk.automatic = false;
        Bytes data(512), others(512);
        BlockRequest request, other;
        REQUIRE(rig.driver.read(request, 0, data));
        REQUIRE(rig.driver.read(other, 1, others));
        CHECK(rig.driver.wait(request, kSecond).error() == Error::timeout);
        CHECK(request.done());
        CHECK(other.done()); // virtio cannot cancel one request
        CHECK(other.error == Error::device_reset);
        CHECK(rig.disk.device.resets == 3); // at the start; to stop; to start again
        rig.disk.pending.clear();
        rig.disk.automatic = true;
        CHECK(rig.driver.read(0, data)); // and it goes on
        CHECK(same(data, rig.disk, 0));
    }
}

TEST_CASE("blk: a device that interrupts for nothing cannot outlast a deadline") {
    Rig rig;
    rig.disk.automatic = false;
    rig.disk.platform.on_wait = [&] { rig.disk.device.config_changed(); };
    Bytes data(512);
    BlockRequest request;
    REQUIRE(rig.driver.read(request, 0, data));
    CHECK(rig.driver.wait(request, 10'000'000).error() == Error::timeout);
    rig.disk.platform.on_wait = [] {};
}

TEST_CASE("blk: B36, trap 20: a reset that is never confirmed: cut off, or the memory stays the device's") {
    for (const bool cut_off : {true, false}) {
        Rig rig;
        rig.check_end = false;
        rig.disk.automatic = false;
        rig.disk.device.can_cut_off = cut_off;
        Bytes data(512);
        BlockRequest request;
        REQUIRE(rig.driver.read(request, 0, data));
        rig.driver.kick();
        rig.disk.collect();
        const fake::Chain chain = rig.disk.pending.front();
        rig.disk.device.reset_reads = ~std::uint64_t{0};
        CHECK(rig.driver.wait(request, kSecond).error() == (cut_off ? Error::timeout : Error::abandoned));
        if (cut_off) {
            CHECK(rig.disk.platform.live.empty());
        } else {
            CHECK(request.state == Request::State::abandoned);
            CHECK_FALSE(rig.disk.platform.live.empty());
            CHECK(rig.disk.platform.firewall.admits(chain.writable.back().data, 1, fake::Firewall::Access::write));
            rig.disk.execute(chain); // a late write: AddressSanitizer would see it in freed memory
        }
        BlockRequest next;
        CHECK(rig.driver.read(next, 0, data).error() == Error::reset_timeout);
        CHECK(rig.driver.poll() == 0);
    }
}

TEST_CASE("blk: B40: DEVICE_NEEDS_RESET is noticed, reported, healed") {
    Rig rig;
    rig.disk.automatic = false;
    Bytes data(512);
    BlockRequest request;
    REQUIRE(rig.driver.read(request, 0, data));
    rig.driver.kick();
    rig.disk.pending.clear();
    rig.disk.device.needs_reset();
    rig.driver.poll();
    CHECK(rig.driver.failed());
    BlockRequest other;
    CHECK(rig.driver.read(other, 0, data).error() == Error::needs_reset);
    REQUIRE(rig.driver.recover());
    CHECK((request.done() && request.error == Error::device_reset));
    rig.disk.automatic = true;
    CHECK(rig.driver.read(0, data));
}

TEST_CASE("blk: B41: a vanished device gives errors, not loops") {
    Rig rig;
    rig.check_end = false;
    rig.disk.automatic = false;
    Bytes data(512);
    BlockRequest request;
    REQUIRE(rig.driver.read(request, 0, data));
    rig.disk.device.gone = true;
    const Result<> waited = rig.driver.wait(request, kSecond);
    CHECK_FALSE(waited);
    BlockRequest next;
    CHECK_FALSE(rig.driver.read(next, 0, data));
    CHECK_FALSE(rig.driver.recover());
}

TEST_CASE("blk: B35, BLK-014: capacity changes are followed, torn reads are not") {
    Rig rig;
    static std::uint64_t told;
    told = 0;
    rig.driver.on_capacity = [](BlockDevice& device) noexcept { told = device.sectors(); };
    rig.disk.set_capacity(4096);
    rig.disk.image.resize(4096 * 512);
    rig.disk.device.config_changed();
    CHECK(rig.driver.poll() != 0);
    CHECK(told == 4096);
    CHECK(rig.driver.sectors() == 4096);
    CHECK(rig.driver.counters().capacity_changes == 1);
    Bytes data(512);
    CHECK(rig.driver.read(4095, data));
    rig.disk.device.config_changed(); // nothing new
    rig.driver.poll();
    CHECK(rig.driver.counters().capacity_changes == 1);
    rig.disk.device.generation_always_changes = true; // for ever: bounded, the old value stays
    rig.disk.set_capacity(1);
    rig.disk.device.config_changed();
    rig.driver.poll();
    CHECK(rig.driver.sectors() == 4096);
    rig.disk.device.generation_always_changes = false;
}

TEST_CASE("blk: a disk that shrinks under a resumed request") {
    for (const std::uint64_t capacity : {103u, 50u}) { // into the rest, to before it
        Rig rig({.size_max = 512, .seg_max = 1});
        rig.disk.automatic = false;
        Bytes data(8 * 512);
        BlockRequest request;
        REQUIRE(rig.driver.read(request, 100, data));
        rig.driver.kick();
        rig.disk.collect();
        rig.disk.set_capacity(capacity);
        rig.disk.device.config_changed();
        rig.driver.poll();
        rig.disk.automatic = true;
        rig.disk.serve();
        CHECK(rig.driver.wait(request).error() == Error::out_of_range);
        CHECK(rig.disk.seen.size() == 1); // nothing more was sent
    }
}

TEST_CASE("blk: completions may submit, but not wait or stop") {
    Rig rig({.direct = true});
    struct Chain : BlockRequest {
        Rig* rig = nullptr;
        unsigned left = 50, nested = 0;
        std::size_t named = 0;
        Error wait = Error::none, stop = Error::none, recovery = Error::none, blocking = Error::none;
        std::array<std::byte, 512> data{};
    } request;
    request.rig = &rig;
    request.complete = [](Request& done) noexcept {
        auto& mine = static_cast<Chain&>(done);
        BlockDevice& driver = mine.rig->driver;
        mine.stop = driver.stop().error();
        mine.recovery = driver.recover().error();
        mine.nested += driver.poll();
        mine.named += driver.id().size();
        mine.blocking = driver.read(0, mine.data).error();
        if (--mine.left == 0) return;
        if (driver.read(mine, mine.left, mine.data)) driver.kick();
        mine.wait = driver.wait(mine).error();
    };
    REQUIRE(rig.driver.read(request, 0, request.data));
    rig.driver.kick();
    for (unsigned i = 0; i < 200 && request.left != 0; ++i) rig.driver.poll();
    CHECK(request.left == 0);
    CHECK(request.wait == Error::busy);
    CHECK(request.stop == Error::busy);
    CHECK(request.recovery == Error::busy);
    CHECK(request.blocking == Error::busy);
    CHECK(request.nested == 0);
    CHECK(request.named == 0);
    CHECK(rig.driver.id().size() != 0);
    CHECK(rig.driver.counters().reads == 50);
    CHECK(rig.driver.counters().resets == 0);
    CHECK(rig.driver.counters().others == 1); // the name was asked for once, and outside
}

TEST_CASE("blk: requests end with an error when the device is stopped, and cannot submit again meanwhile") {
    for (const bool direct : {false, true}) {
        CAPTURE(direct);
        Rig rig({.direct = direct});
        rig.disk.automatic = false;
        static BlockDevice* driver;
        static Error again;
        driver = &rig.driver;
        again = Error::none;
        static BlockRequest second;
        static Bytes data(512);
        second = {};
        BlockRequest request;
        request.complete = [](Request&) noexcept { again = driver->read(second, 0, data).error(); };
        REQUIRE(rig.driver.read(request, 0, data));
        REQUIRE(rig.driver.stop());
        CHECK(request.error == Error::device_reset);
        CHECK(again == Error::not_started);
        CHECK(rig.driver.read(0, data).error() == Error::not_started);
        CHECK(rig.disk.platform.live.empty());
    }
}

TEST_CASE("blk: polled, on a line, and with lost interrupts") {
    Bytes data(512);
    Rig polled({.messages = 0, .line = false});
    CHECK(polled.driver.device().interrupt_mode() == InterruptMode::polled);
    polled.disk.automatic = false;
    polled.disk.platform.on_wait = [&] { polled.disk.serve(); };
    CHECK(polled.driver.read(3, data, kSecond));
    Rig line({.messages = 0});
    CHECK(line.driver.device().interrupt_mode() == InterruptMode::line);
    CHECK(line.driver.read(3, data, kSecond));
    Rig lost;
    lost.check_end = false;
    lost.disk.automatic = false;
    lost.disk.device.drop_interrupts = true;
    BlockRequest request;
    REQUIRE(lost.driver.read(request, 0, data));
    lost.driver.kick();
    CHECK(lost.driver.poll() == 0);
    lost.disk.serve(); // used, but nobody is told
    // The watchdog heals it, and says that it had to.
    lost.disk.platform.on_wait = [] {};
    lost.driver.device().wait(~0ull);
    CHECK(lost.driver.device().watchdog_rescues() == 1);
    CHECK(lost.driver.poll() == 1);
    CHECK(request.done());
}

TEST_CASE("blk: trap 30: a line that was never connected is found out by the first request, and polled") {
    Bytes data(512);
    Rig rig({.messages = 0});
    CHECK(rig.driver.device().interrupt_mode() == InterruptMode::line);
    rig.disk.device.drop_interrupts = true;
    rig.disk.automatic = false; // answers later, while the driver sleeps
    rig.disk.platform.on_wait = [&] { rig.disk.serve(); };
    CHECK(rig.driver.read(3, data, kSecond));
    CHECK(same(data, rig.disk, 3));
    CHECK(rig.driver.device().interrupt_mode() == InterruptMode::polled);
    CHECK(rig.driver.counters().resets == 0);
    const std::uint64_t before = rig.disk.platform.clock_ns;
    CHECK(rig.driver.read(4, data, kSecond)); // and from now on nobody waits for the watchdog
    CHECK(rig.disk.platform.clock_ns - before < Device::kWatchdogNs);
}

TEST_CASE("blk: B10, B49: every allocation may fail, nothing leaks") {
    long failing = 1;
    for (; failing < 50; ++failing) {
        Disk disk({});
        disk.platform.allocations_until_failure = failing;
        BlockDevice driver;
        const Result<> started = driver.start(disk.port(), disk.device);
        if (started) {
            disk.platform.allocations_until_failure = -1;
            Bytes data(40 * 512);
            CHECK(driver.read(0, data));
            CHECK(same(data, disk, 0));
            // A list longer than a direct chain may be: the indirect tables may be what is missing.
            std::vector<std::span<std::byte>> list;
            for (std::size_t at = 0; at < data.size(); at += 512) list.push_back(std::span(data).subspan(at, 512));
            BlockRequest request;
            CHECK(driver.read(request, 9, list));
            CHECK(driver.wait(request));
            CHECK(same(data, disk, 9));
            REQUIRE(driver.stop());
        } else {
            CHECK(started.error() == Error::out_of_memory);
            CHECK((disk.device.status_writes.back() & 128) != 0);
        }
        CHECK(disk.platform.live.empty());
        CHECK(disk.device.violations.empty());
        if (started && failing > 10) break;
    }
    CHECK(failing < 50);
}

TEST_CASE("blk: B34: refused features and a missing VERSION_1 are told") {
    Disk refuses({});
    refuses.device.refuse_features = true;
    BlockDevice driver;
    CHECK(driver.start(refuses.port(), refuses.device).error() == Error::feature_refused);
    Disk legacy({.features = {9}});
    CHECK(driver.start(legacy.port(), legacy.device).error() == Error::feature_missing);
    CHECK(driver.device().refusal().bit == 32);
    Disk short_config({});
    short_config.device.config.resize(8);
    CHECK(driver.start(short_config.port(), short_config.device).error() == Error::out_of_range);
    CHECK(short_config.platform.live.empty());
}

TEST_CASE("blk: B25: interrupts at any time of life do no harm") {
    Disk disk({});
    BlockDevice driver;
    driver.on_interrupt(0);
    disk.device.on_config_read = [&] { driver.on_interrupt(0); };
    disk.device.on_status = [&](std::uint8_t) { driver.on_interrupt(1); };
    REQUIRE(driver.start(disk.port(), disk.device));
    Bytes data(512);
    CHECK(driver.read(0, data));
    REQUIRE(driver.stop());
    driver.on_interrupt(0);
    CHECK(driver.poll() == 0);
    CHECK(disk.device.violations.empty());
}

TEST_CASE("blk: random life: every accepted request ends exactly once, whatever the device does") {
    struct Worker : BlockRequest {
        Bytes memory = Bytes(32 * 512);
        std::vector<std::span<std::byte>> into;
        std::vector<std::span<const std::byte>> from;
        unsigned accepted = 0, ended = 0;
        bool reads = false;
        std::uint64_t sector = 0;
        std::size_t length = 0;
    };
    for (unsigned seed = 1; seed <= 60; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const auto pick = [&](unsigned below) { return static_cast<unsigned>(random() % below); };
        std::vector<unsigned> features{1, 2, 6, 9, 13, 14, 32};
        if (pick(2) != 0) features.push_back(28);
        if (pick(2) != 0) features.push_back(29);
        Rig rig({.features = features,
                 .size_max = std::array{512u, 3000u, 1u << 20}[pick(3)],
                 .seg_max = std::array{1u, 3u, 126u}[pick(3)],
                 .queue_size = static_cast<std::uint16_t>(8u << pick(5)),
                 .messages = static_cast<std::uint16_t>(pick(3)),
                 .direct = pick(2) != 0});
        rig.disk.automatic = false;
        if (pick(3) == 0) rig.disk.platform.contiguous_limit = 4096;
        std::vector<Worker> workers(24);
        for (Worker& worker : workers) worker.complete = [](Request& done) noexcept { ++static_cast<Worker&>(done).ended; };
        const auto finished = [&](Worker& worker) {
            if (worker.accepted == 0) return;
            REQUIRE(worker.ended == worker.accepted);
            if (worker.error == Error::none && worker.reads)
                CHECK(same(std::span(worker.memory).first(worker.length), rig.disk, worker.sector));
            worker.reads = false;
        };
        for (unsigned step = 0; step < 600; ++step) {
            switch (pick(12)) {
            default: { // submit
                const unsigned index = pick(24);
                Worker& worker = workers[index];
                if (worker.state == Request::State::in_flight) {
                    REQUIRE(worker.ended + 1 == worker.accepted);
                    break;
                }
                finished(worker);
                const unsigned sectors = 1 + pick(16);
                worker.sector = index * 32 + pick(16);
                worker.length = sectors * 512;
                const std::span<std::byte> data = std::span(worker.memory).first(worker.length);
                const unsigned kind = pick(6);
                Result<> sent;
                if (kind == 0) {
                    sent = rig.driver.read(worker, worker.sector, data);
                } else if (kind == 1) {
                    sent = rig.driver.write(worker, worker.sector, std::span<const std::byte>(data));
                } else if (kind < 4) { // pieces of odd lengths
                    worker.into.clear();
                    worker.from.clear();
                    for (std::size_t at = 0; at < data.size();) {
                        const std::size_t length = std::min<std::size_t>(1 + pick(1500), data.size() - at);
                        worker.into.push_back(data.subspan(at, length));
                        worker.from.push_back(data.subspan(at, length));
                        at += length;
                    }
                    sent = kind == 2 ? rig.driver.read(worker, worker.sector, worker.into)
                                     : rig.driver.write(worker, worker.sector, worker.from);
                } else {
                    sent = kind == 4 ? rig.driver.flush(worker) : rig.driver.write_zeroes(worker, worker.sector, sectors);
                }
                if (sent) {
                    ++worker.accepted;
                    worker.reads = kind == 0 || kind == 2;
                }
                break;
            }
            case 1:
            case 2: rig.driver.kick(); break;
            case 3:
            case 4:
            case 5: // the device answers some, in any order, sometimes with an error or a wrong length
                rig.disk.collect();
                std::shuffle(rig.disk.pending.begin(), rig.disk.pending.end(), random);
                for (unsigned count = pick(8); count != 0 && !rig.disk.pending.empty(); --count) {
                    const fake::Chain chain = rig.disk.pending.front();
                    rig.disk.pending.pop_front();
                    rig.disk.lie_length.reset();
                    if (pick(10) == 0) rig.disk.lie_length = static_cast<std::uint32_t>(random());
                    rig.disk.fail_sector.reset();
                    if (pick(20) == 0) {
                        rig.disk.fail_sector = workers[pick(24)].sector;
                        rig.disk.fail_status = static_cast<std::uint8_t>(1 + pick(3));
                    }
                    rig.disk.answer(chain);
                }
                break;
            case 6:
            case 7: rig.driver.poll(); break;
            case 8:
                if (pick(40) == 0) { // a lie that breaks the queue
                    rig.disk.device.use(0, pick(2) != 0 ? 0xffff : pick(256), 1);
                    rig.driver.poll();
                }
                if (rig.driver.failed() || pick(60) == 0) {
                    rig.disk.pending.clear();
                    REQUIRE(rig.driver.recover());
                }
                break;
            case 9: rig.disk.device.config_changed(); break;
            case 10:
                if (!rig.driver.failed()) rig.disk.device.interrupt_queue(0);
                break;
            }
        }
        REQUIRE(rig.driver.stop());
        for (Worker& worker : workers) {
            CHECK(worker.state != Request::State::in_flight);
            CHECK(worker.ended == worker.accepted);
        }
    }
}

TEST_CASE("blk: misuse: what was never started, second starts, no queue, no memory") {
    BlockDevice never;
    BlockRequest request;
    Bytes data(512);
    CHECK(never.recover().error() == Error::not_started);
    CHECK(never.poll() == 0);
    CHECK(never.wait(request).error() == Error::invalid_argument); // it was never sent
    request.state = Request::State::in_flight;                     // so somebody says
    CHECK(never.wait(request).error() == Error::not_started);
    request = {};
    CHECK(never.read(0, data).error() == Error::not_started);
    CHECK(never.flush().error() == Error::not_started);
    CHECK(never.flush(request).error() == Error::not_started);
    CHECK(never.id().empty());
    CHECK(never.cache_mode().error() == Error::not_started);
    CHECK(never.set_cache_mode(CacheMode::write_back).error() == Error::not_started);

    Rig rig;
    Disk other({});
    CHECK(never.start(other.port(), other.device, {.queue_size = 0}).error() == Error::queue_size_invalid);
    CHECK(other.device.status_writes.empty());
    CHECK(rig.driver.start(rig.disk.port(), rig.disk.device).error() == Error::already_started);
    CHECK(rig.driver.read(0, data).has_value()); // it did no harm
    CHECK(rig.driver.read(request, 0, {static_cast<std::byte*>(nullptr), 512}).error() == Error::invalid_argument);
    const std::array<std::span<std::byte>, 1> nowhere{std::span<std::byte>{static_cast<std::byte*>(nullptr), 512}};
    CHECK(rig.driver.read(request, 0, nowhere).error() == Error::invalid_argument);
    const std::array<std::span<std::byte>, 3> empty{std::span(data).first(256), std::span(data).first(0), std::span(data).last(256)};
    CHECK(rig.driver.read(request, 0, empty).error() == Error::empty_request);
    const std::array<std::span<std::byte>, 2> endless{std::span<std::byte>{data.data(), ~std::size_t{0} - 511}, std::span(data).first(512)};
    CHECK(rig.driver.read(request, 0, endless).error() == Error::out_of_range);
    rig.disk.set_capacity(4096); // nobody is told
    rig.disk.device.config_changed();
    rig.driver.poll();
    CHECK(rig.driver.sectors() == 4096);
}

TEST_CASE("blk: a deadline beyond the end of time is none, and one that has passed is an error at once") {
    Rig rig;
    rig.disk.automatic = false;
    Bytes data(512);
    unsigned looks = 0;
    rig.disk.platform.on_wait = [&] {
        if (++looks < 3) return;
        rig.disk.collect();
        if (rig.disk.pending.empty()) return;
        rig.disk.answer(rig.disk.pending.front());
        rig.disk.pending.pop_front();
    };
    CHECK(rig.driver.read(0, data, BlockDevice::kForever - 1).has_value());
    CHECK(looks >= 3);
    looks = 0;
    BlockRequest request;
    REQUIRE(rig.driver.read(request, 0, data));
    CHECK(rig.driver.wait(request, BlockDevice::kForever - 1).has_value());
    rig.disk.platform.on_wait = [] {};
    rig.disk.automatic = true;
}

TEST_CASE("blk: a platform that maps nothing or too much is not believed; less the second time is an error; every mapping is ended") {
    Disk disk({});
    fake::CrookedPlatform platform{disk.platform};
    BlockDevice driver;
    REQUIRE(driver.start(platform, disk.device));
    Bytes data(8192);
    BlockRequest request;
    const std::array<std::span<std::byte>, 1> list{std::span(data).first(4096)};
    for (const auto lengths :
         {+[](unsigned, std::size_t) { return std::size_t{0}; }, +[](unsigned, std::size_t bytes) { return bytes + 512; },
          +[](unsigned map, std::size_t) { return map % 2 == 1 ? std::size_t{512} : std::size_t{0}; }}) {
        platform.domain.lengths = lengths;
        platform.domain.maps = platform.domain.unmaps = 0;
        std::fill(data.begin(), data.end(), std::byte{0});
        REQUIRE(driver.read(request, 0, list)); // through the driver's own memory, then
        CHECK(driver.wait(request).has_value());
        CHECK(same(list[0], disk, 0));
        for (std::size_t i = 4096; i < data.size(); ++i) REQUIRE(data[i] == std::byte{0});
        CHECK(platform.domain.maps == platform.domain.unmaps);
    }
    // Parts of a block are contiguous; what is lent again, less the excess, is suddenly shorter.
    platform.domain.lengths = [](unsigned map, std::size_t bytes) { return map % 2 == 1 ? std::size_t{700} : bytes - 100; };
    platform.domain.maps = platform.domain.unmaps = 0;
    CHECK(driver.read(request, 0, list).error() == Error::dma_map_failed);
    CHECK(platform.domain.maps == platform.domain.unmaps);
    CHECK(driver.stop());
    CHECK(disk.device.violations.empty());
}

TEST_CASE("blk: a poll is bounded, however fast the device answers") {
    Rig rig({.sectors = 4096, .size_max = 512, .seg_max = 1});
    Bytes data(std::size_t{3000} * 512);
    BlockRequest request;
    REQUIRE(rig.driver.read(request, 0, data));
    rig.driver.kick();
    unsigned polls = 0;
    while (!request.done() && ++polls < 100) CHECK(rig.driver.poll() <= 1024);
    CHECK(polls > 1);
    CHECK(request.error == Error::none);
    CHECK(same(data, rig.disk, 0));
}

TEST_CASE("blk: the rest of a request is not sent to a device that asked for a reset") {
    Rig rig({.size_max = 512, .seg_max = 1});
    rig.disk.automatic = false;
    Bytes data(2048);
    BlockRequest request;
    REQUIRE(rig.driver.read(request, 0, data));
    rig.driver.kick();
    rig.disk.collect();
    REQUIRE(rig.disk.pending.size() == 1);
    rig.disk.device.needs_reset();
    rig.driver.poll();
    CHECK(rig.driver.failed());
    rig.disk.answer(rig.disk.pending.front());
    rig.disk.pending.pop_front();
    rig.driver.poll();
    CHECK(request.done());
    CHECK(request.error == Error::needs_reset);
    CHECK(rig.driver.recover());
}

TEST_CASE("blk: operations of no segments are no operations; limits beyond the driver's and the queue's are cut") {
    for (const std::size_t at : {40u, 52u}) {
        Disk disk({});
        disk.device.config[at] = 0;
        BlockDevice driver;
        REQUIRE(driver.start(disk.port(), disk.device));
        BlockRequest request;
        CHECK((driver.limits().discard_sectors == 0) == (at == 40));
        CHECK((driver.limits().write_zeroes_sectors == 0) == (at == 52));
        const Result<> sent = at == 40 ? driver.discard(request, 0, 8) : driver.write_zeroes(request, 0, 8);
        REQUIRE_FALSE(sent);
        CHECK(sent.error() == Error::unsupported_request);
        CHECK(driver.stop());
    }
    Rig endless({.size_max = 0xffff'ffff});
    CHECK(endless.driver.limits().segment_bytes == BlockDevice::kMostBytes);
    Rig small({.queue_size = 8});
    CHECK(small.driver.limits().segments == 6);
}

TEST_CASE("blk: a list of pieces is not written to a disk that is read only") {
    Rig rig({.features = {5, 28, 29, 32}});
    Bytes data(512);
    BlockRequest request;
    const std::array<std::span<const std::byte>, 1> list{std::span<const std::byte>(data)};
    const Result<> sent = rig.driver.write(request, 0, list);
    REQUIRE_FALSE(sent);
    CHECK(sent.error() == Error::read_only);
    CHECK(rig.disk.seen.empty());
}

TEST_CASE("blk: an answer that was written but not announced is none when a reset comes") {
    for (const bool direct : {false, true}) {
        Rig rig({.direct = direct});
        rig.disk.automatic = false;
        Bytes data(512);
        BlockRequest request;
        REQUIRE(rig.driver.read(request, 0, data));
        rig.driver.kick();
        rig.disk.collect();
        rig.disk.execute(rig.disk.pending.front()); // the status byte says that all is well
        REQUIRE(rig.driver.stop());
        CHECK(request.done());
        CHECK(request.error == Error::device_reset);
    }
}

TEST_CASE("blk: a device that asked for a reset is not asked for its name") {
    Rig rig;
    rig.disk.device.needs_reset();
    rig.driver.poll();
    REQUIRE(rig.driver.failed());
    CHECK(rig.driver.id().empty());
    CHECK(rig.driver.counters().others == 0);
    CHECK(rig.driver.counters().resets == 0);
}
