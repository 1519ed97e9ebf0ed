// The page, the metrics and the listings, written from a machine that exists only here.
#include "boot/images/appliance/report.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "boot/images/appliance/text.hpp"

using namespace appliance;

namespace {

constexpr virtio::FeatureName kNames[] = {{5, "RO"}, {9, "FLUSH"}};

template<std::size_t Size> void set(ShortText<Size>& text, const char* value) {
    REQUIRE(std::strlen(value) < Size);
    std::strcpy(text.characters.data(), value);
}

std::unique_ptr<Report> machine() {
    auto report = std::make_unique<Report>();
    report->uptime_ns = 90'061'250'000'000;
    report->wall_clock_ns = 1'700'000'000'000'000'000;
    report->idle_ns = 45'000'000'000'000;
    report->memory = {.total = 256 << 20, .free = 200 << 20, .largest_run = 100 << 20, .heap = 1 << 20, .heap_maximum = 2 << 20};
    report->balloon = BalloonReport{.target = 1024, .pages = 512, .given = 600, .taken_back = 88, .reported = 7};

    DeviceReport& disk = report->devices[report->device_count++];
    set(disk.name, "blk0");
    set(disk.where, "00:02.0");
    disk.kind = "block";
    disk.transport = "pci-modern";
    set(disk.found_by, "ECAM, MCFG");
    disk.interrupt_mode = "per queue";
    set(disk.detail, "10 MiB <& \"more\">");
    disk.feature_names = kNames;
    disk.features = virtio::FeatureSet::of(5u, 9u, 32u, 100u);
    disk.queue_count = 2;
    report->queue_count = 2;
    report->queues[0] = {.index = 0, .name = "requests", .size = 256, .in_flight = 3, .broken = false, .counters = {}};
    report->queues[0].counters.requests = 1234;
    report->queues[0].counters.kicks_suppressed = 77;
    report->queues[1] = {.index = 1, .name = "requests", .size = 64, .in_flight = 0, .broken = true, .counters = {}};
    report->queues[1].counters.watchdog_rescues = 9;

    DeviceReport& refused = report->devices[report->device_count++];
    set(refused.name, "dev\\1\"");
    refused.kind = "sound";
    set(refused.problem, "feature\nmissing");

    DiskReport& listed = report->disks[report->disk_count++];
    set(listed.name, "disk0");
    set(listed.model, "<b>evil</b>");
    listed.bytes = 10 << 20;
    listed.serves_files = true;
    return report;
}

std::string written(void (*write)(Output&, const Report&), const Report& report) {
    Text text(1 << 20);
    write(text, report);
    REQUIRE(text.complete());
    return std::string(text.view());
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("metrics: families are declared once and before their samples, samples stand together and are unique, labels are escaped") {
    const std::string text = written(write_metrics, *machine());
    std::istringstream lines(text);
    std::string line, current;
    std::set<std::string> families, samples;
    std::string helped;
    int count = 0;
    while (std::getline(lines, line)) {
        std::istringstream words(line);
        std::string hash, keyword, name, type;
        if (line.starts_with("# ")) {
            words >> hash >> keyword >> name >> type;
            if (keyword == "HELP") {
                helped = name;
                CHECK(line.ends_with("."));
            } else {
                REQUIRE(keyword == "TYPE");
                CHECK(helped == name);
                CHECK((type == "counter" || type == "gauge"));
                CHECK(name.ends_with("_total") == (type == "counter"));
                CHECK_MESSAGE(families.insert(name).second, name);
                current = name;
            }
            continue;
        }
        ++count;
        const std::size_t brace = line.find('{');
        const std::size_t end = brace == std::string::npos ? line.find(' ') : line.rfind('}') + 1;
        CHECK(line.substr(0, brace == std::string::npos ? end : brace) == current);
        CHECK_MESSAGE(samples.insert(line.substr(0, end)).second, line);
        REQUIRE(line[end] == ' ');
        std::size_t used = 0;
        (void)std::stod(line.substr(end + 1), &used);
        CHECK(used == line.size() - end - 1);
    }
    CHECK(count > 40);
    CHECK(has(text, "ringside_queue_requests_total{device=\"blk0\",queue=\"0\"} 1234\n"));
    CHECK(has(text, "ringside_queue_suppressed_kicks_total{device=\"blk0\",queue=\"0\"} 77\n"));
    CHECK(has(text, "ringside_queue_watchdog_rescues_total{device=\"blk0\",queue=\"1\"} 9\n"));
    CHECK(has(text, "ringside_queue_broken{device=\"blk0\",queue=\"1\"} 1\n"));
    CHECK(has(text, "device=\"dev\\\\1\\\"\""));
    CHECK(has(text, "problem=\"feature\\nmissing\"} 0\n"));
    CHECK(has(text, "ringside_uptime_seconds 90061.250\n"));
    CHECK(has(text, "ringside_balloon_bytes 2097152\n"));
    for (const char* needed :
         {"requests", "bytes", "kicks", "suppressed_kicks", "interrupts", "spurious_interrupts", "ring_full", "errors"})
        CHECK(families.contains("ringside_queue_" + std::string(needed) + "_total"));
}

TEST_CASE("metrics without a balloon have no balloon") {
    auto report = machine();
    report->balloon.reset();
    CHECK(!has(written(write_metrics, *report), "balloon"));
}

TEST_CASE("the page: whole, balanced, and what devices say is text") {
    const std::string page = written(write_page, *machine());
    CHECK(page.starts_with("<!doctype html>"));
    CHECK(page.ends_with("</html>\n"));
    CHECK(has(page, "1 day 01:01:01"));
    CHECK(has(page, "2023-11-14 22:13:20 UTC"));
    CHECK(has(page, "10 MiB &lt;&amp; &quot;more&quot;&gt;"));
    CHECK(has(page, "&lt;b&gt;evil&lt;/b&gt;"));
    CHECK(!has(page, "<b>evil"));
    CHECK(has(page, ">FLUSH<"));
    CHECK(has(page, ">VERSION_1<"));
    CHECK(has(page, ">bit 100<"));
    CHECK(has(page, "idle 49.9 %"));
    CHECK(has(page, "broken"));
    // Every element that must be closed is.
    std::map<std::string, int> open;
    const std::set<std::string> loose{"!doctype", "meta", "link", "tr", "td", "th"};
    std::string markup = page;
    for (const char* name : {"style", "script"}) {
        const std::size_t from = markup.find("<" + std::string(name) + ">"), to = markup.find("</" + std::string(name) + ">");
        markup.erase(from, to + std::strlen(name) + 3 - from);
    }
    for (std::size_t at = markup.find('<'); at != std::string::npos; at = markup.find('<', at + 1)) {
        const bool closing = markup[at + 1] == '/';
        const std::size_t start = at + (closing ? 2 : 1);
        const std::string name = markup.substr(start, markup.find_first_of(" >", start) - start);
        if (!loose.contains(name)) open[name] += closing ? -1 : 1;
    }
    for (const auto& [name, balance] : open) CHECK_MESSAGE(balance == 0, name);
}

TEST_CASE("an empty machine is told of, not hidden") {
    auto report = std::make_unique<Report>();
    report->network.problem = "no device";
    const std::string page = written(write_page, *report);
    CHECK(has(page, "There is no disk."));
    CHECK(has(page, "No virtio device was found."));
    CHECK(has(page, "no device"));
    CHECK(written(write_devices, *report) == "no virtio device was found\n");
    CHECK(!written(write_metrics, *report).empty());
}

TEST_CASE("the shell's listings") {
    const std::string devices = written(write_devices, *machine());
    CHECK(has(devices, "blk0"));
    CHECK(has(devices, "RO FLUSH VERSION_1 bit 100\n"));
    CHECK(has(devices, "NOT USED: feature.missing\n"));
    CHECK(has(devices, "found by ECAM, MCFG\n"));
    const std::string queues = written(write_queues, *machine());
    CHECK(has(queues, "blk0.0 requests"));
    CHECK(has(queues, "blk0.1 BROKEN"));
    CHECK(has(queues, "1234"));
}

TEST_CASE("sizes, durations, dates") {
    CHECK(std::string(ByteCount(0).c_str()) == "0 bytes");
    CHECK(std::string(ByteCount(1023).c_str()) == "1023 bytes");
    CHECK(std::string(ByteCount(1024).c_str()) == "1 KiB");
    CHECK(std::string(ByteCount(1536).c_str()) == "1.5 KiB");
    CHECK(std::string(ByteCount((1 << 20) - 1).c_str()) == "1023.9 KiB");
    CHECK(std::string(ByteCount(~0ull).c_str()) == "15.9 EiB");
    CHECK(std::string(Duration(0).c_str()) == "00:00:00");
    CHECK(std::string(Duration(3'725'000'000'000).c_str()) == "01:02:05");
    CHECK(std::string(Duration(~0ull).c_str()) == "213503 days 23:34:33");
    CHECK(std::string(Date(0).c_str()) == "1970-01-01 00:00:00 UTC");
}

TEST_CASE("text: bounded, and failures are remembered") {
    Text text(10);
    text.write("12345");
    text.write("678901");
    text.write("x");
    CHECK(text.view() == "12345");
    CHECK(!text.complete());
    Text url(100);
    write_url(url, "a b/\xc3\xa9?#%");
    CHECK(url.view() == "a%20b/%C3%A9%3F%23%25");
    CHECK(decimal("18446744073709551615") == ~0ull);
    CHECK(!decimal("18446744073709551616"));
    CHECK(!decimal(""));
    CHECK(!decimal("1a"));
}
