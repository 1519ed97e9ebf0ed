// Reading ahead, on the real scheduler and a disk of this file that answers out of order, late, or not at all.
#include "boot/images/appliance/disk_stream.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "kernel/task/task.hpp"
#include "tests/unit/fake_machine.hpp"

using appliance::DiskStream;
using virtio::Error;

virtio::Result<> ringside::spawn_task(const char* name, void (*entry)(void*), void* argument) {
    auto task = kernel::spawn(name, entry, argument);
    if (!task) return virtio::fail(task.error());
    return {};
}

namespace {

struct Started {
    Started() { kernel::start_tasks(); }
};
const Started started;

std::byte pattern(std::uint64_t offset) { return static_cast<std::byte>(offset * 2654435761u >> 13); }

struct FakeDisk final : ringside::Disk {
    std::uint64_t size = 8 << 20;
    std::uint64_t block = 4096;
    std::uint64_t fails_from = ~0ull;
    unsigned in_flight = 0, most_in_flight = 0;
    std::mt19937 random{1};

    const char* name() const override { return "disk0"; }
    const char* model() const override { return ""; }
    std::uint64_t sectors() const override { return size / 512; }
    bool read_only() const override { return true; }
    virtio::Result<> read(std::uint64_t sector, std::span<std::byte> into) override {
        const std::uint64_t offset = sector * 512;
        REQUIRE(!into.empty());
        REQUIRE(offset + into.size() <= size);
        REQUIRE(offset % block == 0);
        REQUIRE((into.size() % block == 0 || offset + into.size() == size));
        most_in_flight = std::max(most_in_flight, ++in_flight);
        kernel::sleep_until(kernel::now_ns() + 1000 + random() % 100'000);
        --in_flight;
        if (offset + into.size() > fails_from) return virtio::fail(Error::io_error);
        for (std::size_t i = 0; i < into.size(); ++i) into[i] = pattern(offset + i);
        return {};
    }
    virtio::Result<> write(std::uint64_t, std::span<const std::byte>) override { return virtio::fail(Error::read_only); }
    virtio::Result<> flush() override { return {}; }
};

/// Reads the part and compares every byte; returns how many came before the end or an error.
std::uint64_t compare(FakeDisk& disk, std::uint64_t offset, std::uint64_t length, unsigned depth) {
    DiskStream stream(disk, offset, length, depth);
    REQUIRE(stream.start());
    std::uint64_t done = 0;
    for (;;) {
        const auto piece = stream.next();
        if (!piece || piece->empty()) return done;
        for (std::size_t i = 0; i < piece->size(); ++i) REQUIRE((*piece)[i] == pattern(offset + done + i));
        done += piece->size();
        REQUIRE(done <= length);
    }
}

} // namespace

TEST_CASE("any part, in order and whole, with many requests in flight") {
    FakeDisk disk;
    CHECK(compare(disk, 0, disk.size, 16) == disk.size);
    CHECK(disk.most_in_flight == 16);
    for (std::uint64_t offset : {0u, 1u, 511u, 512u, 4095u, 4096u, 65535u, 65536u, 1'000'001u})
        for (std::uint64_t length : {0u, 1u, 511u, 4096u, 65535u, 65536u, 65537u, 300'000u})
            REQUIRE(compare(disk, offset, length, 4) == length);
    CHECK(compare(disk, disk.size - 5, 5, 16) == 5);
    CHECK(compare(disk, disk.size, 0, 16) == 0);
}

TEST_CASE("a disk whose size is no multiple of 4096 is read to its last sector and not beyond") {
    FakeDisk disk;
    disk.size = 300'000 / 512 * 512;
    disk.block = 512;
    CHECK(compare(disk, 0, disk.size, 3) == disk.size);
    CHECK(compare(disk, disk.size - 512, 512, 3) == 512);
}

TEST_CASE("parts outside the disk are refused") {
    FakeDisk disk;
    for (const auto& [offset, length] : {std::pair{disk.size + 1, std::uint64_t{0}}, std::pair{disk.size, std::uint64_t{1}},
                                         std::pair{std::uint64_t{1}, disk.size}, std::pair{std::uint64_t{1}, ~std::uint64_t{0}}}) {
        DiskStream stream(disk, offset, length, 4);
        const auto refused = stream.start();
        REQUIRE(!refused);
        CHECK(refused.error() == Error::out_of_range);
    }
}

TEST_CASE("an error comes where it belongs: after all that stands before it") {
    FakeDisk disk;
    disk.fails_from = 500'000;
    CHECK(compare(disk, 0, disk.size, 16) == 500'000 / DiskStream::kPieceBytes * DiskStream::kPieceBytes);
    CHECK(compare(disk, 600'000, 10, 16) == 0); // one piece only
}

TEST_CASE("leaving early waits for what is in flight and leaves nothing behind") {
    FakeDisk disk;
    const std::size_t tasks = kernel::task_statistics().tasks;
    for (int pieces = 0; pieces < 20; ++pieces) {
        {
            DiskStream stream(disk, 0, disk.size, 8);
            REQUIRE(stream.start());
            for (int i = 0; i < pieces; ++i) REQUIRE(stream.next());
        }
        CHECK(disk.in_flight == 0);
        kernel::yield();
        CHECK(kernel::task_statistics().tasks == tasks);
    }
    {
        DiskStream never_started(disk, 0, disk.size, 8);
    }
}

TEST_CASE("without memory for tasks it fails and cleans up") {
    FakeDisk disk;
    const std::size_t out = fake::machine().pages_out;
    fake::machine().pages_limit = out;
    {
        DiskStream stream(disk, 0, disk.size, 16);
        const auto refused = stream.start();
        if (!refused) CHECK(refused.error() == Error::out_of_memory);
    }
    fake::machine().pages_limit = 100'000;
    CHECK(disk.in_flight == 0);
    CHECK(compare(disk, 0, 300'000, 4) == 300'000);
}
