// A disk and a console without a kernel: libvirtio, the block and the console driver on QEMU's `virt` machine with an ARMv7-A processor.
// No heap, no interrupts, no C library: the objects stand in static memory, the rings in a pool, and whoever waits polls.
//
// It prints over the virtio console and the PL011, copies the first half of the disk, every byte inverted, to the second half, reads that
// back, and ends with 0 if it is right, else with the number of the step that failed.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <ringside/blk.hpp>
#include <ringside/console.hpp>
#include <ringside/mmio.hpp>

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000; // in nanoseconds, as all times are

// The machine: where its MMIO slots and its UART are. QEMU fills the slots from the last one down.
constexpr std::uintptr_t kFirstSlot = 0x0a00'0000;
constexpr std::size_t kSlotBytes = 0x200;
constexpr unsigned kSlots = 32;
constexpr std::uintptr_t kUart = 0x0900'0000;
constexpr std::uintptr_t kUartFlags = kUart + 0x18;
constexpr std::uint32_t kUartFull = 1u << 5;

// What the drivers ask for when they start: rings, headers, the console's buffers.
alignas(4096) constinit std::array<std::byte, std::size_t{128} * 1024> pool{};

// The four functions that a port writes. Devices of this machine see memory where the processor sees it, and through its caches: on a
// board where they do not, the pool has to be uncached memory.
class Board final : public virtio::Platform {
public:
    void* dma_allocate(std::size_t bytes, std::size_t alignment) noexcept override {
        const std::size_t start = (used_ + alignment - 1) & ~(alignment - 1);
        if (start > pool.size() || bytes > pool.size() - start) return nullptr;
        used_ = start + bytes;
        return pool.data() + start; // zeroed, as .bss is, since nothing is ever used twice
    }
    void dma_free(void*, std::size_t) noexcept override {} // a program that stops and starts devices again needs more than this
    virtio::DmaAddress dma_address(const void* memory) noexcept override { return {reinterpret_cast<std::uintptr_t>(memory)}; }
    std::uint64_t now_ns() noexcept override {
        std::uint64_t ticks;
        std::uint32_t frequency;
        asm volatile("isb\n\tmrrc p15, 1, %Q0, %R0, c14" : "=r"(ticks) : : "memory"); // CNTVCT
        asm volatile("mrc p15, 0, %0, c14, c0, 0" : "=r"(frequency));                 // CNTFRQ
        return ticks / frequency * kSecond + ticks % frequency * kSecond / frequency;
    }
    [[nodiscard]] std::size_t used() const noexcept { return used_; }

private:
    std::size_t used_ = 0;
};

constinit Board board;
constinit virtio::MmioTransport disk_slot;
constinit virtio::MmioTransport console_slot;
constinit virtio::BlockDevice disk;
constinit virtio::ConsoleDevice console;
constinit virtio::ConsolePort* port = nullptr;

// Printing: a line goes to the UART at once, and to the console as soon as there is one.

void print(std::string_view text) {
    for (const char c : text) {
        while ((*reinterpret_cast<volatile std::uint32_t*>(kUartFlags) & kUartFull) != 0) {
        }
        *reinterpret_cast<volatile std::uint32_t*>(kUart) = static_cast<unsigned char>(c);
    }
    if (port != nullptr) static_cast<void>(port->write(std::as_bytes(std::span(text)), board.now_ns() + kSecond));
}

void print(const char* text) {
    std::size_t length = 0; // not std::string_view's constructor, which would call strlen()
    while (text[length] != '\0') ++length;
    print(std::string_view(text, length));
}

void print(std::uint64_t number) {
    std::array<char, 20> digits{};
    std::size_t first = digits.size();
    do {
        digits[--first] = static_cast<char>('0' + number % 10);
        number /= 10;
    } while (number != 0);
    print(std::string_view(digits.data() + first, digits.size() - first));
}

template<class... Parts> void say(const Parts&... parts) {
    (print(parts), ...);
    print("\r\n");
}

/// The step's number as the program's status, and the reason in words.
int failed(int step, std::string_view what, virtio::Error error) {
    say("FAIL ", what, ": ", virtio::message(error));
    return step;
}

// Finding the devices: an empty slot says so.

virtio::Result<> find(std::uint32_t type, virtio::MmioTransport& transport) {
    for (unsigned n = 0; n < kSlots; ++n) {
        const std::uintptr_t base = kFirstSlot + n * kSlotBytes;
        virtio::MmioTransport probe;
        if (!probe.open(board, base, kSlotBytes, virtio::MmioTransport::Line::absent)) continue;
        const auto identity = probe.identity();
        if (identity && identity->type == type) return transport.open(board, base, kSlotBytes, virtio::MmioTransport::Line::absent);
    }
    return virtio::fail(virtio::Error::no_device);
}

virtio::Result<> start_console() {
    if (const auto found = find(virtio::kConsoleType, console_slot); !found) return found;
    if (const auto started = console.start(board, console_slot, {.maximum_ports = 1, .queue_size = 16}); !started) return started;
    // The device tells about its ports by messages.
    const std::uint64_t deadline = board.now_ns() + kSecond;
    do {
        console.poll();
        virtio::ConsolePort* const announced = console.console();
        if (announced != nullptr && announced->host_open()) {
            port = announced;
            return {};
        }
    } while (board.now_ns() < deadline);
    return virtio::fail(virtio::Error::timeout);
}

virtio::Result<> start_disk() {
    if (const auto found = find(virtio::kBlockDeviceType, disk_slot); !found) return found;
    return disk.start(board, disk_slot, {.queue_size = 16});
}

// Work: four requests of 8 KiB at a time, with one notification for all of them.

constexpr std::size_t kParts = 4;
constexpr std::size_t kPartBytes = 8192;
constexpr std::uint64_t kPartSectors = kPartBytes / virtio::kSectorSize;
using Buffer = std::array<std::byte, kPartBytes>;
std::array<virtio::BlockRequest, kParts> requests;
alignas(virtio::kDmaLine) std::array<Buffer, kParts> buffers;
alignas(virtio::kDmaLine) std::array<Buffer, kParts> again;

enum class Way : std::uint8_t { read, write };

virtio::Result<> move(Way way, std::uint64_t sector, std::array<Buffer, kParts>& data) {
    for (std::size_t i = 0; i < kParts; ++i) {
        const std::uint64_t where = sector + i * kPartSectors;
        const auto queued = way == Way::read ? disk.read(requests[i], where, data[i]) : disk.write(requests[i], where, data[i]);
        if (!queued) return queued;
    }
    disk.kick();
    for (virtio::BlockRequest& request : requests) {
        if (const auto done = disk.wait(request, kSecond); !done) return done;
    }
    return {};
}

virtio::Result<bool> copy_inverted() {
    const std::uint64_t half = disk.sectors() / 2;
    for (std::uint64_t sector = 0; sector + kParts * kPartSectors <= half; sector += kParts * kPartSectors) {
        if (const auto read = move(Way::read, sector, buffers); !read) return virtio::fail(read.error());
        for (Buffer& buffer : buffers) {
            for (std::byte& byte : buffer) byte = ~byte;
        }
        if (const auto written = move(Way::write, half + sector, buffers); !written) return virtio::fail(written.error());
        if (const auto read = move(Way::read, half + sector, again); !read) return virtio::fail(read.error());
        if (buffers != again) return false;
    }
    if (const auto durable = disk.flush(kSecond); !durable) return virtio::fail(durable.error());
    return true;
}

} // namespace

/// Called by start.S; what it returns is the program's status.
extern "C" int bare_main() {
    if (const auto started = start_console(); !started) return failed(1, "console", started.error());
    say("hello over virtio, console ", console.device().transport().name());
    if (const auto started = start_disk(); !started) return failed(2, "disk", started.error());
    say("disk ", disk.id(), ": ", disk.sectors(), " sectors");
    const auto copied = copy_inverted();
    if (!copied) return failed(3, "copy", copied.error());
    if (!*copied) return failed(4, "copy", virtio::Error::io_error);
    say("pool: ", board.used(), " of ", pool.size(), " bytes");
    if (const auto stopped = disk.stop(); !stopped) return failed(5, "stop", stopped.error());
    say("all is well");
    return port->drain(board.now_ns() + kSecond) ? 0 : 6;
}

// A pure virtual function was called: cannot happen, but the tables of abstract classes name it.
extern "C" [[noreturn]] void __cxa_pure_virtual() { __builtin_trap(); }
