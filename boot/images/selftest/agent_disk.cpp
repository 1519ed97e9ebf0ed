// The agent's disk commands. A disk is named by its number.
#include <array>
#include <vector>

#include <ringside/app.hpp>

#include "boot/images/appliance/sha256.hpp"
#include "boot/images/selftest/agent.hpp"
#include "boot/images/selftest/pattern.hpp"
#include "kernel/task/semaphore.hpp"
#include "kernel/task/task.hpp"

namespace selftest {

namespace {

using ringside::Disk;
using ringside::kSectorBytes;

Disk* disk_of(const Words& words, Answer& answer) {
    Disk* disk = ringside::disks().at(words.size(2, ~std::size_t{0}));
    if (disk == nullptr) answer.fail("no such disk");
    return disk;
}

void list(const Words&, Answer& answer) {
    for (Disk& disk : ringside::disks()) {
        answer.value("name", disk.name());
        answer.value("model", disk.model());
        answer.value("sectors", disk.sectors());
        answer.value("readonly", disk.read_only() ? 1 : 0);
        answer.item();
    }
    answer.value("disks", ringside::disks().size());
}

/// sha256 DISK [FIRST [COUNT [SECTORS-AT-ONCE]]]
void hash(const Words& words, Answer& answer) {
    Disk* disk = disk_of(words, answer);
    if (disk == nullptr) return;
    std::uint64_t sector = words.number(3, 0);
    std::uint64_t left = words.number(4, disk->sectors() - sector);
    const std::size_t most = words.size(5, 512);
    std::vector<std::byte> buffer(most * kSectorBytes);
    appliance::Sha256 sum;
    for (; left != 0;) {
        const std::size_t count = left < most ? static_cast<std::size_t>(left) : most;
        const std::span<std::byte> part(buffer.data(), count * kSectorBytes);
        if (const auto read = disk->read(sector, part); !read) return answer.fail("read", read.error());
        sum.update(part);
        sector += count;
        left -= count;
    }
    answer.value("sha256", std::string_view(sum.finish().c_str()));
}

/// What `scribble` writes: the same list for everybody who knows the seed. Overlaps do no harm: a byte's value is decided by its place.
struct Stroke {
    std::uint64_t sector;
    std::size_t sectors;
};
constexpr std::size_t kLongestStroke = 96;

struct Scribbler {
    Disk* disk;
    std::span<const Stroke> strokes;
    std::size_t first, step;
    std::uint64_t key;
    virtio::Error error = virtio::Error::none;
};
void scribble_part(void* argument) {
    auto& mine = *static_cast<Scribbler*>(argument);
    std::vector<std::byte> buffer(kLongestStroke * kSectorBytes);
    for (std::size_t i = mine.first; i < mine.strokes.size(); i += mine.step) {
        const Stroke& stroke = mine.strokes[i];
        const std::span<std::byte> part(buffer.data(), stroke.sectors * kSectorBytes);
        fill(part, mine.key, stroke.sector * kSectorBytes);
        if (const auto written = mine.disk->write(stroke.sector, part); !written) {
            mine.error = written.error();
            return;
        }
    }
}

/// scribble DISK SEED STROKES TASKS
void scribble(const Words& words, Answer& answer) {
    Disk* disk = disk_of(words, answer);
    if (disk == nullptr) return;
    const std::uint64_t seed = words.number(3);
    const std::size_t tasks = words.size(5, 1);
    Chooser choose(seed);
    std::vector<Stroke> strokes(words.size(4));
    std::uint64_t sectors = 0;
    for (Stroke& stroke : strokes) {
        stroke.sectors = 1 + choose.index_below(kLongestStroke);
        stroke.sector = choose.below(disk->sectors() - stroke.sectors + 1);
        sectors += stroke.sectors;
    }
    std::vector<Scribbler> scribblers;
    for (std::size_t i = 0; i < tasks; ++i) scribblers.push_back({disk, strokes, i, tasks, seed});
    std::vector<kernel::Task*> running;
    for (Scribbler& one : scribblers) {
        const auto task = kernel::spawn("scribble", scribble_part, &one, kernel::kDefaultStackBytes, kernel::TaskLifetime::joinable);
        if (task)
            running.push_back(*task);
        else
            answer.fail("spawn", task.error());
    }
    for (kernel::Task* task : running) kernel::join(*task);
    for (const Scribbler& one : scribblers)
        if (one.error != virtio::Error::none) answer.fail("write", one.error);
    answer.value("sectors", sectors);
}

void flush(const Words& words, Answer& answer) {
    Disk* disk = disk_of(words, answer);
    if (disk == nullptr) return;
    if (const auto done = disk->flush(); !done) answer.fail("flush", done.error());
}

/// A load that goes on until it is told to stop: tasks that write, read back and compare, each in its own part of the disk.
struct Load {
    static constexpr std::size_t kTasks = 4;
    static constexpr std::uint64_t kSectors = 256;

    Disk* disk = nullptr;
    bool running = false;
    bool stop = false;
    std::uint64_t rounds = 0;
    std::uint64_t wrong = 0;
    std::uint64_t next = 0;
    virtio::Error error = virtio::Error::none;
    kernel::Semaphore ended{0};
};
constinit Load load;

void load_part(void*) {
    const std::uint64_t number = load.next++;
    const std::uint64_t first = number * Load::kSectors;
    for (std::uint64_t round = 1; !load.stop; ++round) {
        // Fresh memory every time: the pages come out of what the balloon leaves.
        std::vector<std::byte> buffer(Load::kSectors * kSectorBytes);
        const std::uint64_t key = (number << 16) + (round & 0xffff);
        fill(buffer, key, first * kSectorBytes);
        auto done = load.disk->write(first, buffer);
        std::fill(buffer.begin(), buffer.end(), std::byte{});
        if (done) done = load.disk->read(first, buffer);
        if (!done) {
            load.error = done.error();
            break;
        }
        if (find_wrong(buffer, key, first * kSectorBytes)) ++load.wrong;
        ++load.rounds;
    }
    load.ended.release();
}

/// load-start DISK; load-look; load-stop
void load_start(const Words& words, Answer& answer) {
    Disk* disk = disk_of(words, answer);
    if (disk == nullptr) return;
    if (load.running) return answer.fail("a load is running");
    if (disk->sectors() < Load::kTasks * Load::kSectors) return answer.fail("the disk is too small");
    load.disk = disk;
    load.running = true;
    load.stop = false;
    load.rounds = load.wrong = load.next = 0;
    load.error = virtio::Error::none;
    for (std::size_t i = 0; i < Load::kTasks; ++i)
        if (const auto task = kernel::spawn("load", load_part, nullptr); !task) return answer.fail("spawn", task.error());
}

void load_look(const Words&, Answer& answer) {
    if (load.error != virtio::Error::none) answer.fail("the load ended", load.error);
    answer.value("rounds", load.rounds);
    answer.value("wrong", load.wrong);
}

void load_stop(const Words& words, Answer& answer) {
    if (!load.running) return answer.fail("no load is running");
    load.stop = true;
    for (std::size_t i = 0; i < Load::kTasks; ++i) (void)load.ended.acquire();
    load.running = false;
    load_look(words, answer);
}

} // namespace

std::span<const Verb> disk_verbs() {
    static constexpr Verb kVerbs[] = {{"disks", 0, list},         {"sha256", 1, hash},           {"scribble", 4, scribble},
                                      {"flush", 1, flush},        {"load-start", 1, load_start}, {"load-look", 0, load_look},
                                      {"load-stop", 0, load_stop}};
    return kVerbs;
}

} // namespace selftest
