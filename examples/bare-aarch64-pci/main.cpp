// A disk over PCI without a kernel: libvirtio and the block driver on QEMU's `virt` machine with an ARMv8-A processor, where nobody before us
// has given the PCI functions their addresses. No heap, no interrupts, no C library.
//
// It finds the disk, gives its function memory to answer at, reverses the order of the sectors of the first half of the disk into the second
// half, reads that back, and ends with 0 if it is right, else with the number of the step that failed. It prints over the PL011.
#include <array>
#include <cstddef>
#include <cstdint>

#include <ringside/blk.hpp>
#include <ringside/pci.hpp>
#include <ringside/pci_bus.hpp>
#include <ringside/pci_modern.hpp>
#include <ringside/pci_resources.hpp>

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000; // in nanoseconds, as all times are

// The machine, started with highmem=off: configuration space below 1 GiB, 16 buses of it, and the window for 32-bit addresses.
constexpr std::uintptr_t kUart = 0x0900'0000;
constexpr std::uintptr_t kConfiguration = 0x3f00'0000;
constexpr std::uint8_t kLastBus = 15;
constexpr std::uint64_t kWindow = 0x1000'0000;
constexpr std::uint64_t kWindowSize = 0x2eff'0000;
constexpr std::uint64_t kMappedEnd = 0x4000'0000; // start.S maps devices up to here

// What the drivers ask for when they start.
alignas(4096) constinit std::array<std::byte, std::size_t{64} * 1024> pool{};

// The four functions that every port writes, and the three that one with PCI adds.
class Board final : public virtio::PciPlatform {
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
        std::uint64_t frequency;
        asm volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
        asm volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
        return ticks / frequency * kSecond + ticks % frequency * kSecond / frequency;
    }

    std::uint32_t pci_read(const virtio::PciAddress& address, std::uint16_t offset, unsigned width) noexcept override {
        const std::uintptr_t at = place(address, offset);
        if (at == 0) return 0xffff'ffff;
        if (width == 1) return *reinterpret_cast<volatile std::uint8_t*>(at);
        return width == 2 ? *reinterpret_cast<volatile std::uint16_t*>(at) : *reinterpret_cast<volatile std::uint32_t*>(at);
    }
    void pci_write(const virtio::PciAddress& address, std::uint16_t offset, unsigned width, std::uint32_t value) noexcept override {
        const std::uintptr_t at = place(address, offset);
        if (at == 0) return;
        if (width == 1)
            *reinterpret_cast<volatile std::uint8_t*>(at) = static_cast<std::uint8_t>(value);
        else if (width == 2)
            *reinterpret_cast<volatile std::uint16_t*>(at) = static_cast<std::uint16_t>(value);
        else
            *reinterpret_cast<volatile std::uint32_t*>(at) = value;
    }
    std::uintptr_t map_device(std::uint64_t base, std::uint64_t size) noexcept override {
        return base < kMappedEnd && size <= kMappedEnd - base ? base : 0; // mapped one to one, as Device memory
    }

private:
    static std::uintptr_t place(const virtio::PciAddress& address, std::uint16_t offset) noexcept {
        if (address.segment != 0 || address.bus > kLastBus || offset > 0xfff) return 0;
        return kConfiguration + (std::uintptr_t{address.bus} << 20) + (std::uintptr_t{address.device} << 15) +
               (std::uintptr_t{address.function} << 12) + offset;
    }
    std::size_t used_ = 0;
};

constinit Board board;
constinit virtio::PciResources resources;
constinit virtio::PciBus bus;
constinit virtio::PciTransport transport;
constinit virtio::BlockDevice disk;

void print(const char* text) { // QEMU's UART is never full
    while (*text != '\0') *reinterpret_cast<volatile std::uint32_t*>(kUart) = static_cast<unsigned char>(*text++);
}

/// The step's number as the program's status, and the reason in words.
int failed(int step, const char* what, virtio::Error error) {
    for (const char* text : {"FAIL ", what, ": ", virtio::message(error), "\r\n"}) print(text);
    return step;
}

/// Called for every function of the bus: the first disk is ours.
void found(void* context, const virtio::PciFunction& function) noexcept {
    const auto type = virtio::virtio_type(function);
    auto& opened = *static_cast<virtio::Result<>*>(context);
    if (type && *type == virtio::kBlockDeviceType && !opened) opened = transport.open(function);
}

// Work: a few blocks at a time, through one buffer.

constexpr std::size_t kBytes = 16384;
constexpr std::uint64_t kSectors = kBytes / virtio::kSectorSize;
using Buffer = std::array<std::byte, kBytes>;
alignas(virtio::kDmaLine) Buffer buffer;
alignas(virtio::kDmaLine) Buffer again;

void reverse_sectors(Buffer& data) {
    for (std::size_t low = 0, high = kBytes - virtio::kSectorSize; low < high; low += virtio::kSectorSize, high -= virtio::kSectorSize) {
        for (std::size_t i = 0; i < virtio::kSectorSize; ++i) {
            const std::byte byte = data[low + i];
            data[low + i] = data[high + i];
            data[high + i] = byte;
        }
    }
}

virtio::Result<bool> copy_reversed() {
    const std::uint64_t half = disk.sectors() / 2;
    for (std::uint64_t sector = 0; sector + kSectors <= half; sector += kSectors) {
        const std::uint64_t target = disk.sectors() - sector - kSectors;
        if (const auto read = disk.read(sector, buffer, kSecond); !read) return virtio::fail(read.error());
        reverse_sectors(buffer);
        if (const auto written = disk.write(target, buffer, kSecond); !written) return virtio::fail(written.error());
        if (const auto read = disk.read(target, again, kSecond); !read) return virtio::fail(read.error());
        if (buffer != again) return false;
    }
    if (const auto durable = disk.flush(kSecond); !durable) return virtio::fail(durable.error());
    return true;
}

} // namespace

/// Called by start.S; what it returns is the program's status.
extern "C" int bare_main() {
    // Firmware's work: bus numbers, and a place in the window for each register that wants one. (There is no window for ports here.)
    const virtio::PciBus::Range range{.last_bus = kLastBus};
    virtio::PciWindows windows;
    windows.memory = {kWindow, kWindowSize};
    resources.assign(board, range, windows, {});
    virtio::Result<> opened = virtio::fail(virtio::Error::no_device);
    if (const auto scanned = bus.scan(board, range, {.added = found, .context = &opened}); !scanned)
        return failed(1, "bus", scanned.error());
    if (!opened) return failed(2, "disk", opened.error());
    if (const auto started = disk.start(board, transport, {.queue_size = 16}); !started) return failed(3, "disk", started.error());
    const auto copied = copy_reversed();
    if (!copied) return failed(4, "copy", copied.error());
    if (!*copied) return failed(5, "copy", virtio::Error::io_error);
    if (const auto stopped = disk.stop(); !stopped) return failed(6, "stop", stopped.error());
    print("all is well, over ");
    print(transport.name());
    print("\r\n");
    return 0;
}

// A pure virtual function was called: cannot happen, but the tables of abstract classes name it.
extern "C" [[noreturn]] void __cxa_pure_virtual() { __builtin_trap(); }
