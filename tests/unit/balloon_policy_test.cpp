// What the balloon gives and takes next, for any target; and the record of what it has.
#include <doctest/doctest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "kernel/balloon/page_record.hpp"
#include "kernel/balloon/policy.hpp"

using namespace kernel;

namespace {
using Kind = BalloonStep::Kind;

struct Machine {
    BalloonSituation now;
    std::uint64_t total = 32'768, used = 8'192;

    /// Runs until the balloon rests; false if it never does.
    bool settle(unsigned limit = 1'000) {
        for (unsigned i = 0; i < limit; ++i) {
            now.free = total - used - now.pages;
            const BalloonStep step = next_balloon_step(now);
            if (step.kind == Kind::rest) return true;
            REQUIRE(step.count > 0);
            REQUIRE(step.count <= kBalloonBatch);
            if (step.kind == Kind::give) {
                REQUIRE(now.free - step.count >= now.floor); // never below the floor
                now.pages += step.count;
            } else {
                REQUIRE(step.count <= now.pages);
                now.pages -= step.count;
            }
        }
        return false;
    }
};
} // namespace

TEST_CASE("B43: any target comes to rest, above the floor") {
    for (const std::uint64_t target : {0ull, 1ull, 255ull, 256ull, 257ull, 16'384ull, 32'768ull, 0x7fff'ffffull, 0xffff'ffffull}) {
        Machine machine;
        machine.now = {.target = target, .floor = 3'072, .low = 2'048};
        CHECK(machine.settle());
        const std::uint64_t most = machine.total - machine.used - machine.now.floor;
        CHECK(machine.now.pages == std::min(target, most));
        machine.now.target = 0;
        CHECK(machine.settle());
        CHECK(machine.now.pages == 0);
    }
}

TEST_CASE("B43: an oscillating target never takes more steps than its distance") {
    Machine machine;
    machine.now = {.floor = 3'072, .low = 2'048};
    std::mt19937 random(3);
    for (int i = 0; i < 2'000; ++i) {
        machine.now.target = random() % 3 == 0 ? random() : random() % 40'000;
        CHECK(machine.settle(32'768 / kBalloonBatch + 2));
    }
}

TEST_CASE("BALLOON-008: pages are taken back against the host's wish only where it allows that") {
    for (const bool allowed : {false, true}) {
        Machine machine;
        machine.now = {.target = 0xffff'ffff, .floor = 3'072, .low = 2'048, .may_take_back = allowed};
        CHECK(machine.settle());
        const std::uint64_t before = machine.now.pages;
        machine.used += 2'000; // programs take what is left
        CHECK(machine.settle());
        if (allowed)
            CHECK(machine.now.pages < before);
        else
            CHECK(machine.now.pages == before);
        // Somebody needs more than there is.
        machine.now.free = machine.total - machine.used - machine.now.pages;
        machine.now.needed = 5'000;
        const BalloonStep step = next_balloon_step(machine.now);
        CHECK((step.kind == Kind::take_back) == allowed);
    }
}

TEST_CASE("giving and taking back never chase each other: between low and floor the balloon rests") {
    for (std::uint64_t free = 0; free < 8'000; ++free) {
        const BalloonSituation now{.target = 10'000, .pages = 5'000, .free = free, .floor = 3'072, .low = 2'048, .may_take_back = true};
        const BalloonStep step = next_balloon_step(now);
        if (step.kind == Kind::rest) continue;
        BalloonSituation after = now;
        if (step.kind == Kind::give) {
            after.pages += step.count;
            after.free -= step.count;
        } else {
            after.pages -= step.count;
            after.free += step.count;
        }
        const BalloonStep next = next_balloon_step(after);
        CHECK((next.kind == Kind::rest || next.kind == step.kind));
    }
}

TEST_CASE("the record gives back exactly what it got, and its storage") {
    PageRecord record;
    std::mt19937 random(11);
    std::multiset<std::uint32_t> in;
    std::set<void*> storage;
    std::uint32_t descending = 1'000'000;
    CHECK_FALSE(record.push(1));
    for (int round = 0; round < 3'000; ++round) {
        std::vector<std::uint32_t> numbers(random() % kBalloonBatch + 1);
        if (random() % 2 == 0) {
            while (record.room() < numbers.size()) {
                void* page = std::aligned_alloc(4096, 4096);
                storage.insert(page);
                record.add_storage(page);
            }
            for (std::uint32_t& number : numbers) {
                number = random() % 4 == 0 ? static_cast<std::uint32_t>(random()) : --descending;
                CHECK(record.push(number));
                in.insert(number);
            }
        } else {
            const std::size_t count = record.pop(numbers);
            CHECK(count == std::min(numbers.size(), in.size()));
            for (std::size_t i = 0; i < count; ++i) {
                const auto found = in.find(numbers[i]);
                REQUIRE(found != in.end());
                in.erase(found);
            }
        }
        CHECK(record.size() == in.size());
        while (void* page = record.take_spare_storage()) {
            REQUIRE(storage.erase(page) == 1);
            std::free(page);
        }
    }
    std::vector<std::uint32_t> rest(in.size() + 1);
    CHECK(record.pop(rest) == in.size());
    while (void* page = record.take_any_storage()) {
        REQUIRE(storage.erase(page) == 1);
        std::free(page);
    }
    CHECK(storage.empty());
    CHECK(record.room() == 0);
}

TEST_CASE("the record is small where neighbours are given: 1 GiB in one page of storage") {
    PageRecord record;
    void* page = std::aligned_alloc(4096, 4096);
    record.add_storage(page);
    for (std::uint32_t number = 300'000; number > 300'000 - 262'144; --number) REQUIRE(record.push(number));
    CHECK(record.size() == 262'144);
    CHECK(record.room() > 400);
    std::free(page);
}
