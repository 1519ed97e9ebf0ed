#include "kernel/log/log.hpp"

#include <string>
#include <vector>

#include "kernel/firmware/command_line.hpp"
#include "kernel/task/task.hpp"
#include "kernel/uart/uart.hpp"
#include "tests/unit/fake_machine.hpp"
#include <doctest/doctest.h>

using fake::machine;
using kernel::LogLevel;

namespace {

std::string serial;
std::string_view log_option;

struct Started {
    Started() { kernel::start_tasks(); }
};
const Started started;

/// A reader that has read everything there is.
kernel::LogReader at_the_end() { return kernel::LogReader(kernel::log_ring().head()); }

} // namespace

namespace kernel {
void early_write(const char* text, std::size_t size) noexcept { serial.append(text, size); }
std::optional<std::string_view> command_line_value(std::string_view key) noexcept {
    return key == "log" && !log_option.empty() ? std::optional(log_option) : std::nullopt;
}
} // namespace kernel

TEST_CASE("a line is printed on the serial port at once, with time and level") {
    serial.clear();
    machine().now = 12'345'678'901;
    kernel::log(LogLevel::info, "hello %d", 42);
    kernel::log(LogLevel::warning, "beware");
    CHECK(serial == "[   12.345678] hello 42\n[   12.345678] warning: beware\n");
}

TEST_CASE("newlines at the end are dropped, inner ones cannot start a line of their own, long lines are cut") {
    auto reader = at_the_end();
    kernel::log(LogLevel::error, "one\ntwo\r\n\n");
    kernel::log(LogLevel::error, "%s", std::string(3000, 'x').c_str());
    kernel::log(LogLevel::error, "%s", "");
    CHECK(reader.next()->text() == "one two");
    CHECK(reader.next()->text() == std::string(kernel::kLogTextMax, 'x'));
    CHECK(reader.next()->text().empty());
    CHECK(!reader.next());
}

TEST_CASE("lines above the level are not kept; log= sets it, and says so if it cannot") {
    auto reader = at_the_end();
    kernel::log(LogLevel::debug, "hidden");
    CHECK(!reader.next());
    log_option = "debug";
    kernel::start_log();
    kernel::log(LogLevel::debug, "shown");
    CHECK(reader.next()->text() == "shown");
    log_option = "error";
    kernel::start_log();
    kernel::log(LogLevel::warning, "hidden");
    CHECK(!reader.next());
    kernel::set_log_level(LogLevel::info);
    log_option = "loud";
    kernel::start_log();
    CHECK(reader.next()->text().starts_with("log=loud: no such level"));
    CHECK(kernel::log_level() == LogLevel::info);
}

TEST_CASE("what an interrupt handler logs is kept, and printed when the processor is about to halt") {
    log_option = "info";
    kernel::start_log();
    serial.clear();
    auto reader = at_the_end();
    machine().interrupt_at(machine().now + 100, [] { kernel::log_from_interrupt(LogLevel::warning, "bad vector", 0x1f0); });
    kernel::sleep_until(machine().now + 1000);
    CHECK(reader.next()->text() == "bad vector: 0x1f0");
    CHECK(serial.find("warning: bad vector: 0x1f0\n") != std::string::npos);
    kernel::log_from_interrupt(LogLevel::info, std::string(500, 'y').c_str(), ~std::uint64_t{0});
    const auto line = reader.next();
    CHECK(line->length <= kernel::kLogSlotText);
    CHECK(line->text().ends_with("y: 0xffffffffffffffff"));
}

TEST_CASE("log() in a handler keeps the words unformatted instead of using what a handler must not") {
    auto reader = at_the_end();
    machine().interrupts_enabled = false;
    kernel::log(LogLevel::error, "value %d", 5);
    machine().interrupts_enabled = true;
    CHECK(reader.next()->text() == "value %d: 0x0");
}

TEST_CASE("a reader waits for the next line, whoever writes it, or for its deadline") {
    auto reader = at_the_end();
    const std::uint64_t start = machine().now;
    CHECK(!reader.wait(start + 500));
    CHECK(machine().now == start + 500);
    machine().interrupt_at(start + 700, [] { kernel::log_from_interrupt(LogLevel::info, "tick", 1); });
    CHECK(reader.wait());
    CHECK(machine().now == start + 700);
    CHECK(reader.next()->text() == "tick: 0x1");
    auto writer = kernel::spawn("writer", [](void*) { kernel::log(LogLevel::info, "from a task"); }, nullptr);
    REQUIRE(writer.has_value());
    CHECK(reader.wait());
    CHECK(reader.next()->text() == "from a task");
}

TEST_CASE("the sink can be replaced, and nothing is printed without one") {
    static std::vector<std::string> lines;
    kernel::set_log_sink(
        [](void* list, const kernel::LogLine& line) { static_cast<std::vector<std::string>*>(list)->emplace_back(line.text()); }, &lines);
    serial.clear();
    kernel::log(LogLevel::info, "elsewhere");
    CHECK(lines == std::vector<std::string>{"elsewhere"});
    CHECK(serial.empty());
    kernel::set_log_sink(nullptr, nullptr);
    kernel::log(LogLevel::info, "nowhere");
    CHECK(lines.size() == 1);
}

TEST_CASE("a line that does not fit the buffer is cut and still ends") {
    kernel::LogLine line;
    line.level = LogLevel::error;
    line.time_ns = 1'000;
    line.length = 5;
    std::copy_n("abcde", 5, line.bytes.begin());
    char buffer[64];
    CHECK(std::string(buffer, kernel::format_log_line(line, buffer, sizeof buffer)) == "[    0.000001] error: abcde\n");
    CHECK(kernel::format_log_line(line, buffer, 10) == 9);
}
