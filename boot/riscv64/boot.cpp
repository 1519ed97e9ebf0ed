// From the entry stub to kernel_main: exceptions first, then what the device tree says about memory, command line and RAM disk.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <machine/page_tables.hpp>

#include "arch/exception.hpp"
#include "arch/kernel_hooks.hpp"
#include "arch/riscv64/hart.hpp"
#include "arch/riscv64/sbi.hpp"
#include "kernel/boot_info.hpp"
#include "kernel/firmware/tree_boot.hpp"
#include "kernel/firmware/tree_hardware.hpp"
#include "kernel/panic/panic.hpp"
#include "kernel/uart/uart.hpp"

namespace {

kernel::BootInfo info;
std::array<char, 4096> strings;

/// The firmware's console, for what is to be said where no serial port is known.
void write_by_firmware(std::string_view text) {
    for (const char c : text) arch::sbi_call(arch::kSbiLegacyPutchar, 0, static_cast<unsigned char>(c));
}

std::span<const std::byte> early_bytes(std::uint64_t address, std::size_t size) {
    if (address == 0 || address % 8 != 0 || address >= arch::kEarlyMappedEnd || size > arch::kEarlyMappedEnd - address) return {};
    return {reinterpret_cast<const std::byte*>(static_cast<std::uintptr_t>(address)), size};
}

} // namespace

namespace kernel {
const BootInfo& boot_info() noexcept { return info; }
} // namespace kernel

extern "C" [[noreturn]] void ringside_boot(std::uint64_t hart, std::uint64_t address) {
    using namespace kernel;
    arch::start_exceptions();
    arch::this_hart().id = hart;
    (void)set_emergency_writer(write_by_firmware);

    const auto header = early_bytes(address, DeviceTree::kHeaderBytes);
    const std::uint32_t length = header.empty() ? 0 : DeviceTree::length(header);
    if (length == 0) panic("no device tree at 0x%llx", static_cast<unsigned long long>(address));
    const auto tree = DeviceTree::open(early_bytes(address, length));
    if (!tree) panic("device tree: %s (at byte %u)", tree.error().what, static_cast<unsigned>(tree.error().offset));
    if (const arch::Uart uart = read_uart(*tree); uart.kind != arch::Uart::Kind::none) {
        start_uart(uart);
        (void)set_emergency_writer(nullptr);
    }
    if (const auto ok = read_boot(*tree, address, info, strings); !ok) panic("device tree: %s", ok.error());
    info.protocol = "SBI";
    kernel_main();
}
