// One MiB of physical memory for the tests of boot information; ASan guards its ends.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "boot/x86_64/physical_view.hpp"

struct BootMemory {
    std::vector<std::byte> bytes = std::vector<std::byte>(0x100000);

    template<class T> void put(std::uint64_t at, T value) { std::memcpy(bytes.data() + at, &value, sizeof value); }
    void put_text(std::uint64_t at, const std::string& text) { std::memcpy(bytes.data() + at, text.c_str(), text.size() + 1); }
    template<class... Words> void put32(std::uint64_t at, Words... words) { ((put(at, static_cast<std::uint32_t>(words)), at += 4), ...); }
    template<class... Words> void put64(std::uint64_t at, Words... words) { ((put(at, static_cast<std::uint64_t>(words)), at += 8), ...); }
    [[nodiscard]] boot::PhysicalView view() const { return {bytes.data(), bytes.size()}; }

    /// Sets the byte at at + where so that `size` bytes sum to zero.
    void put_checksum(std::uint64_t at, std::size_t size, std::size_t where) {
        bytes[at + where] = std::byte{0};
        unsigned sum = 0;
        for (std::size_t i = 0; i < size; ++i) sum += static_cast<unsigned>(bytes[at + i]);
        bytes[at + where] = static_cast<std::byte>(0x100 - (sum & 0xff));
    }
    void put_rsdp(std::uint64_t at) {
        put_text(at, "RSD PTR ");
        put(at + 16, std::uint32_t{0x7fe0000});
        put_checksum(at, 20, 8);
    }
    void put_mp_pointer(std::uint64_t at) {
        put_text(at, "_MP_");
        put(at + 4, static_cast<std::uint32_t>(at + 16));
        put(at + 8, std::uint8_t{1});
        put_checksum(at, 16, 10);
    }
    /// A UEFI system table with two configuration tables: ACPI 1.0's root pointer at `old`, 2.0's at `current`.
    void put_efi(std::uint64_t at, std::uint64_t old, std::uint64_t current) {
        put(at, std::uint64_t{0x5453595320494249});
        put64(at + 104, 2, at + 0x100);
        put64(at + 0x100, 0x11d32d88eb9d2d30, 0x4dc13f279000169a, old);
        put64(at + 0x118, 0x11d3e4f18868e871, 0x81883cc7800022bc, current);
    }
    void put_efi_descriptor(std::uint64_t at, std::uint32_t type, std::uint64_t base, std::uint64_t pages) {
        put(at, type);
        put64(at + 8, base, 0, pages, 0xf);
    }
};
