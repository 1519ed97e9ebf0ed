#include "boot/x86_64/linux.hpp"

#include <algorithm>
#include <array>

#include "boot/x86_64/efi.hpp"
#include "boot/x86_64/memory_map.hpp"

// Linux's Documentation/arch/x86/boot.rst and zero-page.rst: offsets in struct boot_params.
namespace boot {
namespace {

constexpr std::uint64_t kBytes = 4096;

enum Offset : std::uint64_t {
    kAcpiRsdp = 0x070,
    kExtendedRamdiskImage = 0x0c0,
    kExtendedRamdiskSize = 0x0c4,
    kExtendedCommandLine = 0x0c8,
    kEfiInfo = 0x1c0,
    kE820Count = 0x1e8,
    kSentinel = 0x1ef,
    kMagic = 0x202,
    kVersion = 0x206,
    kLoaderType = 0x210,
    kRamdiskImage = 0x218,
    kRamdiskSize = 0x21c,
    kCommandLine = 0x228,
    kSetupData = 0x250,
    kE820Table = 0x2d0,
};

constexpr std::uint32_t kHeaderMagic = 0x53726448; // "HdrS"
constexpr std::uint16_t kFirstWithCommandLine = 0x0202, kFirstWithSetupData = 0x0209;
constexpr std::uint64_t kMostE820 = 128;
constexpr std::uint8_t kOwnStub = 0xff; ///< a loader without a number: our own way from UEFI (uefi_enter.cpp) is one

struct [[gnu::packed]] E820Entry {
    std::uint64_t base;
    std::uint64_t size;
    std::uint32_t type;
};
static_assert(sizeof(E820Entry) == 20);

struct EfiInfo {
    std::uint32_t signature;
    std::uint32_t system_table;
    std::uint32_t descriptor_size;
    std::uint32_t descriptor_version;
    std::uint32_t memory_map;
    std::uint32_t memory_map_size;
    std::uint32_t system_table_high;
    std::uint32_t memory_map_high;
};
static_assert(sizeof(EfiInfo) == 32);
constexpr std::uint32_t kEfi64 = 0x34364c45; // "EL64"

// A list of things that found no place in boot_params.
struct SetupData {
    std::uint64_t next;
    std::uint32_t type;
    std::uint32_t bytes;
};
static_assert(sizeof(SetupData) == 16);
constexpr std::uint32_t kSetupE820 = 1;
constexpr int kMostSetupData = 64;

constexpr std::uint64_t wide(std::uint32_t low, std::uint32_t high) noexcept { return std::uint64_t{high} << 32 | low; }

/// The upper half of the loader's type is who it is.
const char* loader_name(std::uint8_t type) noexcept {
    constexpr std::array<const char*, 14> kNames = {"LILO", "Loadlin", "bootsect", "Syslinux", "Etherboot", "ELILO", "",
                                                    "GRUB", "U-Boot",  "Xen",      "Gujin",    "QEMU",      "",      "kexec"};
    const unsigned number = type >> 4;
    return number < kNames.size() ? kNames[number] : "";
}

void read_e820(const PhysicalView& memory, std::uint64_t table, std::uint64_t count, kernel::BootInfo& info) noexcept {
    for (std::uint64_t i = 0; i < count; ++i) {
        E820Entry entry{};
        if (!memory.read(table + i * sizeof entry, entry)) return;
        add_region(info, entry.base, entry.size, e820_kind(entry.type));
    }
}

/// More entries than boot_params holds are in such a list.
void read_setup_data(const PhysicalView& memory, std::uint64_t address, kernel::BootInfo& info) noexcept {
    for (int i = 0; address != 0 && i < kMostSetupData; ++i) {
        SetupData data{};
        if (!memory.read(address, data)) return;
        if (data.type == kSetupE820)
            read_e820(memory, address + sizeof data, std::min<std::uint64_t>(data.bytes / sizeof(E820Entry), 4096), info);
        address = data.next;
    }
}

} // namespace

virtio::Result<> read_boot_params(const PhysicalView& memory, std::uint64_t address, kernel::BootInfo& info, StringStorage& strings,
                                  FirmwareTables& tables) noexcept {
    if (address > memory.size() || memory.size() - address < kBytes) return virtio::fail(virtio::Error::out_of_range);
    // All of it is there: no field's reading can fail.
    const auto field = [&]<class T>(T& value, Offset offset) { (void)memory.read(address + offset, value); };
    const auto word = [&](Offset offset) {
        std::uint32_t value = 0;
        field(value, offset);
        return value;
    };
    const auto byte = [&](Offset offset) {
        std::uint8_t value = 0;
        field(value, offset);
        return value;
    };

    std::uint16_t version = 0;
    field(version, kVersion);
    if (word(kMagic) != kHeaderMagic) return virtio::fail(virtio::Error::bad_magic);
    if (version < kFirstWithCommandLine) return virtio::fail(virtio::Error::bad_version);
    info.protocol = "Linux";
    info.loader = loader_name(byte(kLoaderType));

    // In the image's file this byte is not zero: a loader that copied more of the file than the header has filled nothing else in.
    const bool trusted = byte(kSentinel) == 0;
    StringArena arena(strings);
    info.command_line = arena.copy(memory, wide(word(kCommandLine), trusted ? word(kExtendedCommandLine) : 0));
    add_module(info, wide(word(kRamdiskImage), trusted ? word(kExtendedRamdiskImage) : 0),
               wide(word(kRamdiskSize), trusted ? word(kExtendedRamdiskSize) : 0), "initrd");
    EfiInfo efi{};
    if (trusted) {
        field(info.rsdp, kAcpiRsdp);
        field(efi, kEfiInfo);
        if (efi.signature == kEfi64) tables.efi_system_table = wide(efi.system_table, efi.system_table_high);
        if (efi.signature == kEfi64 && byte(kLoaderType) == kOwnStub) info.loader = "UEFI";
    }

    read_e820(memory, address + kE820Table, std::min<std::uint64_t>(byte(kE820Count), kMostE820), info);
    if (version >= kFirstWithSetupData) {
        std::uint64_t list = 0;
        field(list, kSetupData);
        read_setup_data(memory, list, info);
    }
    if (info.memory_count == 0 && efi.signature == kEfi64)
        read_efi_memory_map(memory, wide(efi.memory_map, efi.memory_map_high), efi.memory_map_size, efi.descriptor_size, info);
    return {};
}

} // namespace boot
