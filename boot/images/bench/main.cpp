// The measuring image: reads of 4 KiB from the first disk, one at a time and many at once, and what they cost in notifications and
// interrupts. Prints "RESULT NAME reads=N kicks=N suppressed=N interrupts=N ns=N" for each way; tests/bench starts it and reads that.
//     reads=N     on the command line: how many for each way (default 1000)
// Two instructions that do nothing mark the beginning and the end of each measurement for a counting emulator (tests/bench/count.c).
#include <array>
#include <cstdio>
#include <span>
#include <string_view>
#include <vector>

#include <ringside/app.hpp>

#include "kernel/device_manager/block_disk.hpp"
#include "kernel/device_manager/device_manager.hpp"
#include "kernel/firmware/command_line.hpp"
#include "kernel/task/semaphore.hpp"
#include "kernel/task/task.hpp"

namespace {

constexpr std::size_t kBlock = 4096;
constexpr std::uint64_t kSectors = kBlock / ringside::kSectorBytes;

// 0f 1f 84 00 imm32: an 8-byte NOP.
inline void mark_start() { asm volatile(".byte 0x0f, 0x1f, 0x84, 0x00, 0x01, 0xde, 0xc0, 0x5e" ::: "memory"); }
inline void mark_end() { asm volatile(".byte 0x0f, 0x1f, 0x84, 0x00, 0x02, 0xde, 0xc0, 0x5e" ::: "memory"); }

struct Bench {
    kernel::BlockDisk* disk = nullptr;
    std::uint64_t reads = 0;   // to be done for each way
    std::uint64_t started = 0; // of the way that is running
    bool failed = false;

    [[nodiscard]] std::uint64_t next_sector() { return started++ * kSectors % (disk->sectors() / kSectors * kSectors); }
};
constinit Bench bench;

/// Counters before and after.
class Measurement {
public:
    explicit Measurement(const char* name) : name_(name), before_(now()), begun_(kernel::now_ns()) {
        bench.started = 0;
        mark_start();
    }
    ~Measurement() {
        mark_end();
        const std::uint64_t ns = kernel::now_ns() - begun_;
        const Counts after = now();
        std::printf("RESULT %s reads=%llu kicks=%llu suppressed=%llu interrupts=%llu rescues=%llu ns=%llu\n", name_,
                    static_cast<unsigned long long>(after.requests - before_.requests),
                    static_cast<unsigned long long>(after.kicks - before_.kicks),
                    static_cast<unsigned long long>(after.suppressed - before_.suppressed),
                    static_cast<unsigned long long>(after.interrupts - before_.interrupts),
                    static_cast<unsigned long long>(after.rescues - before_.rescues), static_cast<unsigned long long>(ns));
        std::fflush(stdout);
    }
    Measurement(const Measurement&) = delete;
    Measurement& operator=(const Measurement&) = delete;

private:
    struct Counts {
        std::uint64_t requests, kicks, suppressed, interrupts, rescues;
    };
    static Counts now() {
        virtio::BlockDevice& device = bench.disk->device();
        const virtio::QueueCounters& queue = device.queue().counters();
        return {queue.requests, queue.kicks, queue.kicks_suppressed, device.device().interrupts(), device.device().watchdog_rescues()};
    }
    const char* name_;
    Counts before_;
    std::uint64_t begun_;
};

void read_some(std::span<std::byte> buffer) {
    while (bench.started < bench.reads)
        if (!bench.disk->read(bench.next_sector(), buffer)) {
            bench.failed = true;
            return;
        }
}

/// One task, one read at a time.
void depth_1(std::span<std::byte> memory) {
    const Measurement measure("depth1");
    read_some(memory.first(kBlock));
}

/// As many tasks as reads in flight, each with one at a time: how a program uses a Disk.
void by_tasks(const char* name, std::size_t depth, std::span<std::byte> memory) {
    struct Reader {
        std::span<std::byte> buffer;
    };
    std::vector<Reader> readers(depth);
    std::vector<kernel::Task*> tasks;
    const Measurement measure(name);
    for (std::size_t i = 0; i < depth; ++i) {
        readers[i].buffer = memory.subspan(i * kBlock, kBlock);
        const auto task = kernel::spawn(
            "reader", [](void* reader) { read_some(static_cast<Reader*>(reader)->buffer); }, &readers[i], kernel::kDefaultStackBytes,
            kernel::TaskLifetime::joinable);
        if (!task) {
            bench.failed = true;
            break;
        }
        tasks.push_back(*task);
    }
    for (kernel::Task* task : tasks) kernel::join(*task);
}

/// One task that keeps requests in flight with the driver's own interface: what came back is submitted again, then one kick for all.
struct Slot : virtio::BlockRequest {
    std::span<std::byte> buffer;
    kernel::Semaphore* done = nullptr;
};
void by_batches(const char* name, std::size_t depth, std::span<std::byte> memory) {
    virtio::BlockDevice& device = bench.disk->device();
    kernel::Semaphore done{0};
    std::vector<Slot> slots(depth);
    for (std::size_t i = 0; i < depth; ++i) {
        slots[i].buffer = memory.subspan(i * kBlock, kBlock);
        slots[i].done = &done;
        slots[i].complete = [](virtio::Request& request) noexcept { static_cast<Slot&>(request).done->release(); };
    }
    const Measurement measure(name);
    std::size_t in_flight = 0;
    while (!bench.failed) {
        for (Slot& slot : slots) {
            if (slot.state == virtio::Request::State::in_flight) continue;
            if (slot.state == virtio::Request::State::done && slot.error != virtio::Error::none) bench.failed = true;
            if (bench.started >= bench.reads) continue;
            if (!device.read(slot, bench.next_sector(), slot.buffer)) bench.failed = true;
            ++in_flight;
        }
        bench.disk->kick();
        if (in_flight == 0) break;
        // One wake-up may have brought many.
        static_cast<void>(done.acquire());
        --in_flight;
        while (done.try_acquire()) --in_flight;
    }
}

} // namespace

int main() {
    if (kernel::block_disks().empty()) {
        std::puts("there is no disk to read from");
        return 1;
    }
    bench.disk = kernel::block_disks()[0];
    bench.reads = 1000;
    if (const auto reads = kernel::command_line_value("reads")) bench.reads = kernel::parse_number(*reads).value_or(1000);
    constexpr std::size_t kDepth = 32;
    std::vector<std::byte> storage(kDepth * kBlock + kBlock);
    const std::size_t offset = kBlock - reinterpret_cast<std::uintptr_t>(storage.data()) % kBlock;
    const std::span<std::byte> memory(storage.data() + offset, kDepth * kBlock);
    depth_1(memory);
    by_tasks("depth32-tasks", kDepth, memory);
    by_batches("depth32-batch", kDepth, memory);
    return bench.failed ? 1 : 0;
}
