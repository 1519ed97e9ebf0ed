// Front ends outlive their devices: what is in flight ends, whoever asks later is told, nothing stays behind, and the next device is
// driven by the same object.
#include <doctest/doctest.h>

#include <memory>

#include "drivers/balloon/balloon.hpp"
#include "drivers/blk/blk.hpp"
#include "drivers/console/console.hpp"
#include "drivers/entropy/entropy.hpp"
#include "drivers/net/net.hpp"
#include "tests/unit/support/fake_device.hpp"

using namespace virtio;

namespace {

std::unique_ptr<fake::FakeDevice> make_device(std::uint32_t type, unsigned config_bytes, unsigned queues, bool interrupts = true) {
    auto device = std::make_unique<fake::FakeDevice>(fake::FakeDevice::Options{.type = type,
                                                                               .features = FeatureSet::of(28, 29, 32),
                                                                               .config = std::vector<std::uint8_t>(config_bytes),
                                                                               .queue_sizes = std::vector<std::uint16_t>(queues, 16),
                                                                               .messages = static_cast<std::uint16_t>(interrupts ? 8 : 0),
                                                                               .line = interrupts});
    if (type == 2) device->config[0] = 100; // sectors
    device->can_cut_off = true;
    return device;
}

/// Unplugged with the driver's consent, or torn out; the transport is destroyed at once.
enum class How { asked, surprise, polled };
constexpr How kWays[] = {How::asked, How::surprise, How::polled};

template<class Driver> void remove(Driver& driver, std::unique_ptr<fake::FakeDevice>& device, How how) {
    if (how == How::surprise) device->gone = true;
    static_cast<void>(driver.remove());
    CHECK(device->violations.empty());
    CHECK(!driver.device().started());
    CHECK(driver.device().queues().empty());
    device.reset();
    CHECK(driver.device().needs_reset());
    CHECK(driver.recover().error() != Error::none);
    static_cast<void>(driver.remove()); // twice is once
    static_cast<void>(driver.stop());
}

} // namespace

TEST_CASE("removal: a disk") {
    for (const How how : kWays) {
        fake::HostPlatform platform;
        BlockDevice driver;
        for (unsigned round = 0; round < 3; ++round) {
            auto device = make_device(2, 64, 1, how != How::polled);
            device->config[0] = static_cast<std::uint8_t>(100 + round);
            REQUIRE(driver.start(platform, *device));
            CHECK(driver.sectors() == 100 + round);
            std::array<std::byte, 512> sector{};
            BlockRequest request;
            REQUIRE(driver.read(request, 0, sector));
            driver.kick();
            remove(driver, device, how);
            CHECK(request.state == Request::State::done);
            CHECK(request.error == Error::device_gone);
            CHECK(driver.recover().error() == Error::device_gone);
            CHECK(driver.read(request, 0, sector).error() == Error::device_gone);
            CHECK(driver.flush(request).error() == Error::device_gone);
            CHECK(driver.id().empty());
            CHECK(driver.poll() == 0);
            CHECK(driver.sectors() == 0);
            const std::uint64_t before = platform.clock_ns;
            CHECK(!driver.device().wait(before + Device::kWatchdogNs / 2)); // sleeps: there is nothing to look at
            CHECK(platform.live.empty());
        }
    }
    BlockDevice never;
    CHECK(never.recover().error() == Error::not_started);
}

TEST_CASE("removal: a disk that is being polled is asked again") {
    fake::HostPlatform platform;
    auto device = make_device(2, 64, 1);
    device->on_notify = [&](unsigned) {
        while (auto chain = device->take(0)) device->use(0, *chain, 1);
    };
    BlockDevice driver;
    REQUIRE(driver.start(platform, *device));
    struct Ask : BlockRequest {
        BlockDevice* driver = nullptr;
        Error answer = Error::none;
    } request;
    request.driver = &driver;
    request.complete = [](Request& done) noexcept {
        auto& ask = static_cast<Ask&>(done);
        const Result<> removed = ask.driver->remove();
        ask.answer = removed ? Error::none : removed.error();
    };
    std::array<std::byte, 512> sector{};
    REQUIRE(driver.read(request, 0, sector));
    driver.kick();
    static_cast<void>(driver.poll());
    CHECK(request.answer == Error::busy);
    CHECK(driver.device().started());
    remove(driver, device, How::asked);
    CHECK(platform.live.empty());
}

TEST_CASE("removal: a network card") {
    for (const How how : kWays) {
        fake::HostPlatform platform;
        NetDevice driver;
        unsigned returned = 0;
        NetDevice::Options options;
        options.random = [](std::span<std::uint8_t> out) noexcept {
            for (std::uint8_t& byte : out) byte = 2;
        };
        options.client = {.context = &returned,
                          .received = nullptr,
                          .transmitted = [](void* context, void*) noexcept { ++*static_cast<unsigned*>(context); },
                          .link_changed = nullptr};
        for (unsigned round = 0; round < 3; ++round) {
            auto device = make_device(1, 64, 2, how != How::polled);
            REQUIRE(driver.start(platform, *device, options));
            CHECK(driver.link_up());
            std::array<std::byte, 64> frame{};
            const std::array<std::span<const std::byte>, 1> fragments{frame};
            REQUIRE(driver.transmit({.fragments = fragments, .cookie = &frame}));
            driver.flush();
            remove(driver, device, how);
            CHECK(returned == round + 1);
            CHECK(driver.state() == Error::device_gone);
            CHECK(!driver.link_up());
            CHECK(driver.transmit({.fragments = fragments, .cookie = &frame}).error() == Error::device_gone);
            CHECK(driver.poll(10) == 0);
            CHECK(platform.live.empty());
        }
    }
}

TEST_CASE("removal: an entropy source") {
    for (const How how : kWays) {
        fake::HostPlatform platform;
        EntropyDevice driver;
        for (unsigned round = 0; round < 3; ++round) {
            auto device = make_device(4, 0, 1, how != How::polled);
            REQUIRE(driver.start(platform, *device));
            std::array<std::byte, 16> out{};
            CHECK(driver.read(out, 1'000'000).error() == Error::timeout); // the request stays with the device
            Error during = Error::none;
            platform.on_wait = [&] {
                if (const Result<> removed = driver.remove(); !removed) during = removed.error();
            };
            CHECK(driver.read(out, 1'000'000).error() == Error::timeout);
            platform.on_wait = nullptr;
            CHECK(during == Error::busy); // somebody was waiting for it
            remove(driver, device, how);
            CHECK(driver.read(out, 1'000'000).error() == Error::device_gone);
            CHECK(driver.recover().error() == Error::device_gone);
            CHECK(platform.live.empty());
        }
    }
}

TEST_CASE("removal: console and balloon") {
    for (const How how : kWays) {
        fake::HostPlatform platform;
        ConsoleDevice console;
        BalloonDevice balloon;
        for (unsigned round = 0; round < 3; ++round) {
            auto terminal = make_device(3, 12, 2, how != How::polled);
            REQUIRE(console.start(platform, *terminal, {}));
            remove(console, terminal, how);
            CHECK(console.poll() == 0);
            auto memory = make_device(5, 16, 2, how != How::polled);
            REQUIRE(balloon.start(platform, *memory, {}));
            const std::uint32_t page = 5;
            REQUIRE(balloon.inflate({&page, 1}));
            remove(balloon, memory, how);
            CHECK(balloon.inflate({&page, 1}).error() == Error::not_started);
            CHECK(balloon.poll() == 0);
            CHECK(platform.live.empty());
        }
    }
}
