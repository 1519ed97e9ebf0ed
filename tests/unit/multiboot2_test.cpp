// The list of tags that a multiboot2 loader leaves, right and hostile, and what UEFI adds to it.
#include <doctest/doctest.h>

#include <memory>
#include <random>
#include <string>

#include "boot/x86_64/efi.hpp"
#include "boot/x86_64/firmware_scan.hpp"
#include "boot/x86_64/memory_map.hpp"
#include "boot/x86_64/multiboot2.hpp"
#include "tests/unit/boot_memory.hpp"

namespace {

using kernel::BootInfo;
using kernel::MemoryKind;

constexpr std::uint64_t kInformation = 0x1000;

/// Writes tags one behind the other; finish() writes the end tag and the size of all.
struct Tags : BootMemory {
    std::uint64_t at = kInformation + 8;

    std::uint64_t tag(std::uint32_t type, std::uint32_t content_bytes) {
        put32(at, type, content_bytes + 8);
        const std::uint64_t content = at + 8;
        at += (content_bytes + 15) & ~7U;
        return content;
    }
    void text(std::uint32_t type, const std::string& text) { put_text(tag(type, static_cast<std::uint32_t>(text.size() + 1)), text); }
    void memory_map() {
        const std::uint64_t content = tag(6, 8 + 3 * 24);
        put32(content, 24, 0);
        put64(content + 8, 0, 0x9fc00, 1, 0x9fc00, 0x400, 2, 0x100000, 0x7f00000, 1);
    }
    void module(std::uint32_t begin, std::uint32_t end, const std::string& name) {
        const std::uint64_t content = tag(3, static_cast<std::uint32_t>(9 + name.size()));
        put32(content, begin, end);
        put_text(content + 8, name);
    }
    void efi_map() {
        const std::uint64_t content = tag(17, 8 + 5 * 48);
        put32(content, 48, 1);
        put_efi_descriptor(content + 8, 7, 0, 0xa0);
        put_efi_descriptor(content + 8 + 48, 4, 0x100000, 0x100);
        put_efi_descriptor(content + 8 + 2 * 48, 7, 0x200000, 0x600);
        put_efi_descriptor(content + 8 + 3 * 48, 10, 0x800000, 8);
        put_efi_descriptor(content + 8 + 4 * 48, 6, 0x808000, 8);
    }
    void finish() {
        put32(at, 0, 8);
        put32(kInformation, at + 8 - kInformation, 0);
    }
    void usual() {
        text(1, "log=debug ip=10.0.2.15/24");
        text(2, "GRUB 2.06");
        module(0x700000, 0x703039, "disk.tar");
        put32(tag(4, 8), 639, 0x1fc00);
        memory_map();
        finish();
    }
};

struct Parsed {
    BootInfo info;
    boot::FirmwareTables tables;
    std::unique_ptr<boot::StringStorage> strings = std::make_unique<boot::StringStorage>();
    virtio::Result<> result;
    explicit Parsed(const BootMemory& memory, std::uint64_t at = kInformation)
        : result(boot::read_multiboot2(memory.view(), at, info, *strings, tables)) {}
};

} // namespace

TEST_CASE("a list of tags is copied") {
    Tags memory;
    memory.usual();
    const Parsed parsed(memory);
    REQUIRE(parsed.result.has_value());
    CHECK(std::string(parsed.info.protocol) == "multiboot2");
    CHECK(std::string(parsed.info.loader) == "GRUB 2.06");
    CHECK(std::string(parsed.info.command_line) == "log=debug ip=10.0.2.15/24");
    REQUIRE(parsed.info.memory_count == 3);
    CHECK(parsed.info.memory[1].kind == MemoryKind::reserved);
    CHECK(parsed.info.memory[2].base == 0x100000);
    CHECK(parsed.info.memory[2].size == 0x7f00000);
    REQUIRE(parsed.info.module_count == 1);
    CHECK(parsed.info.modules[0].base == 0x700000);
    CHECK(parsed.info.modules[0].size == 12345);
    CHECK(std::string(parsed.info.modules[0].command_line) == "disk.tar");
    CHECK(parsed.tables.efi_system_table == 0);
    CHECK(parsed.tables.root_pointer_bytes == 0);
    memory.bytes.assign(memory.bytes.size(), std::byte{0xff});
    CHECK(std::string(parsed.info.command_line) == "log=debug ip=10.0.2.15/24");
}

TEST_CASE("the maps in their order of rank") {
    Tags efi;
    efi.put32(efi.tag(4, 8), 639, 0x1fc00);
    efi.efi_map();
    efi.finish();
    const Parsed by_efi(efi);
    REQUIRE(by_efi.info.memory_count == 4); // what was free and what boot services had are one
    CHECK(by_efi.info.memory[1].kind == MemoryKind::usable);
    CHECK(by_efi.info.memory[1].size == 0x700000);
    CHECK(by_efi.info.memory[2].kind == MemoryKind::acpi_nvs);
    CHECK(by_efi.info.memory[3].kind == MemoryKind::reserved);

    Tags both;
    both.efi_map();
    both.memory_map();
    both.finish();
    CHECK(Parsed(both).info.memory_count == 3);

    Tags basic;
    basic.put32(basic.tag(4, 8), 639, 0x1fc00);
    basic.finish();
    const Parsed old(basic);
    REQUIRE(old.info.memory_count == 2);
    CHECK(old.info.memory[0].size == 639 * 1024);
    CHECK(old.info.memory[1].base == 0x100000);
    CHECK(old.info.memory[1].size == 0x7f00000);

    Tags none;
    none.finish();
    CHECK(Parsed(none).info.memory_count == 0);
}

TEST_CASE("the newer root pointer is taken, wherever it stands") {
    Tags memory;
    memory.put_rsdp(memory.tag(15, 36));
    memory.put_text(memory.tag(14, 20), "old");
    memory.put64(memory.tag(12, 8), 0x12345678);
    memory.finish();
    const Parsed parsed(memory);
    CHECK(parsed.tables.root_pointer_bytes == 36);
    CHECK(std::memcmp(parsed.tables.root_pointer.data(), "RSD PTR ", 8) == 0);
    CHECK(parsed.tables.efi_system_table == 0x12345678);

    Tags old;
    old.put_rsdp(old.tag(14, 20));
    old.put_text(old.tag(15, 12), "cut short");
    old.finish();
    CHECK(Parsed(old).tables.root_pointer_bytes == 20);
}

TEST_CASE("a list that cannot be read is refused") {
    Tags memory;
    memory.usual();
    CHECK(Parsed(memory, memory.bytes.size() - 7).result.error() == virtio::Error::out_of_range);
    CHECK(Parsed(memory, ~std::uint64_t{0}).result.error() == virtio::Error::out_of_range);
    memory.put32(kInformation, 0xfffffff8);
    CHECK(Parsed(memory).result.error() == virtio::Error::out_of_range);
    memory.put32(kInformation, 0x100000 - kInformation + 1);
    CHECK(Parsed(memory).result.error() == virtio::Error::out_of_range);
    memory.finish();
    for (const std::uint32_t size : {0U, 7U, 0x10000U, 0xffffffffU, 0xfffffff9U}) {
        memory.put32(kInformation + 12, size);
        CHECK(Parsed(memory).result.error() == virtio::Error::bad_header);
    }
    // Nothing but the head, and nothing behind it, is a list without tags.
    memory.put32(kInformation, 8);
    CHECK(Parsed(memory).result.has_value());
    memory.put32(kInformation, 0);
    CHECK(Parsed(memory).result.has_value());
}

TEST_CASE("tags too short for what they should hold are dropped") {
    Tags memory;
    for (const std::uint32_t type : {1U, 2U, 3U, 4U, 6U, 12U, 14U, 15U, 17U})
        for (const std::uint32_t bytes : {0U, 4U, 7U}) memory.tag(type, bytes);
    memory.finish();
    const Parsed parsed(memory);
    REQUIRE(parsed.result.has_value());
    CHECK(parsed.info.memory_count == 0);
    CHECK(parsed.info.module_count == 0);
    CHECK(parsed.tables.root_pointer_bytes == 0);
    CHECK(parsed.tables.efi_system_table == 0);
}

TEST_CASE("entries of no size, of impossible sizes, and modules that end before they begin") {
    Tags memory;
    memory.put32(memory.tag(6, 8 + 24), 0, 0);
    memory.module(0x2000, 0x1000, "backwards");
    memory.module(0x2000, 0x2000, "empty");
    memory.finish();
    const Parsed parsed(memory);
    CHECK(parsed.info.memory_count == 0);
    CHECK(parsed.info.module_count == 0);

    Tags efi;
    const std::uint64_t content = efi.tag(17, 8 + 2 * 40);
    efi.put32(content, 40, 1);
    efi.put_efi_descriptor(content + 8, 7, 0x1000, ~std::uint64_t{0});
    efi.put_efi_descriptor(content + 48, 7, ~std::uint64_t{0xfff}, 2);
    efi.finish();
    CHECK(Parsed(efi).info.memory_count == 0);
    efi.put32(content, 39);
    CHECK(Parsed(efi).info.memory_count == 0);
}

TEST_CASE("a text without an end stops at its tag's") {
    Tags memory;
    const std::uint64_t content = memory.tag(1, 16);
    std::memset(memory.bytes.data() + content, 'x', 64);
    memory.put32(memory.at, 0, 8);
    memory.put32(kInformation, memory.at + 8 - kInformation, 0);
    CHECK(std::string(Parsed(memory).info.command_line) == std::string(16, 'x'));
}

TEST_CASE("more regions than there is room for: the reserved ones still count") {
    BootInfo info;
    const std::size_t room = info.memory.size();
    for (std::uint64_t i = 0; i < room; ++i) boot::add_region(info, i * 0x20000, 0x10000, MemoryKind::usable);
    boot::add_region(info, 0x10000000, 0x1000, MemoryKind::usable);
    CHECK(info.memory_count == room);
    boot::add_region(info, 0x21000, 0x1000, MemoryKind::reserved);
    CHECK(info.memory[1].kind == MemoryKind::reserved);
    CHECK(info.memory[0].kind == MemoryKind::usable);
    CHECK(info.memory[2].kind == MemoryKind::usable);
}

TEST_CASE("UEFI's tables lead to the root pointer, ACPI 2.0's first") {
    BootMemory memory;
    memory.put_efi(0x5000, 0x6004, 0x7008); // no alignment is promised
    CHECK(boot::rsdp_of_efi(memory.view(), 0x5000) == 0);
    memory.put_rsdp(0x6004);
    CHECK(boot::rsdp_of_efi(memory.view(), 0x5000) == 0x6004);
    memory.put_rsdp(0x7008);
    CHECK(boot::rsdp_of_efi(memory.view(), 0x5000) == 0x7008);
    CHECK(boot::rsdp_of_efi(memory.view(), 0) == 0);
    CHECK(boot::rsdp_of_efi(memory.view(), 0x5001) == 0);
    CHECK(boot::rsdp_of_efi(memory.view(), ~std::uint64_t{0}) == 0);
    memory.put64(0x5000 + 104, ~std::uint64_t{0}, ~std::uint64_t{0} - 23); // as many as can be, where nothing is
    CHECK(boot::rsdp_of_efi(memory.view(), 0x5000) == 0);
    memory.put64(0x5000 + 104, 2, 0x100000 - 24); // the second one lies outside
    CHECK(boot::rsdp_of_efi(memory.view(), 0x5000) == 0);
}

TEST_CASE("damaged lists never lead out of memory") {
    Tags good;
    good.usual();
    good.efi_map();
    good.finish();
    std::mt19937 random(5);
    for (int round = 0; round < 2000; ++round) {
        Tags bad = good;
        for (int i = 0; i < 6; ++i) bad.bytes[kInformation + random() % (good.at + 8 - kInformation)] = static_cast<std::byte>(random());
        const Parsed parsed(bad);
        CHECK(parsed.info.memory_count <= parsed.info.memory.size());
        CHECK(parsed.info.module_count <= parsed.info.modules.size());
    }
}
