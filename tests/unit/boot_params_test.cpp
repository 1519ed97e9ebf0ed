// The Linux boot protocol's boot_params, right and hostile.
#include <doctest/doctest.h>

#include <memory>
#include <random>
#include <string>

#include "boot/x86_64/linux.hpp"
#include "tests/unit/boot_memory.hpp"

namespace {

using kernel::BootInfo;
using kernel::MemoryKind;

constexpr std::uint64_t kParams = 0x90000;

struct Params : BootMemory {
    void put_e820(std::uint64_t at, std::uint64_t base, std::uint64_t size, std::uint32_t type) {
        put64(at, base, size);
        put(at + 16, type);
    }
    /// As QEMU's option ROM leaves it, with an initrd.
    Params() {
        put(kParams + 0x1fe, std::uint16_t{0xaa55});
        put_text(kParams + 0x202, "HdrS");
        put(kParams + 0x206, std::uint16_t{0x20f});
        put(kParams + 0x210, std::uint8_t{0xb0});
        put32(kParams + 0x218, 0x700000, 12345);
        put(kParams + 0x228, std::uint32_t{0x20000});
        put_text(0x20000, "log=debug ip=10.0.2.15/24");
        put(kParams + 0x1e8, std::uint8_t{3});
        put_e820(kParams + 0x2d0, 0, 0x9fc00, 1);
        put_e820(kParams + 0x2d0 + 20, 0x9fc00, 0x400, 2);
        put_e820(kParams + 0x2d0 + 40, 0x100000, 0x7f00000, 1);
    }
};

struct Parsed {
    BootInfo info;
    boot::FirmwareTables tables;
    std::unique_ptr<boot::StringStorage> strings = std::make_unique<boot::StringStorage>();
    virtio::Result<> result;
    explicit Parsed(const BootMemory& memory, std::uint64_t at = kParams)
        : result(boot::read_boot_params(memory.view(), at, info, *strings, tables)) {}
};

} // namespace

TEST_CASE("boot_params are copied") {
    Params memory;
    const Parsed parsed(memory);
    REQUIRE(parsed.result.has_value());
    CHECK(std::string(parsed.info.protocol) == "Linux");
    CHECK(std::string(parsed.info.loader) == "QEMU");
    CHECK(std::string(parsed.info.command_line) == "log=debug ip=10.0.2.15/24");
    REQUIRE(parsed.info.memory_count == 3);
    CHECK(parsed.info.memory[1].kind == MemoryKind::reserved);
    CHECK(parsed.info.memory[2].base == 0x100000);
    REQUIRE(parsed.info.module_count == 1);
    CHECK(parsed.info.modules[0].base == 0x700000);
    CHECK(parsed.info.modules[0].size == 12345);
    CHECK(parsed.info.rsdp == 0);
    CHECK(parsed.tables.efi_system_table == 0);
    memory.bytes.assign(memory.bytes.size(), std::byte{0xff});
    CHECK(std::string(parsed.info.command_line) == "log=debug ip=10.0.2.15/24");
}

TEST_CASE("no header, old protocol, out of memory") {
    Params memory;
    CHECK(Parsed(memory, 0xff001).result.error() == virtio::Error::out_of_range);
    CHECK(Parsed(memory, ~std::uint64_t{0}).result.error() == virtio::Error::out_of_range);
    CHECK(Parsed(memory, 0xff000).result.error() == virtio::Error::bad_magic);
    memory.put(kParams + 0x206, std::uint16_t{0x201});
    CHECK(Parsed(memory).result.error() == virtio::Error::bad_version);
}

TEST_CASE("the fields outside the header count only if the loader cleared them") {
    Params memory;
    memory.put64(kParams + 0x70, 0x12340);
    memory.put32(kParams + 0xc0, 1, 1, 0);
    memory.put32(kParams + 0x1c0, 0x34364c45, 0x5000, 48, 1, 0x6000, 96, 0, 0);
    const Parsed trusted(memory);
    CHECK(trusted.info.rsdp == 0x12340);
    CHECK(trusted.tables.efi_system_table == 0x5000);
    REQUIRE(trusted.info.module_count == 1);
    CHECK(trusted.info.modules[0].base == 0x100700000);
    CHECK(trusted.info.modules[0].size == 0x100003039);
    CHECK(std::string(trusted.info.loader) == "QEMU");
    memory.put(kParams + 0x210, std::uint8_t{0xff});
    CHECK(std::string(Parsed(memory).info.loader) == "UEFI");
    memory.put(kParams + 0x1ef, std::uint8_t{0xff});
    const Parsed raw(memory);
    CHECK(std::string(raw.info.loader).empty());
    CHECK(raw.info.rsdp == 0);
    CHECK(raw.tables.efi_system_table == 0);
    CHECK(raw.info.modules[0].base == 0x700000);
    CHECK(raw.info.memory_count == 3);
    // A command line above 4 GiB is out of what is mapped.
    memory.put(kParams + 0x1ef, std::uint8_t{0});
    memory.put32(kParams + 0xc8, 1);
    CHECK(std::string(Parsed(memory).info.command_line).empty());
}

TEST_CASE("without E820 UEFI's map is taken") {
    Params memory;
    memory.put(kParams + 0x1e8, std::uint8_t{0});
    memory.put32(kParams + 0x1c0, 0x34364c45, 0x5000, 48, 1, 0x6000, 96, 0, 0);
    memory.put_efi_descriptor(0x6000, 7, 0x100000, 0x700);
    memory.put_efi_descriptor(0x6030, 9, 0x800000, 8);
    const Parsed parsed(memory);
    REQUIRE(parsed.info.memory_count == 2);
    CHECK(parsed.info.memory[0].size == 0x700000);
    CHECK(parsed.info.memory[1].kind == MemoryKind::acpi_reclaimable);
    memory.put32(kParams + 0x1c0, 0x32334c45); // 32-bit UEFI's tables are others
    CHECK(Parsed(memory).info.memory_count == 0);
}

TEST_CASE("more E820 entries in a list of setup data, which may be a ring") {
    Params memory;
    memory.put64(kParams + 0x250, 0x3000);
    memory.put64(0x3000, 0x4000);
    memory.put32(0x3008, 9, 32); // not ours
    memory.put64(0x4000, 0x3000);
    memory.put32(0x4008, 1, 20);
    memory.put_e820(0x4010, 0x100000000, 0x40000000, 1);
    const Parsed parsed(memory);
    REQUIRE(parsed.result.has_value());
    CHECK(parsed.info.memory_count >= 4);
    CHECK(parsed.info.memory[3].base == 0x100000000);
    memory.put32(0x400c, 0xffffffff);
    CHECK(Parsed(memory).info.memory_count <= parsed.info.memory.size());
    memory.put64(kParams + 0x250, ~std::uint64_t{0});
    CHECK(Parsed(memory).info.memory_count == 3);
}

TEST_CASE("more entries than fit and an initrd that ends beyond all addresses") {
    Params memory;
    memory.put(kParams + 0x1e8, std::uint8_t{255}); // 128 are in the table
    for (std::uint64_t i = 0; i < 160; ++i) memory.put_e820(kParams + 0x2d0 + i * 20, i * 0x20000, 0x10000, 1);
    CHECK(Parsed(memory).info.memory_count == 128);
    memory.put32(kParams + 0xc0, 0xffffffff, 0xffffffff);
    CHECK(Parsed(memory).info.module_count == 0);
}

TEST_CASE("damaged boot_params never lead out of memory") {
    const Params good;
    std::mt19937 random(7);
    for (int round = 0; round < 2000; ++round) {
        Params bad = good;
        for (int i = 0; i < 8; ++i) bad.bytes[kParams + 0x206 + random() % 0xc0] = static_cast<std::byte>(random());
        for (int i = 0; i < 8; ++i) bad.bytes[kParams + 0x70 + random() % 0x180] = static_cast<std::byte>(random());
        const Parsed parsed(bad);
        CHECK(parsed.info.memory_count <= parsed.info.memory.size());
        CHECK(parsed.info.module_count <= 1);
    }
}
