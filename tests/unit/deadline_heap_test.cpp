#include "kernel/task/deadline_heap.hpp"

#include <algorithm>
#include <deque>
#include <random>
#include <vector>

#include <doctest/doctest.h>

namespace {

struct Timer : kernel::DeadlineNode<Timer> {
    int number = 0;
};

} // namespace

TEST_CASE("deadlines leave in order, and only when they are due") {
    std::deque<Timer> timers(5);
    kernel::DeadlineHeap<Timer> heap;
    CHECK(heap.earliest() == kernel::DeadlineHeap<Timer>::kNever);
    CHECK(heap.pop_due(~std::uint64_t{0}) == nullptr);
    const std::uint64_t deadlines[] = {50, 10, 40, 20, 30};
    for (std::size_t i = 0; i < 5; ++i) heap.insert(timers[i], deadlines[i]);
    CHECK(heap.earliest() == 10);
    CHECK(heap.pop_due(9) == nullptr);
    CHECK(heap.pop_due(10) == &timers[1]);
    CHECK(!timers[1].has_deadline());
    CHECK(heap.pop_due(10) == nullptr);
    CHECK(heap.pop_due(1000) == &timers[3]);
    CHECK(heap.pop_due(1000) == &timers[4]);
    CHECK(heap.pop_due(1000) == &timers[2]);
    CHECK(heap.pop_due(1000) == &timers[0]);
    CHECK(heap.empty());
}

TEST_CASE("a deadline that is called off in the middle is gone, one that is not in the heap may be removed too") {
    std::deque<Timer> timers(3);
    kernel::DeadlineHeap<Timer> heap;
    heap.remove(timers[0]);
    for (std::size_t i = 0; i < 3; ++i) heap.insert(timers[i], 10 * (i + 1));
    heap.remove(timers[1]);
    heap.remove(timers[1]);
    CHECK(heap.pop_due(100) == &timers[0]);
    CHECK(heap.pop_due(100) == &timers[2]);
    CHECK(heap.empty());
    heap.insert(timers[1], 5);
    CHECK(heap.earliest() == 5);
}

TEST_CASE("random insertions, removals and expiries agree with a sorted list") {
    std::mt19937_64 random(7);
    std::deque<Timer> timers(300);
    std::vector<Timer*> model;
    kernel::DeadlineHeap<Timer> heap;
    std::uint64_t now = 0;
    for (int step = 0; step < 50'000; ++step) {
        Timer& timer = timers[random() % timers.size()];
        switch (random() % 4) {
        case 0:
        case 1:
            if (timer.has_deadline()) break;
            heap.insert(timer, now + random() % 1000);
            model.push_back(&timer);
            break;
        case 2:
            heap.remove(timer);
            std::erase(model, &timer);
            break;
        case 3:
            now += random() % 20;
            while (Timer* due = heap.pop_due(now)) {
                const auto first =
                    std::min_element(model.begin(), model.end(), [](auto* a, auto* b) { return a->deadline() < b->deadline(); });
                REQUIRE(first != model.end());
                REQUIRE(due->deadline() == (*first)->deadline());
                REQUIRE(due->deadline() <= now);
                std::erase(model, due);
            }
            for (Timer* left : model) REQUIRE(left->deadline() > now);
            break;
        }
        const auto first = std::min_element(model.begin(), model.end(), [](auto* a, auto* b) { return a->deadline() < b->deadline(); });
        REQUIRE(heap.earliest() == (first == model.end() ? kernel::DeadlineHeap<Timer>::kNever : (*first)->deadline()));
    }
}
