// The entropy driver against a device that gives, stalls, and lies about how much it gave.
#include <doctest/doctest.h>
#include <linux/virtio_ids.h>

#include "drivers/entropy/entropy.hpp"
#include "tests/unit/support/fake_device.hpp"

using namespace virtio;

namespace {

struct Rig {
    explicit Rig(std::vector<unsigned> bits = {28, 29, 32}) {
        for (unsigned bit : bits) device.offered.insert(bit);
        device.firewall = &platform.firewall;
        device.on_notify = [this](unsigned) { serve(); };
    }
    ~Rig() {
        static_cast<void>(driver.stop());
        CHECK(device.violations.empty());
        CHECK(platform.live.empty());
    }
    void serve() {
        if (stalled) return;
        while (auto chain = device.take(0)) {
            if (!chain->readable.empty()) device.violations.emplace_back("RNG-001: readable buffer");
            const std::vector<std::uint8_t> bytes(chain->writable_bytes(), next++);
            const std::size_t written = std::min<std::size_t>(gives, bytes.size());
            chain->write(0, bytes.data(), written);
            device.use(0, *chain, claims.value_or(static_cast<std::uint32_t>(written)));
        }
    }
    fake::HostPlatform platform;
    fake::FakeDevice device{{.type = 4, .features = {}, .config = {}, .queue_sizes = {64}}};
    EntropyDevice driver;
    bool stalled = false;
    std::size_t gives = 4096;
    std::optional<std::uint32_t> claims;
    std::uint8_t next = 1;
};

} // namespace

TEST_CASE("entropy: reads what the device wrote, as much as it says") {
    CHECK(kEntropyDeviceType == VIRTIO_ID_RNG);
    Rig rig;
    REQUIRE(rig.driver.start(rig.platform, rig.device));
    std::array<std::byte, 1000> out{};
    CHECK(rig.driver.read(out, 1'000'000) == 256);
    CHECK(out[0] == std::byte{1});
    CHECK(out[255] == std::byte{1});
    CHECK(out[256] == std::byte{0});
    CHECK(rig.driver.read(std::span(out).first(16), 1'000'000) == 16);
    CHECK(out[15] == std::byte{2});
    CHECK(out[16] == std::byte{1});
    rig.gives = 1; // RNG-002: only that one
    CHECK(rig.driver.read(out, 1'000'000) == 1);
    CHECK(out[0] == std::byte{3});
    CHECK(out[1] == std::byte{2});
    CHECK(rig.driver.read(std::span(out).first(0), 1'000'000).error() == Error::empty_request);
    CHECK(rig.driver.counters().bytes == 256 + 16 + 1);
}

TEST_CASE("entropy: trap 12: acknowledges nothing of its own") {
    std::vector<unsigned> all;
    for (unsigned bit = 0; bit < 24; ++bit) all.push_back(bit);
    for (unsigned bit : {28u, 29u, 32u, 34u, 35u, 40u}) all.push_back(bit);
    Rig rig(all);
    REQUIRE(rig.driver.start(rig.platform, rig.device));
    for (unsigned bit = 0; bit < 24; ++bit) CHECK_FALSE(rig.device.accepted.has(bit));
    CHECK((rig.device.accepted & FeatureSet::of(28, 29, 32)) == FeatureSet::of(28, 29, 32));
}

TEST_CASE("entropy: B45: a device without entropy costs a deadline, no reset, and its late answer is not lost") {
    Rig rig;
    REQUIRE(rig.driver.start(rig.platform, rig.device));
    rig.stalled = true;
    std::array<std::byte, 64> out{};
    const std::uint64_t before = rig.platform.clock_ns;
    CHECK(rig.driver.read(out, 5'000'000).error() == Error::timeout);
    CHECK(rig.platform.clock_ns - before < 50'000'000);
    CHECK(rig.driver.read(out, 5'000'000).error() == Error::timeout);
    CHECK(rig.device.resets == 1); // the one at the start
    CHECK(rig.driver.counters().reads == 1);
    rig.stalled = false;
    rig.serve();
    CHECK(rig.driver.read(std::span(out).first(8), 5'000'000) == 8);
    CHECK(out[0] == std::byte{1});
}

TEST_CASE("entropy: B3, B5: a used length that cannot be") {
    for (const std::uint32_t claim : {0u, 65u, 0x7fff'ffffu, 0xffff'ffffu}) {
        Rig rig;
        REQUIRE(rig.driver.start(rig.platform, rig.device));
        rig.claims = claim;
        std::array<std::byte, 64> out{};
        CHECK(rig.driver.read(out, 1'000'000).error() == Error::bad_response);
        CHECK(out[0] == std::byte{0});
        rig.claims.reset();
        CHECK(rig.driver.read(out, 1'000'000) == 64);
    }
}

TEST_CASE("entropy: B1, B40: a broken queue and NEEDS_RESET heal at the next read") {
    Rig rig;
    REQUIRE(rig.driver.start(rig.platform, rig.device));
    rig.stalled = true;
    std::array<std::byte, 64> out{};
    CHECK(rig.driver.read(out, 1000).error() == Error::timeout);
    rig.device.use(0, 0xffff, 1);
    CHECK(rig.driver.read(out, 1'000'000).error() == Error::queue_broken);
    rig.stalled = false;
    CHECK(rig.driver.read(out, 1'000'000) == 64);
    rig.device.needs_reset();
    rig.driver.poll();
    CHECK(rig.driver.failed());
    CHECK(rig.driver.read(out, 1'000'000) == 64);
    CHECK(rig.driver.counters().resets == 2);
}

TEST_CASE("entropy: trap 20: memory of an unconfirmed reset stays the device's; a vanished device is an error") {
    Rig rig;
    REQUIRE(rig.driver.start(rig.platform, rig.device));
    rig.stalled = true;
    std::array<std::byte, 64> out{};
    CHECK(rig.driver.read(out, 1000).error() == Error::timeout);
    const auto chain = rig.device.take(0);
    REQUIRE(chain);
    rig.device.reset_reads = ~std::uint64_t{0};
    CHECK(rig.driver.stop().error() == Error::reset_timeout);
    const std::array<std::uint8_t, 64> late{};
    chain->write(0, late.data(), late.size()); // AddressSanitizer would see freed memory
    CHECK_FALSE(rig.platform.live.empty());
    CHECK(rig.platform.firewall.admits(chain->writable[0].data, 64, fake::Firewall::Access::write));
    CHECK(rig.driver.read(out, 1000).error() == Error::reset_timeout);
    for (const auto& [memory, bytes] : rig.platform.live) std::free(memory);
    rig.platform.live.clear();
}

TEST_CASE("entropy: B49: every allocation may fail, nothing leaks") {
    for (long failing = 1; failing < 10; ++failing) {
        Rig rig;
        rig.platform.allocations_until_failure = failing;
        const Result<> started = rig.driver.start(rig.platform, rig.device);
        if (started) break;
        CHECK(started.error() == Error::out_of_memory);
        CHECK(failing < 9);
    }
}

TEST_CASE("entropy: misuse: second starts, no memory, what was never started, another type's device") {
    EntropyDevice never;
    std::array<std::byte, 64> out{};
    CHECK(never.recover().error() == Error::not_started);
    CHECK(never.poll() == 0);
    CHECK(never.read(out, 1000).error() == Error::not_started);

    Rig rig;
    CHECK(rig.driver.start(rig.platform, rig.device, {.queue_size = 0}).error() == Error::queue_size_invalid);
    CHECK(rig.device.status_writes.empty());
    REQUIRE(rig.driver.start(rig.platform, rig.device));
    CHECK(rig.driver.start(rig.platform, rig.device).error() == Error::already_started);
    CHECK(rig.driver.read(out, 1'000'000) == 64); // it did no harm
    CHECK(rig.driver.read({static_cast<std::byte*>(nullptr), 5}, 1'000'000).error() == Error::invalid_argument);

    fake::FakeDevice disk({.type = 2, .features = FeatureSet::of(32)});
    CHECK(never.start(rig.platform, disk).error() == Error::no_device);
    CHECK(disk.status_writes.empty());
}

TEST_CASE("entropy: while one reads, others are told that it is busy") {
    Rig rig;
    REQUIRE(rig.driver.start(rig.platform, rig.device));
    rig.stalled = true;
    unsigned looks = 0;
    rig.platform.on_wait = [&] {
        ++looks;
        std::array<std::byte, 8> other{};
        CHECK(rig.driver.read(other, 1000).error() == Error::busy);
        CHECK(rig.driver.stop().error() == Error::busy);
        CHECK(rig.driver.recover().error() == Error::busy);
        if (looks < 3) return;
        rig.stalled = false;
        rig.serve();
    };
    std::array<std::byte, 64> out{};
    CHECK(rig.driver.read(out, ~std::uint64_t{0}) == 64); // a deadline beyond the end of time is none
    CHECK(looks == 3);
    CHECK(rig.driver.counters().resets == 0);
}

TEST_CASE("entropy: a late answer goes no further than the buffer that it meets") {
    Rig rig;
    REQUIRE(rig.driver.start(rig.platform, rig.device));
    rig.stalled = true;
    std::array<std::byte, 64> out{};
    CHECK(rig.driver.read(out, 5'000'000).error() == Error::timeout);
    rig.stalled = false;
    rig.serve();
    CHECK(rig.driver.read(std::span(out).first(8), 5'000'000) == 8);
    CHECK(out[7] == std::byte{1});
    CHECK(out[8] == std::byte{0});
}

TEST_CASE("entropy: a change of the configuration that comes with the end is nobody's work") {
    Rig rig;
    REQUIRE(rig.driver.start(rig.platform, rig.device));
    rig.device.config_changed();
    CHECK(rig.driver.stop());
    CHECK(rig.driver.poll() == 0);
}
