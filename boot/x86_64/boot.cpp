// From the entry stub to kernel_main: exceptions first, then the loader's information, copied.
#include <cstdint>

#include "arch/x86_64/descriptors.hpp"
#include "arch/x86_64/kernel_hooks.hpp"
#include "boot/x86_64/pvh.hpp"
#include "kernel/boot_info.hpp"
#include "kernel/panic/panic.hpp"

namespace {

kernel::BootInfo info;
boot::StringStorage strings;

// What the early page tables map.
constexpr std::uint64_t kEarlyMapped = std::uint64_t{4} << 30;

} // namespace

namespace kernel {
const BootInfo& boot_info() noexcept { return info; }
} // namespace kernel

extern "C" [[noreturn]] void ringside_boot(std::uint64_t start_info) {
    arch::start_descriptors();
    const boot::PhysicalView memory(nullptr, kEarlyMapped);
    if (const auto ok = boot::read_start_info(memory, start_info, info, strings); !ok)
        kernel::panic("boot information unusable: %s", virtio::message(ok.error()));
    info.rsdp = boot::find_rsdp(memory, info.rsdp);
    // Needed only where there is no ACPI: spare the scan otherwise.
    if (info.rsdp == 0) info.mp_table = boot::find_mp_table(memory);
    kernel_main();
}
