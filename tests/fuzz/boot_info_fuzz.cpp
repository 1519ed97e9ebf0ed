// A fuzzer of what loaders hand over: PVH start information, multiboot2 tags, Linux's boot_params, UEFI's tables, and the search for
// firmware tables. The first byte chooses, the next two are the address; the rest is physical memory from 0 on, and again where a BIOS has its
// tables, so that small numbers are good pointers.
#include <array>
#include <cstring>

#include "boot/x86_64/efi.hpp"
#include "boot/x86_64/firmware_scan.hpp"
#include "boot/x86_64/linux.hpp"
#include "boot/x86_64/multiboot2.hpp"
#include "boot/x86_64/pvh.hpp"
#include "tests/fuzz/check.hpp"

namespace {

using fuzz::check;

constexpr std::size_t kMemory = 1 << 20, kMost = 8192, kBios = 0xf0000;
std::array<std::byte, kMemory> memory;
kernel::BootInfo info;
boot::StringStorage strings;

/// A text of ours, not one that the loader could still change: with an end, and not in its memory.
bool is_ours(const char* text) {
    const auto* at = reinterpret_cast<const std::byte*>(text);
    return std::strlen(text) < strings.size() && !(at >= memory.data() && at < memory.data() + memory.size());
}

void check_info() {
    check(info.memory_count <= info.memory.size() && info.module_count <= info.modules.size(), "what is handed over fits");
    for (std::size_t i = 0; i < info.memory_count; ++i)
        check(info.memory[i].size != 0 && info.memory[i].base + info.memory[i].size > info.memory[i].base,
              "a region ends after its beginning");
    for (std::size_t i = 0; i < info.module_count; ++i) {
        check(info.modules[i].size != 0 && info.modules[i].base + info.modules[i].size > info.modules[i].base,
              "a module ends after its beginning");
        check(is_ours(info.modules[i].command_line), "a module's name is a copy");
    }
    check(is_ours(info.command_line) && is_ours(info.loader), "texts are copies");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const unsigned choice = input.byte();
    const std::uint64_t address = input.half();
    auto rest = input.rest();
    rest = rest.first(std::min(rest.size(), kMost));
    std::memcpy(memory.data(), rest.data(), rest.size());
    std::memcpy(memory.data() + kBios, rest.data(), rest.size());
    const boot::PhysicalView view(memory.data(), memory.size());
    info = {};
    boot::FirmwareTables tables;
    bool good = false;
    switch (choice % 5) {
    case 0: good = boot::read_start_info(view, address, info, strings).has_value(); break;
    case 1: good = boot::read_multiboot2(view, address, info, strings, tables).has_value(); break;
    case 2: good = boot::read_boot_params(view, address, info, strings, tables).has_value(); break;
    case 3:
        boot::read_efi_memory_map(view, address, input.word(), input.byte(), info);
        tables.efi_system_table = address;
        good = true;
        break;
    default:
        if (const std::uint64_t found = boot::find_rsdp(view, address)) check(boot::is_root_pointer(view, found), "a root pointer is one");
        check(boot::find_mp_table(view) < kMemory, "an MP table is in memory");
        break;
    }
    check(tables.root_pointer_bytes <= tables.root_pointer.size(), "a copied root pointer fits");
    if (const std::uint64_t found = boot::rsdp_of_efi(view, tables.efi_system_table))
        check(boot::is_root_pointer(view, found), "a root pointer is one");
    if (good) check_info();
    std::memset(memory.data(), 0, rest.size());
    std::memset(memory.data() + kBios, 0, rest.size());
    return 0;
}
