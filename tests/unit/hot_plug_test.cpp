// When hot-plug touches the ports of its slots: not while devices behind them are in use.
#include <doctest/doctest.h>

#include <vector>

#include "kernel/device_manager/hot_plug.hpp"
#include "kernel/device_manager/pci_space.hpp"
#include "kernel/device_manager/platform.hpp"
#include "kernel/device_manager/plugging.hpp"
#include "kernel/log/log.hpp"
#include "kernel/task/task.hpp"
#include "tests/unit/fake_machine.hpp"
#include "tests/unit/support/fake_pci_tree.hpp"

using fake::PciNode;
using fake::PciTree;

namespace {

PciTree tree;
constinit const kernel::PciHost host{.last_bus = 255};
alignas(16) std::array<std::byte, 0x1000> table; // of the port's messages
unsigned stocks = 0, messages = 0;

struct Started {
    Started() { kernel::start_tasks(); }
};
const Started started;

} // namespace

// The kernel's platform over the tree.
namespace kernel {
void log(LogLevel, const char*, ...) {}
void let_go_of(const virtio::PciAddress&, Leaving) {}
void look_for_devices() {}
void PciSpace::take_stock(KernelPlatform&, const PciHost&, const virtio::PciWindows&) { ++stocks; }
void PciConfig::find() { ranges_ = std::span(&host, 1); }
std::uint32_t PciConfig::read(const virtio::PciAddress& at, std::uint16_t offset, unsigned width) noexcept {
    return tree.pci_read(at, offset, width);
}
void PciConfig::write(const virtio::PciAddress& at, std::uint16_t offset, unsigned width, std::uint32_t value) noexcept {
    tree.pci_write(at, offset, width, value);
}
void KernelPlatform::start() { config_.find(); }
void* KernelPlatform::dma_allocate(std::size_t, std::size_t) noexcept { return nullptr; }
void KernelPlatform::dma_free(void*, std::size_t) noexcept {}
virtio::Result<virtio::DmaMemory> KernelPlatform::Domain::allocate(std::size_t, std::size_t) noexcept {
    return virtio::fail(virtio::Error::out_of_memory);
}
virtio::Result<virtio::DmaMemory> KernelPlatform::Domain::allocate_unfilled(std::size_t, std::size_t) noexcept {
    return virtio::fail(virtio::Error::out_of_memory);
}
void KernelPlatform::Domain::free(const virtio::DmaMemory&) noexcept {}
void* KernelPlatform::allocate(std::size_t, std::size_t) noexcept { return nullptr; }
void KernelPlatform::free(void*, std::size_t) noexcept {}
std::uint64_t KernelPlatform::now_ns() noexcept { return kernel::now_ns(); }
void KernelPlatform::wait(const virtio::Event&, std::uint64_t) noexcept {}
void KernelPlatform::wake() noexcept {}
void KernelPlatform::log(virtio::LogLevel, const char*) noexcept {}
std::uintptr_t KernelPlatform::map_device(std::uint64_t, std::uint64_t) noexcept { return reinterpret_cast<std::uintptr_t>(table.data()); }
std::uintptr_t KernelPlatform::map_ports(std::uint64_t, std::uint64_t) noexcept { return 0; }
virtio::Result<std::uint16_t> KernelPlatform::allocate_messages(const virtio::PciAddress&, std::span<virtio::InterruptMessage> wanted,
                                                                const virtio::InterruptTarget&) noexcept {
    messages += static_cast<unsigned>(wanted.size());
    return static_cast<std::uint16_t>(wanted.size());
}
virtio::Result<> KernelPlatform::connect_line(const virtio::PciAddress&, const virtio::InterruptTarget&) noexcept {
    return virtio::fail(virtio::Error::interrupt_unavailable);
}
void KernelPlatform::disconnect(const virtio::PciAddress&, const virtio::InterruptTarget&) noexcept {}
} // namespace kernel

namespace {

constexpr std::uint16_t kCommand = 0x04, kSlotControl = 0x58, kSlotStatus = 0x5a, kMsix = 0x80;
constexpr std::uint32_t kMemory = 2, kNoCommandCompleted = 1u << 18;

constinit kernel::KernelPlatform platform;
constinit kernel::PciSpace space;

/// A root port with a slot and one message.
PciNode& add_port(std::uint8_t device, std::uint8_t bus) {
    PciNode& port = tree.add_bridge(nullptr, device);
    port.put(kCommand, 7, 2);
    port.put(0x18, std::uint32_t{bus} << 8 | std::uint32_t{bus} << 16);
    port.memory(0, 0x1000);
    port.put(0x10, 0xfebf'0000);
    port.slot(0x7b | kNoCommandCompleted);
    port.allow(kSlotControl, 0xffff, 2);
    port.allow(kSlotStatus, 0, 2);
    port.space[0x41] = kMsix;
    port.put(kMsix, 0x11, 2);
    port.allow(kMsix + 2, 0xc000, 2);
    return port;
}

} // namespace

TEST_CASE("hot-plug: a port's memory decoding is never off while devices behind it are in use") {
    PciNode& port = add_port(3, 1);
    bool running = false;
    unsigned cut_off = 0, measured = 0;
    tree.on_write = [&](const PciNode& node, std::uint16_t offset) {
        if (!node.is_bridge() || offset != kCommand || (node.get(kCommand, 2) & kMemory) != 0) return;
        ++measured;
        cut_off += running ? 1 : 0; // a handler that asked a device behind it for the reason of its interrupt would hear nothing, for ever
    };
    static constinit kernel::HotPlug hot_plug;
    platform.start();
    hot_plug.consider({platform, tree.address(port)});
    hot_plug.look(platform, space, false);
    CHECK((port.get(kSlotControl, 2) & 0x20) != 0); // it listens before anybody could press the button
    running = true;                                 // the drivers have started
    hot_plug.start(platform, space);
    kernel::sleep_until(fake::machine().now + 1'000'000'000);
    CHECK(cut_off == 0);
    CHECK(measured != 0);
    CHECK(stocks == 1);
    CHECK(messages == 1);
    CHECK((port.get(kSlotControl, 2) & 0x29) == 0x29);
    CHECK((port.get(kMsix + 2, 2) & 0xc000) == 0x8000);
    tree.on_write = nullptr;
}

TEST_CASE("hot-plug: nothing is measured where nothing can come") {
    static constinit kernel::HotPlug hot_plug;
    stocks = 0;
    PciNode& bridge = tree.add_bridge(nullptr, 4);
    hot_plug.consider({platform, tree.address(bridge)});
    for (const bool others : {false, true}) hot_plug.look(platform, space, others);
    hot_plug.start(platform, space);
    kernel::sleep_until(fake::machine().now + 1'000'000'000);
    CHECK(stocks == 0);
}
