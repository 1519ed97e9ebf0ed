#include "kernel/log/log_ring.hpp"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

using kernel::LogCursor;
using kernel::LogLevel;
using kernel::LogLine;
using kernel::LogRing;

TEST_CASE("what was appended is read back, with time and level") {
    auto ring = std::make_unique<LogRing>();
    LogCursor cursor;
    LogLine line;
    CHECK(!ring->read(cursor, line));
    ring->append(LogLevel::warning, 1'234'567'000, "one");
    ring->append(LogLevel::debug, 2'000'000'000'000, "");
    REQUIRE(ring->read(cursor, line));
    CHECK(line.text() == "one");
    CHECK(line.time_ns == 1'234'567'000);
    CHECK(line.level == LogLevel::warning);
    CHECK(line.sequence == 0);
    REQUIRE(ring->read(cursor, line));
    CHECK(line.text().empty());
    CHECK(line.time_ns == 2'000'000'000'000);
    CHECK(line.level == LogLevel::debug);
    CHECK(!ring->read(cursor, line));
    CHECK(cursor.lost == 0);
}

TEST_CASE("lines longer than a slot come back whole, the longest is cut") {
    for (std::size_t length : {std::size_t{1}, kernel::kLogSlotText - 1, kernel::kLogSlotText, kernel::kLogSlotText + 1,
                               kernel::kLogTextMax, kernel::kLogTextMax + 1, kernel::kLogTextMax + 500}) {
        auto ring = std::make_unique<LogRing>();
        std::string text;
        for (std::size_t i = 0; i < length; ++i) text.push_back(static_cast<char>('a' + i % 26));
        ring->append(LogLevel::info, 0, text);
        LogCursor cursor;
        LogLine line;
        REQUIRE(ring->read(cursor, line));
        CHECK(line.text() == text.substr(0, kernel::kLogTextMax));
        CHECK(!ring->read(cursor, line));
    }
}

TEST_CASE("the oldest lines are overwritten and a reader counts what it lost") {
    auto ring = std::make_unique<LogRing>();
    for (std::size_t i = 0; i < LogRing::kSlots + 100; ++i) ring->append(LogLevel::info, 0, std::to_string(i));
    LogCursor cursor;
    LogLine line;
    REQUIRE(ring->read(cursor, line));
    CHECK(line.text() == "100");
    CHECK(cursor.lost == 100);
    std::size_t lines = 1;
    while (ring->read(cursor, line)) ++lines;
    CHECK(lines == LogRing::kSlots);
    CHECK(line.text() == std::to_string(LogRing::kSlots + 99));
}

TEST_CASE("a reader that lands in the middle of a long line goes on with the next one") {
    auto ring = std::make_unique<LogRing>();
    ring->append(LogLevel::info, 0, std::string(kernel::kLogTextMax, 'x'));
    for (std::size_t i = 0; i < LogRing::kSlots - kernel::kLogLineSlots + 2; ++i) ring->append(LogLevel::info, 0, "y");
    LogCursor cursor;
    LogLine line;
    REQUIRE(ring->read(cursor, line));
    CHECK(line.text() == "y");
    CHECK(cursor.lost == kernel::kLogLineSlots);
}

TEST_CASE("several writers and a reader: every line is whole, in each writer's order, and lost ones are counted") {
    auto ring = std::make_unique<LogRing>();
    constexpr int kWriters = 3;
    constexpr int kLines = 20'000;
    std::atomic<int> running{kWriters};
    std::vector<std::thread> writers;
    for (int writer = 0; writer < kWriters; ++writer) {
        writers.emplace_back([&, writer] {
            for (int i = 0; i < kLines; ++i) {
                // "w i i i ...": every number in a line is the same one, so that a torn line shows.
                std::string text(1, static_cast<char>('0' + writer));
                const std::string number = " " + std::to_string(i);
                for (int repeat = 0; repeat < 1 + i % 40; ++repeat) text += number;
                ring->append(LogLevel::info, static_cast<std::uint64_t>(i) * 1000, text);
            }
            --running;
        });
    }
    LogCursor cursor;
    LogLine line;
    std::vector<int> last(kWriters, -1);
    std::uint64_t slots_read = 0;
    bool done = false;
    while (!done) {
        done = running == 0;
        while (ring->read(cursor, line)) {
            const std::string text(line.text());
            const int writer = text.at(0) - '0';
            REQUIRE(writer >= 0);
            REQUIRE(writer < kWriters);
            const int number = std::stoi(text.substr(2));
            std::string expected(1, text[0]);
            for (int repeat = 0; repeat < 1 + number % 40; ++repeat) expected += " " + std::to_string(number);
            REQUIRE(text == expected);
            REQUIRE(line.time_ns == static_cast<std::uint64_t>(number) * 1000);
            REQUIRE(number > last[static_cast<std::size_t>(writer)]);
            last[static_cast<std::size_t>(writer)] = number;
            slots_read += text.size() <= kernel::kLogSlotText ? 1 : (text.size() + kernel::kLogSlotText - 1) / kernel::kLogSlotText;
        }
    }
    for (auto& writer : writers) writer.join();
    while (ring->read(cursor, line)) slots_read += (line.length + kernel::kLogSlotText - 1) / kernel::kLogSlotText;
    // Three threads on a ring of 512 slots may drop a text on collision; whatever is missing has been counted or was never written.
    CHECK(slots_read + cursor.lost >= ring->head() - LogRing::kSlots);
    CHECK(slots_read + cursor.lost <= ring->head());
    CHECK(slots_read > 0);
}
