// The loader's start information, right and hostile, in a small physical memory.
#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <random>
#include <string>

#include "boot/x86_64/firmware_scan.hpp"
#include "boot/x86_64/pvh.hpp"
#include "tests/unit/boot_memory.hpp"

namespace {

using kernel::BootInfo;
using kernel::MemoryKind;

struct Memory : BootMemory {
    void put_region(std::uint64_t at, std::uint64_t base, std::uint64_t size, std::uint32_t type) {
        put(at, base);
        put(at + 8, size);
        put(at + 16, type);
    }
    /// Start information at 0x1000, as QEMU's microvm gives it.
    void put_start_info() {
        put(0x1000, std::uint32_t{0x336ec578});
        put(0x1004, std::uint32_t{1});
        put(0x100c, std::uint32_t{1});
        put(0x1010, std::uint64_t{0x2000});
        put(0x1018, std::uint64_t{0x3000});
        put(0x1020, std::uint64_t{0x12340});
        put(0x1028, std::uint64_t{0x4000});
        put(0x1030, std::uint32_t{4});
        put(0x2000, std::uint64_t{0x700000});
        put(0x2008, std::uint64_t{12345});
        put(0x2010, std::uint64_t{0x3100});
        put_text(0x3000, "log=debug ip=10.0.2.15/24");
        put_text(0x3100, "disk.tar");
        put_region(0x4000, 0, 0x9fc00, 1);
        put_region(0x4018, 0x9fc00, 0x400, 2);
        put_region(0x4030, 0x100000, 0x7f00000, 1);
        // The fourth entry is empty, as on microvm.
    }
};

struct Parsed {
    BootInfo info;
    std::unique_ptr<boot::StringStorage> strings = std::make_unique<boot::StringStorage>();
    virtio::Result<> result;
    explicit Parsed(const Memory& memory, std::uint64_t at = 0x1000) : result(boot::read_start_info(memory.view(), at, info, *strings)) {}
};

} // namespace

TEST_CASE("start information is copied") {
    Memory memory;
    memory.put_start_info();
    const Parsed parsed(memory);
    REQUIRE(parsed.result.has_value());
    CHECK(std::string(parsed.info.command_line) == "log=debug ip=10.0.2.15/24");
    CHECK(parsed.info.rsdp == 0x12340);
    REQUIRE(parsed.info.memory_count == 3); // the empty entry is no memory
    CHECK(parsed.info.memory[0].kind == MemoryKind::usable);
    CHECK(parsed.info.memory[1].kind == MemoryKind::reserved);
    CHECK(parsed.info.memory[2].base == 0x100000);
    REQUIRE(parsed.info.module_count == 1);
    CHECK(parsed.info.modules[0].size == 12345);
    CHECK(std::string(parsed.info.modules[0].command_line) == "disk.tar");
    // Copies: what the loader's memory becomes does not matter.
    memory.bytes.assign(memory.bytes.size(), std::byte{0xff});
    CHECK(std::string(parsed.info.command_line) == "log=debug ip=10.0.2.15/24");
}

TEST_CASE("wrong magic, old version, unreadable structure") {
    Memory memory;
    memory.put_start_info();
    CHECK(Parsed(memory, 0x1004).result.error() == virtio::Error::bad_magic);
    CHECK(Parsed(memory, memory.bytes.size() - 39).result.error() == virtio::Error::out_of_range);
    CHECK(Parsed(memory, ~std::uint64_t{0}).result.error() == virtio::Error::out_of_range);
    memory.put(0x1004, std::uint32_t{0});
    CHECK(Parsed(memory).result.error() == virtio::Error::bad_version);
}

TEST_CASE("pointers out of memory and counts beyond reason are bounded") {
    Memory memory;
    memory.put_start_info();
    memory.put(0x1018, std::uint64_t{0xfffffffffffffff0}); // command line
    memory.put(0x100c, std::uint32_t{0xffffffff});         // modules
    memory.put(0x1030, std::uint32_t{0xffffffff});         // memory map
    const Parsed parsed(memory);
    REQUIRE(parsed.result.has_value());
    CHECK(std::string(parsed.info.command_line).empty());
    CHECK(parsed.info.memory_count <= parsed.info.memory.size());
    CHECK(parsed.info.module_count <= parsed.info.modules.size());

    // Regions whose end is beyond all addresses are no regions.
    memory.put_start_info();
    memory.put_region(0x4000, 0xffffffffffff0000, 0x20000, 1);
    CHECK(Parsed(memory).info.memory_count == 2);
    // Nor are those in the last page, whose first whole page would be at 0.
    memory.put_start_info();
    memory.put_region(0x4000, 0xfffffffffffff001, 0xff0, 1);
    CHECK(Parsed(memory).info.memory_count == 2);
}

TEST_CASE("a command line without an end stops at the storage's end or at the memory's") {
    Memory memory;
    memory.put_start_info();
    std::memset(memory.bytes.data() + 0x5000, 'x', 0x5000);
    memory.put(0x1018, std::uint64_t{0x5000});
    const Parsed parsed(memory);
    CHECK(std::strlen(parsed.info.command_line) == boot::StringStorage().size() - 1);
    CHECK(std::string(parsed.info.modules[0].command_line).empty()); // no room left, no harm

    memory.bytes[memory.bytes.size() - 1] = std::byte{'y'};
    memory.put(0x1018, std::uint64_t{memory.bytes.size() - 1});
    CHECK(std::string(Parsed(memory).info.command_line) == "y");
}

TEST_CASE("the root pointer is taken only on 16 bytes and with its checksum") {
    Memory memory;
    CHECK(boot::find_rsdp(memory.view(), 0) == 0);
    memory.put_rsdp(0xf1238); // what firmware code looks like: the text, unaligned
    CHECK(boot::find_rsdp(memory.view(), 0) == 0);
    CHECK(boot::find_rsdp(memory.view(), 0xf1238) == 0);
    memory.put_rsdp(0xf2000);
    memory.put(0xf2009, std::uint8_t{77});
    CHECK(boot::find_rsdp(memory.view(), 0) == 0);
    memory.put_text(0xffff0, "RSD PTR ");
    CHECK(boot::find_rsdp(memory.view(), 0) == 0); // its checksum would reach beyond memory
    memory.put_rsdp(0xf59e0);
    CHECK(boot::find_rsdp(memory.view(), 0) == 0xf59e0);
    CHECK(boot::find_rsdp(memory.view(), 0x12340) == 0xf59e0); // a wrong hint is not believed
    memory.put_rsdp(0x12340);
    CHECK(boot::find_rsdp(memory.view(), 0x12340) == 0x12340);
    // The extended BIOS data area comes first.
    memory.put(0x40e, std::uint16_t{0x9fc0});
    memory.put_rsdp(0x9fc20);
    CHECK(boot::find_rsdp(memory.view(), 0) == 0x9fc20);
    memory.put(0x40e, std::uint16_t{0xffff});
    CHECK(boot::find_rsdp(memory.view(), 0) == 0xf59e0);
}

TEST_CASE("the MP pointer is found in all three places") {
    Memory memory;
    CHECK(boot::find_mp_table(memory.view()) == 0);
    memory.put_mp_pointer(0xf0010);
    CHECK(boot::find_mp_table(memory.view()) == 0xf0010);
    memory.put_mp_pointer(0x9fc00);
    CHECK(boot::find_mp_table(memory.view()) == 0x9fc00);
    memory.put(0x40e, std::uint16_t{0x9000});
    memory.put_mp_pointer(0x90100);
    CHECK(boot::find_mp_table(memory.view()) == 0x90100);
    memory.bytes[0x90109] ^= std::byte{1};
    CHECK(boot::find_mp_table(memory.view()) == 0x9fc00);
}

TEST_CASE("damaged start information never leads out of memory") {
    Memory good;
    good.put_start_info();
    std::mt19937 random(3);
    for (int round = 0; round < 1000; ++round) {
        Memory bad = good;
        for (int i = 0; i < 5; ++i) bad.bytes[0x1004 + random() % 0x34] = static_cast<std::byte>(random());
        for (int i = 0; i < 5; ++i) bad.bytes[0x4000 + random() % 96] = static_cast<std::byte>(random());
        const Parsed parsed(bad);
        CHECK(parsed.info.memory_count <= parsed.info.memory.size());
    }
}
