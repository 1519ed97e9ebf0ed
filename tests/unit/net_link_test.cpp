// A network card as the stack's link: what it costs the stack when the card is out of order.
#include "tests/unit/support/lan.hpp"

#include "kernel/device_manager/net_link.hpp"
#include "kernel/entropy/entropy.hpp"
#include "kernel/log/log.hpp"

using namespace virtio;

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kNever = ~std::uint64_t{0}; // reads until a reset is confirmed

fake::HostPlatform* clock_of = nullptr;

struct Stack final : kernel::LinkClient {
    void received(const kernel::ReceivedFrame&) override {}
    void transmitted(void*) override {}
    void link_changed() override {}
};

/// The stack's task for a link, as NetInterface::run() has it: the core lock is held in poll(), and only there.
struct Rig {
    explicit Rig(bool interrupts = true)
        : device({.type = 1,
                  .features = lan::usual(),
                  .config = lan::config(),
                  .queue_sizes = {64, 64},
                  .messages = static_cast<std::uint16_t>(interrupts ? 8 : 0),
                  .line = interrupts}) {
        clock_of = &platform;
        REQUIRE(link.start(platform, device));
        REQUIRE(link.open(stack));
    }
    ~Rig() { static_cast<void>(link.stop()); }

    void run(std::uint64_t ns) {
        const std::uint64_t end = platform.clock_ns + ns;
        rounds = locked_ns = 0;
        while (platform.clock_ns < end) {
            ++rounds;
            const std::uint64_t begin = platform.clock_ns;
            const bool more = link.poll(64);
            locked_ns += platform.clock_ns - begin;
            if (!more) link.wait(end);
        }
    }
    /// How long it takes until frames can flow again.
    std::uint64_t until_healed() {
        const std::uint64_t begin = platform.clock_ns;
        do run(kSecond / 20);
        while (link.device().state() != Error::none && platform.clock_ns - begin < 1000 * kSecond);
        return platform.clock_ns - begin;
    }

    fake::HostPlatform platform;
    fake::FakeDevice device;
    Stack stack;
    kernel::NetLink link{0};
    std::uint64_t rounds = 0;
    std::uint64_t locked_ns = 0;
};

} // namespace

namespace kernel {
void log(LogLevel, const char*, ...) {}
std::uint64_t now_ns() noexcept { return clock_of->now_ns(); }
void random_bytes(std::span<std::byte> into) {
    for (std::byte& byte : into) byte = std::byte{0xff};
}
void change_link(Link&, void (*change)(void* context), void* context) { change(context); }
} // namespace kernel

TEST_CASE("net link: a card that needs a reset is healed at once; one that breaks again at once, after a pause") {
    Rig rig;
    rig.device.needs_reset();
    CHECK(rig.until_healed() <= kSecond / 10);
    rig.device.needs_reset();
    const std::uint64_t took = rig.until_healed();
    CHECK(took > kSecond / 2);
    CHECK(took < 2 * kSecond);
}

TEST_CASE("net link: trap 20: a card that never confirms its reset keeps the stack's lock a small part of the time only") {
    for (const bool interrupts : {true, false}) {
        Rig rig(interrupts);
        rig.device.reset_reads = kNever;
        rig.device.needs_reset();
        rig.run(60 * kSecond); // several attempts, soon after one another at first
        rig.run(600 * kSecond);
        CHECK(rig.link.device().state() != Error::none);
        CHECK(rig.locked_ns < 600 * kSecond / 20);
        CHECK(rig.rounds < 600 * 20); // nor is it looked at all the time: without interrupts, or since its interrupts are disconnected
        // Come back, it is taken back, and then its next fault costs no more than the first.
        rig.device.reset_reads = 0;
        CHECK(rig.until_healed() < 62 * kSecond);
        rig.run(2 * kSecond);
        rig.device.needs_reset();
        CHECK(rig.until_healed() < kSecond);
    }
}

TEST_CASE("net link: the next card behind a link does not pay for the last one") {
    Rig rig;
    rig.device.reset_reads = kNever;
    rig.device.needs_reset();
    rig.run(600 * kSecond);
    static_cast<void>(rig.link.remove());
    rig.device.reset_reads = 0;
    REQUIRE(rig.link.start(rig.platform, rig.device));
    rig.run(kSecond);
    rig.device.needs_reset();
    CHECK(rig.until_healed() < kSecond);
}
