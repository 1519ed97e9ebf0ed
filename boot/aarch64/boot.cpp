// From the entry stub to kernel_main: exceptions first, then what the device tree says about serial port and memory.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "arch/exception.hpp"
#include "arch/kernel_hooks.hpp"
#include "kernel/boot_info.hpp"
#include "kernel/firmware/tree_boot.hpp"
#include "kernel/firmware/tree_hardware.hpp"
#include "kernel/panic/panic.hpp"
#include "kernel/uart/uart.hpp"

namespace {

kernel::BootInfo info;
std::array<char, 4096> strings;

// What the early page tables map as memory.
constexpr std::uint64_t kEarlyBegin = std::uint64_t{1} << 30, kEarlyEnd = std::uint64_t{4} << 30;

/// The bytes of the tree, as its header tells their number; empty if there is none where we can read it.
std::span<const std::byte> tree_bytes(std::uint64_t address) {
    using kernel::DeviceTree;
    if (address < kEarlyBegin || address > kEarlyEnd - DeviceTree::kHeaderBytes || address % 8 != 0) return {};
    const auto* begin = reinterpret_cast<const std::byte*>(address);
    const std::uint32_t length = DeviceTree::length({begin, DeviceTree::kHeaderBytes});
    if (length > kEarlyEnd - address) return {};
    return {begin, length};
}

/// The command line that came beside the tree, if one did: copied.
void take_command_line(std::uint64_t address) {
    if (address < kEarlyBegin || address > kEarlyEnd - strings.size()) return;
    const auto* const text = reinterpret_cast<const char*>(address);
    if (*text == 0) return;
    std::size_t length = 0;
    for (; length + 1 < strings.size() && text[length] != 0; ++length) strings[length] = text[length];
    strings[length] = 0;
    info.command_line = strings.data();
}

} // namespace

namespace kernel {
const BootInfo& boot_info() noexcept { return info; }
} // namespace kernel

extern "C" [[noreturn]] void ringside_boot(std::uint64_t tree_address, std::uint64_t command_line) {
    arch::start_exceptions();
    // Without a tree there is not even a serial port to complain on.
    const std::span<const std::byte> bytes = tree_bytes(tree_address);
    const auto tree = kernel::DeviceTree::open(bytes);
    if (tree) kernel::start_uart(kernel::read_uart(*tree));
    if (bytes.empty()) kernel::panic("no device tree at 0x%lx", static_cast<unsigned long>(tree_address));
    if (!tree) kernel::panic("device tree: %s (at byte %u)", tree.error().what, static_cast<unsigned>(tree.error().offset));
    if (const auto ok = kernel::read_boot(*tree, tree_address, info, strings); !ok) kernel::panic("device tree: %s", ok.error());
    take_command_line(command_line);
    info.protocol = "Linux";
    if (command_line != 0) info.loader = "UEFI";
    kernel_main();
}
