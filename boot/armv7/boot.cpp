// From the entry stub to kernel_main: exceptions first, then what the device tree says about memory, the command line, the serial port.
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
std::array<char, 4096> command_line;

// Where a loader puts the tree that does not say where it is: the beginning of RAM below the image (QEMU with an ELF file).
constexpr std::uint32_t kRamAlignment = 1u << 30;

std::span<const std::byte> bytes_at(std::uint32_t address, std::size_t size) { return {reinterpret_cast<const std::byte*>(address), size}; }

std::uint32_t tree_length(std::uint32_t address) {
    if (address % 4 != 0 || address < 4096) return 0;
    const std::uint32_t length = kernel::DeviceTree::length(bytes_at(address, kernel::DeviceTree::kHeaderBytes));
    return length <= ~address ? length : 0;
}

} // namespace

namespace kernel {
const BootInfo& boot_info() noexcept { return info; }
} // namespace kernel

extern "C" [[noreturn]] void ringside_boot(std::uint32_t address) {
    arch::start_exceptions();
    const bool told = tree_length(address) != 0;
    if (!told) address = reinterpret_cast<std::uintptr_t>(ringside_image_start) & ~(kRamAlignment - 1);
    const std::uint32_t length = tree_length(address);
    if (length == 0) kernel::panic("no device tree, neither in r2 nor at 0x%lx", static_cast<unsigned long>(address));
    const auto tree = kernel::DeviceTree::open(bytes_at(address, length));
    if (!tree) kernel::panic("device tree: %s (at byte %u)", tree.error().what, static_cast<unsigned>(tree.error().offset));
    kernel::start_uart(kernel::read_uart(*tree));
    info.protocol = told ? "Linux" : "ELF";
    if (const auto ok = kernel::read_boot(*tree, address, info, command_line); !ok) kernel::panic("device tree: %s", ok.error());
    kernel_main();
}
