// From the entry stub to kernel_main: exceptions first, then the loader's information, copied.
#include <array>
#include <cstddef>
#include <cstdint>

#include "arch/exception.hpp"
#include "arch/kernel_hooks.hpp"
#include "boot/x86_64/efi.hpp"
#include "boot/x86_64/firmware_scan.hpp"
#include "boot/x86_64/linux.hpp"
#include "boot/x86_64/multiboot2.hpp"
#include "boot/x86_64/pvh.hpp"
#include "kernel/boot_info.hpp"
#include "kernel/panic/panic.hpp"
#include "kernel/uart/uart.hpp"

namespace {

kernel::BootInfo info;
boot::StringStorage strings;
// Where a loader tells the root pointer's content only.
alignas(16) std::array<std::byte, 36> root_pointer;

// What the early page tables map.
constexpr std::uint64_t kEarlyMapped = std::uint64_t{4} << 30;

// As the entry stub numbers its entries.
enum class Protocol : std::uint32_t { pvh = 0, multiboot2 = 1, linux_ = 2 };

virtio::Result<> read_information(const boot::PhysicalView& memory, Protocol protocol, std::uint64_t address,
                                  boot::FirmwareTables& tables) {
    switch (protocol) {
    case Protocol::pvh: return boot::read_start_info(memory, address, info, strings);
    case Protocol::multiboot2: return boot::read_multiboot2(memory, address, info, strings, tables);
    case Protocol::linux_: return boot::read_boot_params(memory, address, info, strings, tables);
    }
    return virtio::fail(virtio::Error::bad_magic);
}

/// The loader's own word first, then UEFI's, then what a BIOS left in memory, then a copy of which nobody knows the origin.
std::uint64_t root_pointer_address(const boot::PhysicalView& memory, const boot::FirmwareTables& tables) {
    if (info.rsdp != 0 && boot::is_root_pointer(memory, info.rsdp)) return info.rsdp;
    if (const std::uint64_t found = boot::rsdp_of_efi(memory, tables.efi_system_table)) return found;
    if (const std::uint64_t found = boot::find_rsdp(memory, 0)) return found;
    if (tables.root_pointer_bytes == 0) return 0;
    root_pointer = tables.root_pointer;
    return reinterpret_cast<std::uint64_t>(root_pointer.data());
}

} // namespace

namespace kernel {
const BootInfo& boot_info() noexcept { return info; }
} // namespace kernel

extern "C" [[noreturn]] void ringside_boot(std::uint64_t information, Protocol protocol) {
    kernel::start_uart({.kind = arch::Uart::Kind::ns16550_port, .registers = {0x3f8, 8}, .line = {}});
    arch::start_exceptions();
    const boot::PhysicalView memory(nullptr, kEarlyMapped);
    boot::FirmwareTables tables;
    if (const auto ok = read_information(memory, protocol, information, tables); !ok)
        kernel::panic("boot information unusable: %s", virtio::message(ok.error()));
    info.rsdp = root_pointer_address(memory, tables);
    // Needed only where there is no ACPI: spare the scan otherwise.
    if (info.rsdp == 0) info.mp_table = boot::find_mp_table(memory);
    kernel_main();
}
