// The cheapest honest device: nothing is lost, in any feature combination, on one thread and on two.
#include <doctest/doctest.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "tests/referee/referee.hpp"
#include "tests/referee/toy_ring.hpp"

using namespace referee;

namespace {

/// Split or packed, behind one face.
class Cheap {
public:
    Cheap(Memory& memory, const QueueSetup& setup, const CheapOptions& options) : packed_((setup.features & feature::kRingPacked) != 0) {
        std::byte* const descriptors = memory.at(setup.descriptors, 16 * std::uint64_t{setup.size});
        const auto size = static_cast<std::uint16_t>(setup.size);
        if (packed_)
            packed_device_ = {descriptors, memory.at(setup.driver, 4), memory.at(setup.device, 4), size, options};
        else
            split_device_ = {descriptors, memory.at(setup.driver, 6), memory.at(setup.device, 6), size, options};
    }
    unsigned serve(unsigned most) noexcept { return packed_ ? packed_device_.serve(most) : split_device_.serve(most); }
    bool wants_interrupt() noexcept { return packed_ ? packed_device_.wants_interrupt() : split_device_.wants_interrupt(); }
    bool pending() noexcept { return packed_ ? packed_device_.pending() : split_device_.pending(); }

private:
    bool packed_;
    CheapSplit split_device_;
    CheapPacked packed_device_;
};

constexpr std::uint64_t kCombinations[] = {
    0,
    feature::kEventIdx,
    feature::kInOrder,
    feature::kInOrder | feature::kEventIdx,
    feature::kRingPacked,
    feature::kRingPacked | feature::kEventIdx,
    feature::kRingPacked | feature::kInOrder,
    feature::kRingPacked | feature::kInOrder | feature::kEventIdx,
};

CheapOptions options_of(std::uint64_t features, bool want_kicks, std::uint32_t length) {
    return {.event_index = (features & feature::kEventIdx) != 0,
            .in_order = (features & feature::kInOrder) != 0,
            .want_kicks = want_kicks,
            .length = length};
}

} // namespace

TEST_CASE("one thread: every buffer comes back once, kicks and interrupts only where they are asked for") {
    for (const std::uint64_t features : kCombinations)
        for (const bool want_kicks : {false, true}) {
            CAPTURE(features);
            Memory memory{{.size = 1 << 16}};
            toy::Ring ring{memory, 8, features};
            Cheap device{memory, ring.setup(), options_of(features, want_kicks, 8)};
            Random random{5};
            const std::uint64_t data = memory.allocate(16);
            std::uint64_t sent = 0;
            std::uint64_t done = 0;
            unsigned kicks = 0;
            for (int round = 0; round < 2000; ++round) {
                static_cast<void>(ring.arm()); // an interrupt for the next one
                unsigned added = 0;
                while (random.below(4) != 0 && ring.add({{data, 8, true}})) ++added;
                if (added != 0 && random.one_in(2) && ring.add({{data, 8, false}, {data + 8, 8, true}})) ++added;
                sent += added;
                ring.publish();
                const bool kick = ring.needs_kick();
                CHECK(kick == (want_kicks && added != 0));
                kicks += kick ? 1 : 0;
                CHECK(device.pending() == (added != 0));
                unsigned served = 0;
                while (const unsigned some = device.serve(3)) served += some;
                CHECK(served == added);
                CHECK(device.wants_interrupt() == (added != 0));
                CHECK_FALSE(device.wants_interrupt());
                while (const auto back = ring.take()) {
                    CHECK(back->length <= 8);
                    ++done;
                }
                REQUIRE(ring.fault() == nullptr);
                CHECK(done == sent);
            }
            CHECK((kicks != 0) == want_kicks);
        }
}

TEST_CASE("two threads: driver and device at once") {
    constexpr std::uint64_t kBuffers = 4000;
    for (const std::uint64_t features : kCombinations) {
        CAPTURE(features);
        Memory memory{{.size = 1 << 16}};
        toy::Ring ring{memory, 16, features};
        Cheap device{memory, ring.setup(), options_of(features, false, 0)};
        const std::uint64_t data = memory.allocate(16 * 8);
        std::atomic<bool> stop{false};
        std::thread thread{[&] {
            while (!stop.load(std::memory_order_relaxed))
                if (device.serve(5) == 0) std::this_thread::yield();
        }};
        std::uint64_t sent = 0;
        std::uint64_t done = 0;
        while (done < kBuffers && ring.fault() == nullptr) {
            while (sent < kBuffers && ring.add({{data + 8 * (sent % 16), 8, false}})) ++sent;
            ring.publish();
            bool any = false;
            while (ring.take()) {
                ++done;
                any = true;
            }
            if (!any) std::this_thread::yield();
        }
        stop.store(true, std::memory_order_relaxed);
        thread.join();
        CHECK(done == kBuffers);
        CHECK(ring.fault() == nullptr);
    }
}

TEST_CASE("two threads: a judging queue, with a driver that sleeps") {
    for (const std::uint64_t features : kCombinations) {
        CAPTURE(features);
        Memory memory{{.size = 1 << 16}};
        Judge judge;
        toy::Ring ring{memory, 16, features};
        std::atomic<unsigned> interrupts{0};
        Queue queue{memory, judge, {.seed = 3, .order = Order::batches, .notify = Notify::busy, .threaded = true}};
        queue.on_interrupt([&interrupts] { interrupts.fetch_add(1, std::memory_order_release); });
        REQUIRE(queue.enable(ring.setup()));
        const std::uint64_t data = memory.allocate(16 * 16);
        std::atomic<bool> stop{false};
        std::thread thread{[&] {
            while (!stop.load(std::memory_order_relaxed))
                if (queue.step() == 0) std::this_thread::yield();
        }};
        std::uint64_t sent = 0;
        std::uint64_t done = 0;
        while (done < 400 && ring.fault() == nullptr) {
            ring.suppress();
            while (sent < 400 && ring.add({{data + 16 * (sent % 16), 8, false}, {data + 16 * (sent % 16) + 8, 8, true}})) ++sent;
            ring.publish();
            if (ring.needs_kick()) queue.notify(ring.kick_value());
            unsigned taken = 0;
            while (ring.take()) ++taken;
            done += taken;
            const unsigned heard = interrupts.load(std::memory_order_acquire);
            if (taken != 0 || ring.arm()) continue;
            // Asleep until the next interrupt; a lost one would hang here.
            while (interrupts.load(std::memory_order_acquire) == heard && !ring.arm()) std::this_thread::yield();
        }
        stop.store(true, std::memory_order_relaxed);
        thread.join();
        CHECK(done == 400);
        CHECK(ring.fault() == nullptr);
        CHECK_MESSAGE(judge.verdict().clean(), judge.verdict().text());
    }
}

TEST_CASE("two threads: a notification that never comes is found after a second, and the buffer is served") {
    for (const std::uint64_t features : {kCombinations[1], kCombinations[4]}) {
        Memory memory{{.size = 1 << 16}};
        Judge judge;
        toy::Ring ring{memory, 16, features};
        Queue queue{memory, judge, {.threaded = true}};
        REQUIRE(queue.enable(ring.setup()));
        std::atomic<bool> asleep{false};
        std::atomic<bool> stop{false};
        std::thread thread{[&] {
            while (!stop.load(std::memory_order_relaxed)) {
                queue.step();
                asleep.store(true, std::memory_order_release);
            }
        }};
        while (!asleep.load(std::memory_order_acquire)) std::this_thread::yield();
        REQUIRE(ring.add({{memory.allocate(8), 8, true}}));
        ring.publish();
        CHECK(ring.needs_kick());
        while (!ring.take()) std::this_thread::yield();
        stop.store(true, std::memory_order_relaxed);
        thread.join();
        CHECK(judge.verdict().of((features & feature::kRingPacked) != 0 ? "RULE-010" : "NOTIF-011") == Value::violated);
    }
}
