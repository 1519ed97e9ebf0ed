// The balloon driver against a host on the fake device: numbers, answers, statistics, reports, lies, resets.
#include <doctest/doctest.h>

#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "drivers/balloon/balloon.hpp"
#include "tests/unit/support/fake_device.hpp"

using namespace virtio;

namespace {

constexpr std::array kStatistics{BalloonStatistic::free_memory, BalloonStatistic::total_memory, BalloonStatistic::available_memory};

struct Owner : BalloonObserver {
    std::vector<std::pair<BalloonChange, Error>> seen;
    std::uint64_t asked = 0;
    Owner() {
        changed = [](BalloonObserver& observer, BalloonChange change, Error error) noexcept {
            static_cast<Owner&>(observer).seen.emplace_back(change, error);
        };
        statistic = [](BalloonObserver& observer, BalloonStatistic which) noexcept {
            return std::uint64_t{100} * static_cast<unsigned>(which) + ++static_cast<Owner&>(observer).asked * 1'000'000;
        };
    }
};

struct Host {
    struct Options {
        FeatureSet features = FeatureSet::of(0u, 1u, 2u, 3u, 4u, 5u, RingFeature::event_idx, RingFeature::version_1);
        std::vector<std::uint16_t> queues{128, 128, 128, 128, 32};
        std::uint16_t messages = 8;
    };
    Host() : Host(Options{}) {}
    explicit Host(const Options& options)
        : device({.type = 5,
                  .features = options.features,
                  .config = std::vector<std::uint8_t>(16),
                  .queue_sizes = options.queues,
                  .messages = options.messages}) {
        device.firewall = &platform.firewall;
        device.on_notify = [this](unsigned queue) { notified(queue); };
        device.on_config_write = [this](std::size_t offset, unsigned width, std::uint32_t value) {
            CHECK(offset == 4); // `actual`, and nothing else is ever written
            CHECK(width == 4);
            actual = value;
        };
    }
    bool start(BalloonDevice::Options options = {}) {
        if (options.observer == nullptr) options.observer = &owner;
        options.statistics = kStatistics;
        const bool started = balloon.start(platform, device, options).has_value();
        settle();
        return started;
    }
    void set_target(std::uint32_t target) {
        std::memcpy(device.config.data(), &target, 4);
        device.config_changed();
    }
    void settle() {
        for (int i = 0; i < 100; ++i)
            if (balloon.poll() == 0 && !balloon.device().event().pending()) return;
    }
    std::vector<std::uint32_t> numbers(const fake::Chain& chain) {
        CHECK(chain.writable.empty());
        CHECK(chain.readable_bytes() % 4 == 0);
        CHECK(chain.readable_bytes() <= 1024);
        std::vector<std::uint32_t> list(chain.readable_bytes() / 4);
        chain.read(0, list.data(), chain.readable_bytes());
        return list;
    }
    void notified(unsigned queue) {
        if (!answering) return;
        if (queue == 0 || queue == 1) {
            while (const auto chain = device.take(queue)) {
                for (const std::uint32_t page : numbers(*chain)) {
                    if (queue == 0)
                        CHECK(pages.insert(page).second);
                    else
                        CHECK(pages.erase(page) == 1); // only what was given, and only once
                }
                device.use(queue, *chain, lie);
            }
        } else if (queue == report_queue) {
            while (const auto chain = device.take(queue)) {
                CHECK(chain->readable.empty());
                for (const fake::Part& part : chain->writable) {
                    std::memset(part.data, 0xdd, part.length); // discarded
                    reported += part.length;
                }
                device.use(queue, *chain, lie);
            }
        }
    }
    std::vector<std::uint32_t> range(std::uint32_t first, std::uint32_t count) {
        std::vector<std::uint32_t> made(count);
        std::iota(made.begin(), made.end(), first);
        return made;
    }
    void finish() {
        CHECK(device.violations.empty());
        for (const std::string& violation : device.violations) MESSAGE(violation);
        CHECK(balloon.device().watchdog_rescues() == 0);
        CHECK(balloon.stop().has_value());
        CHECK(platform.live.empty());
    }

    fake::HostPlatform platform;
    fake::FakeDevice device;
    Owner owner;
    std::set<std::uint32_t> pages;
    std::uint32_t actual = 0xffff'ffff;
    std::uint32_t lie = 0;
    std::uint64_t reported = 0;
    unsigned report_queue = 4;
    bool answering = true;
    BalloonDevice balloon;
};

} // namespace

TEST_CASE("negotiation: what is implemented, and nothing else (trap 12)") {
    Host plain;
    REQUIRE(plain.start());
    CHECK(plain.device.accepted - FeatureSet::of(RingFeature::ring_packed) ==
          FeatureSet::of(0u, 1u, RingFeature::event_idx, RingFeature::version_1)); // BALLOON-001, BALLOON-002
    CHECK_FALSE(plain.balloon.can_report());
    plain.finish();

    Host all;
    REQUIRE(all.start({.reporting = true, .deflate_on_oom = true}));
    CHECK(all.device.accepted - FeatureSet::of(RingFeature::ring_packed) ==
          FeatureSet::of(0u, 1u, 2u, 5u, RingFeature::event_idx, RingFeature::version_1));
    CHECK(all.balloon.can_report());
    all.finish();

    Host without;
    CHECK(without.balloon.start(without.platform, without.device).has_value()); // no observer: no statistics
    CHECK(without.device.accepted - FeatureSet::of(RingFeature::ring_packed) ==
          FeatureSet::of(0u, RingFeature::event_idx, RingFeature::version_1));
    without.finish();
}

TEST_CASE("inflate and deflate: 256 numbers at most, in 4 KiB units, actual follows (trap 36)") {
    for (const bool event_index : {true, false}) {
        Host host;
        if (!event_index) host.device.offered.erase(RingFeature::event_idx);
        REQUIRE(host.start());
        CHECK(host.balloon.inflate(host.range(1000, 256)).has_value());
        CHECK(host.balloon.inflating());
        host.settle();
        CHECK_FALSE(host.balloon.inflating());
        CHECK(host.pages.size() == 256);
        CHECK(*host.pages.begin() == 1000);
        CHECK(host.actual == 256);
        CHECK(host.balloon.pages() == 256);
        CHECK(host.balloon.inflate(host.range(1, 257)).error() == Error::invalid_argument);
        CHECK(host.balloon.inflate({}).error() == Error::invalid_argument);
        CHECK(host.balloon.deflate(host.range(1000, 100)).has_value());
        host.settle();
        CHECK(host.actual == 156);
        CHECK(host.pages.size() == 156);
        CHECK(host.balloon.deflate(host.range(1100, 157)).error() == Error::invalid_argument); // more than there are
        CHECK(host.balloon.deflate(host.range(1100, 156)).has_value());
        host.settle();
        CHECK(host.actual == 0);
        CHECK(host.owner.seen == std::vector<std::pair<BalloonChange, Error>>{{BalloonChange::inflated, Error::none},
                                                                              {BalloonChange::deflated, Error::none},
                                                                              {BalloonChange::deflated, Error::none}});
        host.finish();
    }
}

TEST_CASE("BALLOON-011, 013, 014: an answer is an answer, and nothing happens before it") {
    Host host;
    REQUIRE(host.start());
    host.answering = false;
    CHECK(host.balloon.inflate(host.range(10, 10)).has_value());
    host.settle();
    CHECK(host.balloon.inflating());
    CHECK(host.owner.seen.empty());
    CHECK(host.balloon.pages() == 0);
    CHECK(host.actual == 0xffff'ffff); // never written yet
    CHECK(host.balloon.inflate(host.range(30, 1)).error() == Error::busy);
    CHECK(host.balloon.deflate(host.range(10, 1)).error() == Error::invalid_argument); // not answered, so not in the balloon
    host.answering = true;
    host.notified(0);
    host.settle();
    CHECK(host.balloon.pages() == 10);
    CHECK(host.actual == 10);
    host.finish();
}

TEST_CASE("the target is the host's number as it stands, whatever it is (B43)") {
    Host host;
    REQUIRE(host.start());
    std::size_t told = 0;
    for (const std::uint32_t target : {1u, 0u, 0xffff'ffffu, 5u, 0x8000'0000u, 0u}) {
        host.set_target(target);
        host.settle();
        CHECK(host.balloon.target() == target);
        CHECK(host.owner.seen.size() == ++told);
    }
    host.device.config_changed(); // without a change: silence
    host.settle();
    CHECK(host.owner.seen.size() == told);
    host.device.generation_always_changes = true; // B35: a single 32-bit field needs no second look
    host.set_target(77);
    host.settle();
    CHECK((host.balloon.target() == 77 || host.balloon.target() == 0));
    host.device.generation_always_changes = false;
    host.finish();
}

TEST_CASE("statistics: one buffer, filled from the start, the same ones each time (BALLOON-019..026)") {
    Host host;
    REQUIRE(host.start());
    CHECK(host.device.available(2) == 1);
    std::vector<std::uint64_t> before(kStatistics.size());
    for (int round = 0; round < 70'000; ++round) {
        const auto chain = host.device.take(2);
        REQUIRE(chain.has_value());
        CHECK_FALSE(host.device.take(2).has_value());
        REQUIRE(chain->writable.empty());
        REQUIRE(chain->readable_bytes() == 10 * kStatistics.size());
        for (std::size_t i = 0; i < kStatistics.size(); ++i) {
            std::uint16_t tag = 0;
            std::uint64_t value = 0;
            chain->read(10 * i, &tag, 2);
            chain->read(10 * i + 2, &value, 8);
            REQUIRE(tag == static_cast<std::uint16_t>(kStatistics[i]));
            REQUIRE(value % 1'000'000 == 100u * tag);
            REQUIRE(value > before[i]); // asked anew
            before[i] = value;
        }
        host.device.use(2, *chain, round % 2 == 0 ? 0 : 0xffff'ffffu);
        host.balloon.poll();
    }
    host.finish();
}

TEST_CASE("reporting: pieces that the device may overwrite, out of reach until the answer") {
    struct Numbering {
        std::vector<std::uint16_t> queues;
        bool hint, statistics;
        unsigned index;
    };
    // The specification's number, QEMU's without the hint queue, and a device that counts on without statistics too.
    for (const Numbering& numbering : {Numbering{{8, 8, 8, 8, 32}, true, true, 4}, Numbering{{8, 8, 8, 0, 32}, false, true, 4},
                                       Numbering{{8, 8, 8, 32}, false, true, 3}, Numbering{{8, 8, 32}, false, false, 2}}) {
        Host::Options options;
        options.queues = numbering.queues;
        if (!numbering.hint) options.features.erase(BalloonFeature::free_page_hint);
        if (!numbering.statistics) options.features.erase(BalloonFeature::stats_vq);
        Host host(options);
        host.report_queue = numbering.index;
        REQUIRE(host.start({.reporting = true}));
        REQUIRE(host.balloon.can_report());
        std::vector<std::byte> memory(64 * 4096, std::byte{1});
        std::vector<Segment> pieces;
        host.platform.firewall.allow(memory.data(), memory.size());
        for (std::size_t i = 0; i < 8; ++i) pieces.push_back({host.platform.dma_address(memory.data() + i * 8 * 4096), 4096});
        host.answering = false;
        CHECK(host.balloon.report(pieces).has_value());
        CHECK(host.balloon.report(pieces).error() == Error::busy);
        CHECK(host.owner.seen.empty());
        host.answering = true;
        host.notified(numbering.index);
        host.settle();
        CHECK_FALSE(host.balloon.reporting());
        CHECK(host.owner.seen.back() == std::pair{BalloonChange::reported, Error::none});
        CHECK(host.reported == 8 * 4096);
        CHECK(memory[0] == std::byte{0xdd});
        CHECK(memory[4096] == std::byte{1});
        CHECK(host.balloon.report({}).error() == Error::invalid_argument);
        CHECK(host.balloon.report(std::vector<Segment>(33, pieces[0])).error() == Error::invalid_argument);
        host.finish();
    }
    Host without;
    REQUIRE(without.start());
    const Segment piece{{0x1000}, 4096};
    CHECK(without.balloon.report({&piece, 1}).error() == Error::unsupported_request);
    without.finish();
}

TEST_CASE("used lengths mean nothing here (B3, B5)") {
    for (const std::uint32_t length : {0u, 1u, 1024u, 0x8000'0000u, 0xffff'ffffu}) {
        Host host;
        host.lie = length;
        REQUIRE(host.start({.reporting = true}));
        CHECK(host.balloon.inflate(host.range(1, 100)).has_value());
        host.settle();
        CHECK(host.balloon.pages() == 100);
        host.finish();
    }
}

TEST_CASE("B28: 70,000 requests past the wrap") {
    Host host;
    REQUIRE(host.start());
    for (std::uint32_t i = 0; i < 70'000; ++i) {
        const std::uint32_t page = i * 7919 % 1'000'003;
        REQUIRE(host.balloon.inflate({&page, 1}).has_value());
        host.balloon.poll();
        REQUIRE(host.balloon.pages() == 1);
        REQUIRE(host.balloon.deflate({&page, 1}).has_value());
        host.balloon.poll();
        REQUIRE(host.balloon.pages() == 0);
    }
    CHECK(host.pages.empty());
    host.finish();
}

TEST_CASE("B1, B2, B7: a broken queue; recovery ends what was in flight, keeps the balloon and tells actual again") {
    for (const int lie : {0, 1, 2}) {
        Host host;
        REQUIRE(host.start());
        CHECK(host.balloon.inflate(host.range(1, 50)).has_value());
        host.settle();
        host.owner.seen.clear();
        host.answering = false;
        CHECK(host.balloon.inflate(host.range(100, 50)).has_value());
        CHECK(host.balloon.deflate(host.range(1, 10)).has_value());
        switch (lie) {
        case 0: host.device.use(0, 0xfffeu, 0); break;
        case 1: host.device.use(1, 9u, 0); break;
        case 2: host.device.poke_used_index(0, 1'000); break;
        }
        host.device.interrupt_queue(0);
        host.settle();
        CHECK(host.balloon.needs_recovery());
        host.actual = 0;
        host.answering = true;
        CHECK(host.balloon.recover().has_value());
        host.settle();
        CHECK_FALSE(host.balloon.needs_recovery());
        CHECK_FALSE(host.balloon.inflating());
        CHECK_FALSE(host.balloon.deflating());
        CHECK(host.owner.seen == std::vector<std::pair<BalloonChange, Error>>{{BalloonChange::inflated, Error::device_reset},
                                                                              {BalloonChange::deflated, Error::device_reset}});
        CHECK(host.balloon.pages() == 50);
        CHECK(host.actual == 50);
        CHECK(host.balloon.deflate(host.range(1, 50)).has_value());
        host.settle();
        CHECK(host.actual == 0);
        CHECK(host.device.available(2) == 1); // the statistics buffer is back
        host.finish();
    }
}

TEST_CASE("balloon: B40: DEVICE_NEEDS_RESET is noticed and healed; another life's target is news") {
    Host host;
    REQUIRE(host.start());
    CHECK(host.balloon.inflate(host.range(1, 50)).has_value());
    host.settle();
    host.device.needs_reset();
    host.settle();
    REQUIRE(host.balloon.needs_recovery());
    CHECK(host.balloon.recover().has_value());
    host.settle();
    CHECK_FALSE(host.balloon.needs_recovery());
    CHECK(host.balloon.pages() == 50);
    CHECK(host.balloon.deflate(host.range(1, 50)).has_value());
    host.settle();
    host.finish();
}

TEST_CASE("B37, trap 20: a reset with requests in flight; one that is never confirmed keeps pages and memory") {
    for (const bool confirmed : {true, false}) {
        Host host;
        REQUIRE(host.start());
        host.answering = false;
        CHECK(host.balloon.inflate(host.range(1, 50)).has_value());
        if (!confirmed) host.device.reset_reads = ~std::uint64_t{0};
        CHECK(host.balloon.stop().has_value() == confirmed);
        CHECK(host.balloon.inflating() != confirmed); // nobody may think that those pages came back
        CHECK(host.platform.live.empty() == confirmed);
        if (confirmed) CHECK(host.owner.seen.back() == std::pair{BalloonChange::inflated, Error::closed});
        CHECK(host.balloon.inflate(host.range(1, 1)).error() == Error::not_started);
        CHECK(host.balloon.poll() == 0);
    }
}

TEST_CASE("R13: every allocation that can fail does") {
    bool all_made = false;
    for (long failing = 1; failing < 50 && !all_made; ++failing) {
        Host host;
        host.platform.allocations_until_failure = failing;
        all_made = host.start({.reporting = true});
        CHECK(host.device.violations.empty());
        if (all_made) CHECK(host.balloon.stop().has_value());
        CHECK(host.platform.live.empty());
    }
    CHECK(all_made);
}

TEST_CASE("B41: the device vanishes") {
    Host host;
    REQUIRE(host.start());
    host.device.gone = true;
    host.answering = false;
    CHECK(host.balloon.inflate(host.range(1, 1)).has_value());
    host.balloon.on_interrupt(0);
    host.settle();
    CHECK(host.balloon.inflating());
    CHECK_FALSE(host.balloon.stop().has_value());
    Host never;
    never.device.gone = true;
    CHECK_FALSE(never.start());
}

TEST_CASE("every kind of interrupts works, and lost ones are healed (B24, B26)") {
    for (const std::uint16_t messages : std::initializer_list<std::uint16_t>{0, 1, 2, 8}) {
        Host::Options options;
        options.messages = messages;
        Host host(options);
        REQUIRE(host.start());
        CHECK(host.balloon.inflate(host.range(1, 5)).has_value());
        CHECK(host.balloon.device().event().pending());
        host.settle();
        host.set_target(9);
        CHECK(host.balloon.device().event().pending());
        host.settle();
        CHECK(host.balloon.target() == 9);
        host.finish();
    }
    Host host;
    REQUIRE(host.start());
    host.device.drop_interrupts = true;
    CHECK(host.balloon.inflate(host.range(1, 5)).has_value());
    const std::uint64_t start = host.platform.clock_ns;
    for (int i = 0; i < 100 && host.balloon.inflating(); ++i) {
        host.balloon.device().wait(~std::uint64_t{0});
        host.balloon.poll();
    }
    CHECK(host.balloon.pages() == 5);
    CHECK(host.platform.clock_ns - start <= 2 * Device::kWatchdogNs);
    CHECK(host.balloon.device().watchdog_rescues() == 1);
}

TEST_CASE("misuse: second starts, too many statistics, what was never started") {
    BalloonDevice never;
    CHECK(never.recover().error() == Error::not_started);
    CHECK(never.poll() == 0);
    CHECK(never.report({}).error() == Error::not_started);
    CHECK(never.inflate({}).error() == Error::not_started);

    Host host;
    const std::vector<BalloonStatistic> many(kBalloonStatistics + 1, BalloonStatistic::free_memory);
    CHECK(host.balloon.start(host.platform, host.device, {.observer = &host.owner, .statistics = many}).error() == Error::invalid_argument);
    REQUIRE(host.start());
    CHECK(host.balloon.start(host.platform, host.device).error() == Error::already_started);
    CHECK(host.balloon.inflate(host.range(1, 10)).has_value()); // it did no harm
    CHECK(host.balloon.inflate({}).error() == Error::invalid_argument);
    host.settle();
    CHECK(host.balloon.pages() == 10);
    CHECK(host.pages.size() == 10);
    host.answering = false;
    CHECK(host.balloon.inflate(host.range(20, 10)).has_value());
    CHECK(host.balloon.inflate({}).error() == Error::invalid_argument); // it will never do, busy or not
    host.answering = true;
    host.notified(0);
    host.settle();
    host.set_target(9);
    CHECK(host.balloon.stop().has_value());
    host.owner.seen.clear();
    CHECK(host.balloon.poll() == 0); // a late word of the host's is for nobody
    CHECK(host.owner.seen.empty());
    CHECK(host.device.violations.empty());
}

TEST_CASE("an owner who wants no news, or gives no statistics") {
    struct Quiet {
        bool observer, changed, statistic, list;
    };
    for (const Quiet& quiet :
         {Quiet{false, true, true, true}, Quiet{true, false, true, true}, Quiet{true, true, false, true}, Quiet{true, true, true, false}}) {
        Host host;
        BalloonDevice::Options options;
        if (quiet.observer) options.observer = &host.owner;
        if (!quiet.changed) host.owner.changed = nullptr;
        if (!quiet.statistic) host.owner.statistic = nullptr;
        if (quiet.list) options.statistics = kStatistics;
        REQUIRE(host.balloon.start(host.platform, host.device, options).has_value());
        CHECK(host.device.accepted.has(BalloonFeature::stats_vq) == (quiet.observer && quiet.statistic && quiet.list));
        CHECK(host.balloon.inflate(host.range(1, 10)).has_value());
        host.settle();
        CHECK(host.balloon.pages() == 10);
        host.set_target(3);
        host.settle();
        CHECK(host.balloon.target() == 3);
        host.finish();
    }
}

TEST_CASE("reporting: a queue that is not where the device promises, and one that is found behind a gap") {
    Host::Options options;
    options.features.erase(BalloonFeature::stats_vq);
    options.queues = {8, 8, 0, 8, 0}; // hints where reports might be thought to be, and no queue for those
    Host without{options};
    CHECK_FALSE(without.start({.reporting = true}));
    CHECK(without.platform.live.empty());

    options.features.erase(BalloonFeature::free_page_hint);
    options.queues = {8, 8, 0, 32, 0};
    Host third{options};
    REQUIRE(third.start({.reporting = true}));
    CHECK(third.device.queues[3].enabled);
    CHECK(third.balloon.can_report());
    third.finish();
}

TEST_CASE("trap 20: what a device that never confirms its reset was given stays with it") {
    Host host;
    REQUIRE(host.start());
    host.answering = false;
    CHECK(host.balloon.inflate(host.range(1, 50)).has_value());
    const auto chain = host.device.take(0);
    REQUIRE(chain);
    host.device.reset_reads = ~std::uint64_t{0};
    CHECK(host.balloon.stop().error() == Error::reset_timeout);
    CHECK(host.platform.firewall.admits(chain->readable[0].data, chain->readable[0].length, fake::Firewall::Access::read));
    CHECK(host.balloon.inflating()); // nobody was told of an end
}

TEST_CASE("a device that does not take the number of pages needs a recovery") {
    Host host;
    REQUIRE(host.start());
    CHECK_FALSE(host.balloon.needs_recovery());
    host.device.config.resize(6);
    CHECK(host.balloon.inflate(host.range(1, 50)).has_value());
    host.settle();
    CHECK(host.balloon.needs_recovery());
}
