// Reads: one at a time, 32 in flight, a megabyte. Those that sleep are done by the slow disk (the last one), whose answer never
// comes before the processor is idle; the others by the first.
#include <span>
#include <vector>

#include <ringside/app.hpp>

#include "boot/images/bench/measurement.hpp"
#include "kernel/device_manager/block_disk.hpp"
#include "kernel/device_manager/device_manager.hpp"
#include "kernel/task/task.hpp"

namespace bench {
namespace {

constexpr std::size_t kBlock = 4096, kLarge = std::size_t{1} << 20, kDepth = 32;

/// Sectors one after the other, from the beginning again at the end.
class Sectors {
public:
    Sectors(const kernel::BlockDisk& disk, std::size_t bytes) noexcept
        : step_(bytes / ringside::kSectorBytes), end_(disk.sectors() / step_ * step_) {}
    [[nodiscard]] std::uint64_t next() noexcept {
        const std::uint64_t sector = next_;
        next_ = next_ + step_ == end_ ? 0 : next_ + step_;
        return sector;
    }

private:
    std::uint64_t step_, end_, next_ = 0;
};

/// A program that waits for each read.
void one_by_one(const char* name, kernel::BlockDisk& disk, std::span<std::byte> buffer, std::uint64_t count) {
    Sectors sectors(disk, buffer.size());
    Measurement measure(name, disk.device().device());
    for (std::uint64_t i = 0; i < count; ++i)
        if (const auto done = disk.read(sectors.next(), buffer); !done) {
            fail(name, done.error());
            break;
        }
    measure.end(count);
}

/// A program that looks whether the read is done instead of sleeping. Only the looks that find nothing are not counted.
void polled(const char* name, kernel::BlockDisk& disk, std::span<std::byte> buffer, std::uint64_t count) {
    virtio::BlockDevice& device = disk.device();
    Sectors sectors(disk, buffer.size());
    virtio::BlockRequest request;
    static_cast<void>(device.poll(virtio::PollEnd::quiet));
    Measurement measure(name, device.device());
    for (std::uint64_t i = 0; i < count && !failed(); ++i) {
        if (const auto sent = device.read(request, sectors.next(), buffer); !sent) fail(name, sent.error());
        device.kick();
        measure.pause();
        while (!device.queue().pending() && !device.failed()) {
        }
        measure.resume();
        static_cast<void>(device.poll(virtio::PollEnd::quiet));
        if (!request.done() || request.error != virtio::Error::none) fail(name, request.error);
    }
    measure.end(count);
    static_cast<void>(device.poll());
}

/// As many tasks as reads in flight, each waiting for its own: how a program uses a Disk.
void by_tasks(const char* name, kernel::BlockDisk& disk, std::span<std::byte> memory, std::uint64_t count) {
    struct Shared {
        kernel::BlockDisk& disk;
        Sectors sectors;
        const char* name;
        std::uint64_t left;
    } shared{disk, Sectors(disk, kBlock), name, count};
    struct Reader {
        Shared& shared;
        std::span<std::byte> buffer;
    };
    std::vector<Reader> readers;
    std::vector<kernel::Task*> tasks;
    for (std::size_t i = 0; i < kDepth; ++i) readers.push_back({shared, memory.subspan(i * kBlock, kBlock)});
    Measurement measure(name, disk.device().device());
    for (Reader& reader : readers) {
        const auto run = [](void* argument) {
            const Reader& mine = *static_cast<Reader*>(argument);
            while (mine.shared.left != 0 && !failed()) {
                --mine.shared.left;
                if (const auto done = mine.shared.disk.read(mine.shared.sectors.next(), mine.buffer); !done)
                    fail(mine.shared.name, done.error());
            }
        };
        const auto task = kernel::spawn("reader", run, &reader, kernel::kDefaultStackBytes, kernel::TaskLifetime::joinable);
        if (!task) {
            fail(name, task.error());
            break;
        }
        tasks.push_back(*task);
    }
    for (kernel::Task* task : tasks) kernel::join(*task);
    measure.end(count);
}

/// One task that keeps requests in flight with the driver's own interface: what came back is submitted again, then one kick for all.
void by_batches(const char* name, kernel::BlockDisk& disk, std::span<std::byte> memory, std::uint64_t count) {
    struct Slot : virtio::BlockRequest {
        std::byte* buffer = nullptr;
        Slot* next = nullptr;
        Slot** returned = nullptr;
    };
    virtio::BlockDevice& device = disk.device();
    Sectors sectors(disk, kBlock);
    std::vector<Slot> slots(kDepth);
    Slot* returned = nullptr; // done, and to be submitted again
    for (std::size_t i = 0; i < kDepth; ++i) {
        slots[i].buffer = memory.data() + i * kBlock;
        slots[i].next = returned;
        slots[i].returned = &returned;
        returned = &slots[i];
        slots[i].complete = [](virtio::Request& request) noexcept {
            Slot& slot = static_cast<Slot&>(request);
            slot.next = *slot.returned;
            *slot.returned = &slot;
        };
    }
    std::uint64_t left = count;
    Measurement measure(name, device.device());
    while (!failed()) {
        Slot* last = nullptr;
        while (left != 0 && returned != nullptr) {
            last = returned;
            returned = returned->next;
            if (last->error != virtio::Error::none) fail(name, last->error);
            if (const auto sent = device.read(*last, sectors.next(), {last->buffer, kBlock}); !sent) fail(name, sent.error());
            --left;
        }
        if (last == nullptr) break;
        if (!disk.wait(*last)) fail(name, virtio::Error::timeout);
    }
    measure.end(count);
}

} // namespace

void measure_block() {
    const auto disks = kernel::block_disks();
    if (disks.empty()) return;
    kernel::BlockDisk& fast = *disks.front();
    kernel::BlockDisk& slow = *disks.back();
    std::vector<std::byte> storage(kLarge + kBlock);
    const std::size_t offset = kBlock - reinterpret_cast<std::uintptr_t>(storage.data()) % kBlock;
    const std::span<std::byte> memory(storage.data() + offset, kLarge);
    const std::uint64_t count = operations();
    if (wanted("qd1_sleep")) one_by_one("qd1_sleep", slow, memory.first(kBlock), count);
    if (wanted("qd1_poll")) polled("qd1_poll", fast, memory.first(kBlock), count);
    if (wanted("qd32")) by_batches("qd32", fast, memory, count);
    if (wanted("qd32_tasks")) by_tasks("qd32_tasks", fast, memory, count);
    if (wanted("read1m")) one_by_one("read1m", slow, memory, count / 8);
}

} // namespace bench
