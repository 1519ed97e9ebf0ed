// The archive reader on archives that tar itself would write, and on damaged ones: every flipped byte, every cut.
#include "boot/images/appliance/tar.hpp"
#include "boot/images/appliance/tar_header.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

using namespace appliance;
using virtio::Error;

namespace {

struct Memory final : ByteSource {
    std::string bytes;
    std::uint64_t largest_read = 0;
    std::uint64_t reads = 0;
    std::uint64_t fail_from = ~0ull;

    std::uint64_t size() const override { return bytes.size(); }
    virtio::Result<> read(std::uint64_t offset, std::span<std::byte> into) override {
        ++reads;
        REQUIRE(offset <= bytes.size()); // nobody may ever ask for anything beyond the end
        REQUIRE(into.size() <= bytes.size() - offset);
        if (offset + into.size() > fail_from) return virtio::fail(Error::io_error);
        std::memcpy(into.data(), bytes.data() + offset, into.size());
        return {};
    }
};

std::string octal(std::uint64_t value, int digits) {
    char text[32];
    std::snprintf(text, sizeof text, "%0*llo", digits, static_cast<unsigned long long>(value));
    return text;
}

void seal(std::string& block) {
    block.replace(148, 8, 8, ' ');
    unsigned sum = 0;
    for (char c : block) sum += static_cast<unsigned char>(c);
    block.replace(148, 6, octal(sum, 6));
    block[154] = '\0';
}

std::string header(const std::string& name, std::uint64_t size, char type = '0', const std::string& prefix = "") {
    std::string block(512, '\0');
    block.replace(0, name.size(), name);
    block.replace(100, 7, "0000644");
    block.replace(124, 11, octal(size, 11));
    block.replace(136, 11, octal(1'700'000'000, 11));
    block[156] = type;
    block.replace(257, 8,
                  std::string("ustar\0"
                              "00",
                              8));
    block.replace(345, prefix.size(), prefix);
    seal(block);
    return block;
}

std::string padded(std::string data) {
    data.resize((data.size() + 511) / 512 * 512, '\0');
    return data;
}

std::string file(const std::string& name, const std::string& data, const std::string& prefix = "") {
    return header(name, data.size(), '0', prefix) + padded(data);
}

std::string pax(const std::string& key, const std::string& value) {
    std::size_t length = key.size() + value.size() + 3;
    while (std::to_string(length).size() + key.size() + value.size() + 3 != length) ++length;
    const std::string record = std::to_string(length) + " " + key + "=" + value + "\n";
    return header("PaxHeaders/x", record.size(), 'x') + padded(record);
}

const std::string kEnd(1024, '\0');

std::vector<std::string> names(const TarArchive& archive, std::string_view directory) {
    std::vector<std::string> result;
    archive.list(directory, [&](std::string_view name, const TarEntry* entry) {
        result.push_back(std::string(name) + (entry == nullptr || entry->kind == TarEntry::Kind::directory ? "/" : ""));
    });
    return result;
}

std::string content(const Memory& disk, const TarEntry* entry) {
    REQUIRE(entry != nullptr);
    return disk.bytes.substr(entry->offset, entry->size);
}

} // namespace

TEST_CASE("files, directories, empty files; found with and without slashes") {
    Memory disk;
    disk.bytes = header("./", 0, '5') + file("./index.html", "<h1>") + header("docs/", 0, '5') + file("docs/a.txt", std::string(513, 'a')) +
                 file("empty", "") + kEnd;
    TarArchive archive;
    REQUIRE(archive.open(disk));
    CHECK(archive.damage() == nullptr);
    CHECK(archive.entries().size() == 4);
    CHECK(content(disk, archive.find("index.html")) == "<h1>");
    CHECK(content(disk, archive.find("/docs/a.txt")) == std::string(513, 'a'));
    CHECK(content(disk, archive.find("./empty")) == "");
    CHECK(archive.find("docs/")->kind == TarEntry::Kind::directory);
    CHECK(archive.find("docs/a.txt")->modified == 1'700'000'000);
    CHECK(archive.find("docs/b.txt") == nullptr);
    CHECK(archive.find("") == nullptr);
    CHECK(archive.is_directory("/"));
    CHECK(archive.is_directory("docs"));
    CHECK(!archive.is_directory("empty"));
    CHECK(names(archive, "") == std::vector<std::string>{"docs/", "empty", "index.html"});
    CHECK(names(archive, "/docs/") == std::vector<std::string>{"a.txt"});
}

TEST_CASE("a listing shows each child once, also where names share a beginning or a directory has no entry") {
    Memory disk;
    disk.bytes = file("a/b/c", "1") + file("a.txt", "2") + file("a", "3") + file("a-b/x", "4") + file("ab", "5") + file("a/b/d", "6") +
                 file("a/bb", "7") + kEnd;
    TarArchive archive;
    REQUIRE(archive.open(disk));
    CHECK(names(archive, "") == std::vector<std::string>{"a", "a-b/", "a.txt", "ab"});
    CHECK(names(archive, "a") == std::vector<std::string>{"b/", "bb"});
    CHECK(names(archive, "a/b") == std::vector<std::string>{"c", "d"});
    CHECK(archive.is_directory("a-b"));
    CHECK(!archive.is_directory("a-"));
}

TEST_CASE("long names: the prefix field, GNU's and pax's own headers; sizes of pax and GNU") {
    const std::string name(180, 'n');
    Memory disk;
    std::string big = header("big", 0);
    big.replace(124, 12, std::string("\x80\0\0\0\0\0\0\0\0\0\0\x05", 12));
    seal(big);
    disk.bytes = file("short", "1", std::string(150, 'p')) + header("././@LongLink", name.size() + 1, 'L') + padded(name + '\0') +
                 file("cut", "22") + pax("path", "pax/" + name) + file("cut", "333") + file("after", "4") + pax("size", "6") +
                 header("sized", 0) + padded("sixsix") + big + padded("fiveb") + kEnd;
    TarArchive archive;
    REQUIRE(archive.open(disk));
    CHECK(archive.damage() == nullptr);
    CHECK(content(disk, archive.find(std::string(150, 'p') + "/short")) == "1");
    CHECK(content(disk, archive.find(name)) == "22");
    CHECK(content(disk, archive.find("pax/" + name)) == "333");
    CHECK(content(disk, archive.find("after")) == "4");
    CHECK(content(disk, archive.find("sized")) == "sixsix");
    CHECK(content(disk, archive.find("big")) == "fiveb");
    CHECK(archive.find("cut") == nullptr);
}

TEST_CASE("of two entries of one name the later one counts; links are skipped, whatever size they claim") {
    Memory disk;
    disk.bytes = file("twice", "old") + header("link", 4096, '1') + file("twice", "newer") + header("symbolic", 0, '2') + kEnd;
    TarArchive archive;
    REQUIRE(archive.open(disk));
    CHECK(content(disk, archive.find("twice")) == "newer");
    CHECK(archive.entries().size() == 1);
    CHECK(archive.skipped() == 2);
}

TEST_CASE("names that climb are not served") {
    Memory disk;
    disk.bytes = file("../outside", "1") + file("a/../../b", "2") + file("a//b", "3") + file("/absolute", "4") + file("a/./b", "5") + kEnd;
    TarArchive archive;
    REQUIRE(archive.open(disk));
    CHECK(archive.entries().size() == 1);
    CHECK(content(disk, archive.find("absolute")) == "4");
    CHECK(archive.skipped() == 4);
}

TEST_CASE("no archive: zeros, noise, too small, a file system") {
    for (const std::string& bytes : {std::string(), std::string(511, 'x'), std::string(4096, '\0'), std::string(4096, '\xff')}) {
        Memory disk;
        disk.bytes = bytes;
        TarArchive archive;
        const auto opened = archive.open(disk);
        REQUIRE(!opened);
        CHECK(opened.error() == Error::not_found);
        CHECK(!archive.is_open());
        CHECK(archive.entries().empty());
    }
}

TEST_CASE("an archive that is cut off keeps what is whole") {
    Memory disk;
    disk.bytes = file("first", "1") + file("second", std::string(2000, '2'));
    const std::string whole = disk.bytes;
    for (std::size_t length = 0; length <= whole.size(); length += 100) {
        disk.bytes = whole.substr(0, length);
        TarArchive archive;
        const auto opened = archive.open(disk);
        CHECK(opened.has_value() == (length >= 512));
        if (opened) CHECK(archive.damage() != nullptr);
        for (const TarEntry& entry : archive.entries()) CHECK(entry.offset + entry.size <= disk.bytes.size());
    }
}

TEST_CASE("a size beyond the disk, near 2^64 too, ends the index") {
    for (std::uint64_t size : {std::uint64_t{5000}, std::uint64_t{077777777777}}) {
        Memory disk;
        disk.bytes = file("good", "1") + header("bad", size) + kEnd;
        TarArchive archive;
        REQUIRE(archive.open(disk));
        CHECK(archive.entries().size() == 1);
        CHECK(std::string(archive.damage()) == "a file is longer than the disk");
    }
    Memory disk;
    std::string block = header("huge", 0);
    block.replace(124, 12, std::string("\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 12));
    seal(block);
    disk.bytes = block + kEnd;
    TarArchive archive;
    REQUIRE(archive.open(disk));
    CHECK(archive.entries().empty());
}

TEST_CASE("a flipped byte anywhere in a header is noticed or harmless, and never leads outside") {
    Memory disk;
    const std::string whole = file("first", "1") + pax("path", "renamed") + file("second", std::string(700, '2')) + kEnd;
    for (std::size_t at = 0; at < whole.size(); ++at) {
        for (int bit = 0; bit < 8; bit += 3) {
            disk.bytes = whole;
            disk.bytes[at] = static_cast<char>(disk.bytes[at] ^ 1 << bit);
            TarArchive archive;
            (void)archive.open(disk);
            for (const TarEntry& entry : archive.entries()) REQUIRE(entry.offset + entry.size <= disk.bytes.size());
            // The first header's checksum covers it whole; behind its digits there may be anything.
            if (at < 512 && at != 155) REQUIRE(archive.entries().size() == 0);
        }
    }
}

TEST_CASE("random blocks with valid checksums never lead outside") {
    std::mt19937 random(7);
    for (int round = 0; round < 2000; ++round) {
        Memory disk;
        for (int i = 0; i < 6; ++i) {
            std::string block = header("name" + std::to_string(random() % 4), random() % 3000, "05xLgK1\0"[random() % 8]);
            for (int change = 0; change < 3; ++change) block[random() % 500] = static_cast<char>(random());
            block.replace(257, 6, std::string("ustar\0", 6));
            seal(block);
            disk.bytes += block;
        }
        TarArchive archive;
        (void)archive.open(disk);
        for (const TarEntry& entry : archive.entries()) REQUIRE(entry.offset + entry.size <= disk.bytes.size());
    }
}

TEST_CASE("the index is bounded") {
    Memory disk;
    for (std::size_t i = 0; i < TarArchive::kMostEntries + 10; ++i) disk.bytes += header("f" + std::to_string(i), 0);
    disk.bytes += kEnd;
    TarArchive archive;
    REQUIRE(archive.open(disk));
    CHECK(archive.entries().size() == TarArchive::kMostEntries);
    CHECK(std::string(archive.damage()) == "too many files");
    CHECK(disk.reads <= disk.bytes.size() / 512 / 16 + 2); // sixteen headers for one read
}

TEST_CASE("a read error: nothing at the start, the rest later on") {
    Memory disk;
    disk.bytes = file("first", std::string(20'000, '1')) + file("second", "2") + kEnd;
    disk.fail_from = 0;
    TarArchive none;
    CHECK(none.open(disk).error() == Error::io_error);
    disk.fail_from = 20'000;
    TarArchive some;
    REQUIRE(some.open(disk));
    CHECK(some.entries().size() == 1);
    CHECK(std::string(some.damage()) == "a header cannot be read");
}

TEST_CASE("numbers") {
    const auto number = [](std::string_view text) { return parse_tar_number(std::as_bytes(std::span(text))); };
    CHECK(number("00000000017\0") == 15);
    CHECK(number("  17 ") == 15);
    CHECK(number(std::string_view("\0\0\0\0", 4)) == 0);
    CHECK(!number("0008"));
    CHECK(!number("-1"));
    CHECK(!number("7777777777777777777777777"));
    CHECK(!number("\xff\xff\xff\xff"));
}
