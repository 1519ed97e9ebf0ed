// Every disk, with data: what is written comes back, from every place, in every size, many at once; what cannot be is refused. What
// the checks overwrite is put back.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include <ringside/app.hpp>

#include "boot/images/selftest/check.hpp"
#include "boot/images/selftest/pattern.hpp"
#include "kernel/task/task.hpp"

namespace selftest {

namespace {

using ringside::Disk;
using ringside::kSectorBytes;

/// The part of the disk that the checks write to: the last MiB, so that tables at the front of somebody's disk are the least at risk.
constexpr std::size_t kAreaSectors = 2048;

std::size_t area_sectors(const Disk& disk) { return static_cast<std::size_t>(std::min<std::uint64_t>(kAreaSectors, disk.sectors())); }
std::uint64_t area_first(const Disk& disk) { return disk.sectors() - area_sectors(disk); }

/// What stands in the area before the checks, put back at the end.
class Saved {
public:
    explicit Saved(Disk& disk) : disk_(disk), bytes_(area_sectors(disk) * kSectorBytes) {}
    [[nodiscard]] virtio::Result<> save() { return disk_.read(area_first(disk_), bytes_); }
    [[nodiscard]] virtio::Result<> restore() {
        if (auto written = disk_.write(area_first(disk_), bytes_); !written) return written;
        return disk_.flush();
    }

private:
    Disk& disk_;
    std::vector<std::byte> bytes_;
};

bool same(Check& check, std::span<const std::byte> data, std::uint64_t key, std::uint64_t sector) {
    const auto wrong = find_wrong(data, key, sector * kSectorBytes);
    return check.need(!wrong, "sector %llu, byte %zu of %zu is wrong", static_cast<unsigned long long>(sector), wrong.value_or(0),
                      data.size());
}

bool write_pattern(Check& check, Disk& disk, std::uint64_t sector, std::span<std::byte> buffer, std::uint64_t key) {
    fill(buffer, key, sector * kSectorBytes);
    return check.need(disk.write(sector, buffer), "write");
}

bool read_pattern(Check& check, Disk& disk, std::uint64_t sector, std::span<std::byte> buffer, std::uint64_t key) {
    std::ranges::fill(buffer, std::byte{0xee});
    return check.need(disk.read(sector, buffer), "read") && same(check, buffer, key, sector);
}

void known(Disk& disk, Check& check) {
    (void)(check.need(disk.sectors() > 0, "no sectors") &&
           check.need(disk.bytes() == disk.sectors() * kSectorBytes, "bytes and sectors differ") &&
           check.need(disk.name()[0] != '\0', "no name"));
}

void reads_everywhere(Disk& disk, Check& check) {
    std::array<std::byte, kSectorBytes> first{}, again{};
    for (std::uint64_t sector : {std::uint64_t{0}, disk.sectors() / 3, disk.sectors() / 2, disk.sectors() - 1}) {
        first.fill(std::byte{0xee});
        again.fill(std::byte{0x11});
        if (!check.need(disk.read(sector, first), "read") || !check.need(disk.read(sector, again), "read")) return;
        if (!check.need(first == again, "sector %llu reads differently each time", static_cast<unsigned long long>(sector))) return;
    }
}

void sectors_alone(Disk& disk, Check& check) {
    std::array<std::byte, kSectorBytes> buffer{};
    const std::uint64_t first = area_first(disk);
    const std::size_t count = area_sectors(disk);
    const std::array<std::uint64_t, 5> places{first, first + 1, first + count / 2, first + count - 2, first + count - 1};
    std::uint64_t key = 100;
    for (std::uint64_t sector : places)
        if (!write_pattern(check, disk, sector, buffer, key++)) return;
    key = 100;
    for (std::uint64_t sector : places)
        if (!read_pattern(check, disk, sector, buffer, key++)) return;
}

void boundary_sizes(Disk& disk, Check& check) {
    const std::uint64_t first = area_first(disk);
    const std::size_t count = area_sectors(disk);
    std::vector<std::byte> buffer(count * kSectorBytes);
    std::uint64_t key = 200;
    for (std::size_t sectors : {1u, 2u, 7u, 8u, 9u, 15u, 16u, 127u, 128u, 129u, 255u, 256u, 257u, 1023u, 1024u, 2048u}) {
        if (sectors > count) break;
        const std::span<std::byte> part(buffer.data(), sectors * kSectorBytes);
        // At the front, and ending with the last sector.
        for (std::uint64_t sector : {first, first + count - sectors}) {
            if (!write_pattern(check, disk, sector, part, ++key)) return;
            if (!read_pattern(check, disk, sector, part, key)) return;
        }
    }
    // Written whole, read in pieces of another size.
    if (!write_pattern(check, disk, first, buffer, ++key)) return;
    for (std::uint64_t at = 0; at + 3 <= count; at += 97)
        if (!read_pattern(check, disk, first + at, std::span(buffer.data(), 3 * kSectorBytes), key)) return;
}

void neighbours_stay(Disk& disk, Check& check) {
    const std::uint64_t first = area_first(disk);
    const std::size_t count = area_sectors(disk);
    if (count < 64) return check.skip("a disk of %llu sectors is too small", static_cast<unsigned long long>(count));
    std::vector<std::byte> buffer(64 * kSectorBytes);
    if (!write_pattern(check, disk, first, buffer, 300)) return;
    if (!write_pattern(check, disk, first + 30, std::span(buffer.data(), 5 * kSectorBytes), 301)) return;
    if (!read_pattern(check, disk, first, std::span(buffer.data(), 30 * kSectorBytes), 300)) return;
    if (!read_pattern(check, disk, first + 30, std::span(buffer.data(), 5 * kSectorBytes), 301)) return;
    (void)read_pattern(check, disk, first + 35, std::span(buffer.data(), 29 * kSectorBytes), 300);
}

void any_memory(Disk& disk, Check& check) {
    // Odd addresses, page ends in the middle of a sector, the stack, static memory.
    const std::uint64_t first = area_first(disk);
    const std::size_t count = std::min<std::size_t>(area_sectors(disk), 40);
    std::vector<std::byte> memory(count * kSectorBytes + 4096 + 64);
    std::uint64_t key = 400;
    for (std::size_t offset : {1u, 3u, 8u, 511u, 4095u}) {
        const std::span<std::byte> part(memory.data() + offset, count * kSectorBytes);
        memory[offset - 1] = std::byte{0x77};
        memory[offset + part.size()] = std::byte{0x78};
        if (!write_pattern(check, disk, first, part, ++key) || !read_pattern(check, disk, first, part, key)) return;
        if (!check.need(memory[offset - 1] == std::byte{0x77} && memory[offset + part.size()] == std::byte{0x78},
                        "bytes beside a buffer at offset %zu were overwritten", offset))
            return;
    }
    std::array<std::byte, 3 * kSectorBytes> stack{};
    if (!write_pattern(check, disk, first, stack, ++key) || !read_pattern(check, disk, first, stack, key)) return;
    static std::array<std::byte, 3 * kSectorBytes> fixed;
    if (!write_pattern(check, disk, first, fixed, ++key)) return;
    (void)read_pattern(check, disk, first, fixed, key);
}

void refusals(Disk& disk, Check& check) {
    std::array<std::byte, 2 * kSectorBytes> buffer{};
    const std::uint64_t end = disk.sectors();
    const std::span<std::byte> one(buffer.data(), kSectorBytes);
    using virtio::Error;
    (void)(check.need_error(disk.read(end, one), Error::out_of_range, "a read behind the end") &&
           check.need_error(disk.read(end - 1, buffer), Error::out_of_range, "a read across the end") &&
           check.need_error(disk.read(~std::uint64_t{0}, one), Error::out_of_range, "a read of the last sector there can be") &&
           check.need_error(disk.read(~std::uint64_t{0} / kSectorBytes + 1, one), Error::out_of_range, "a read whose byte offset wraps") &&
           check.need_error(disk.read(0, std::span(buffer.data(), 100)), Error::unaligned, "a read of 100 bytes") &&
           check.need(!disk.read(0, {}), "a read of nothing") && check.need(disk.read(end - 1, one), "a read after the refusals"));
    if (disk.read_only()) {
        (void)check.need_error(disk.write(0, one), Error::read_only, "a write to a read-only disk");
        return;
    }
    (void)(check.need_error(disk.write(end, one), Error::out_of_range, "a write behind the end") &&
           check.need_error(disk.write(end - 1, buffer), Error::out_of_range, "a write across the end") &&
           check.need_error(disk.write(0, std::span(buffer.data(), 513)), Error::unaligned, "a write of 513 bytes"));
}

void flushes(Disk& disk, Check& check) {
    std::array<std::byte, kSectorBytes> buffer{};
    const std::uint64_t sector = area_first(disk);
    for (std::uint64_t i = 0; i < 5; ++i)
        if (!write_pattern(check, disk, sector, buffer, 500 + i) || !check.need(disk.flush(), "flush")) return;
    (void)(read_pattern(check, disk, sector, buffer, 504) && check.need(disk.flush(), "flush with nothing written"));
}

/// One of many tasks that write, read back and compare at the same time, each in its own part of the area.
struct Worker {
    Disk* disk = nullptr;
    std::uint64_t first = 0;
    std::size_t sectors = 0;
    std::uint64_t seed = 0;
    Check check;
};
void work(void* argument) {
    auto& mine = *static_cast<Worker*>(argument);
    Chooser choose(mine.seed);
    std::vector<std::byte> buffer(mine.sectors * kSectorBytes);
    for (std::uint64_t round = 1; round <= 12; ++round) {
        const std::uint64_t key = mine.seed * 100 + round;
        if (!write_pattern(mine.check, *mine.disk, mine.first, buffer, key)) return;
        for (int reads = 0; reads < 4; ++reads) {
            const std::size_t at = choose.index_below(mine.sectors);
            const std::size_t length = 1 + choose.index_below(mine.sectors - at);
            if (!read_pattern(mine.check, *mine.disk, mine.first + at, std::span(buffer.data(), length * kSectorBytes), key)) return;
        }
        if (round % 5 == 0 && !mine.check.need(mine.disk->flush(), "flush")) return;
    }
}

void many_at_once(Disk& disk, Check& check) {
    constexpr std::size_t kWorkers = 32;
    const std::size_t share = area_sectors(disk) / kWorkers;
    if (share == 0) return check.skip("a disk of %llu sectors is too small", static_cast<unsigned long long>(disk.sectors()));
    std::vector<Worker> workers(kWorkers);
    std::array<kernel::Task*, kWorkers> tasks{};
    for (std::size_t i = 0; i < kWorkers; ++i) {
        workers[i].disk = &disk;
        workers[i].first = area_first(disk) + i * share;
        workers[i].sectors = share;
        workers[i].seed = i + 1;
        const auto task = kernel::spawn("disk check", work, &workers[i], kernel::kDefaultStackBytes, kernel::TaskLifetime::joinable);
        if (check.need(task, "spawn")) tasks[i] = *task;
    }
    for (kernel::Task* task : tasks)
        if (task != nullptr) kernel::join(*task);
    for (const Worker& worker : workers)
        if (worker.check.failed()) check = worker.check;
}

} // namespace

void check_disks() {
    if (ringside::disks().empty()) {
        run("disks", [](Check& check) { check.skip("this machine has no disk"); });
        return;
    }
    for (Disk& disk : ringside::disks()) {
        const auto one = [&](const char* name, void (*body)(Disk&, Check&)) {
            run(disk.name(), name, [&](Check& check) { body(disk, check); });
        };
        one("known", known);
        one("reads_everywhere", reads_everywhere);
        one("refusals", refusals);
        if (disk.read_only()) continue;
        Saved before(disk);
        run(disk.name(), "save", [&](Check& check) { (void)check.need(before.save(), "read"); });
        one("sectors_alone", sectors_alone);
        one("boundary_sizes", boundary_sizes);
        one("neighbours_stay", neighbours_stay);
        one("any_memory", any_memory);
        one("flushes", flushes);
        one("many_at_once", many_at_once);
        run(disk.name(), "restore", [&](Check& check) { (void)check.need(before.restore(), "write"); });
    }
}

} // namespace selftest
