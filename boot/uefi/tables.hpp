// The few structures of UEFI 2.10 that an application needs to learn what it must know and to leave: system table (4.3), boot services
// (4.4), text output (12.4), loaded image (9.1). Only fields that we use have names and types.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <machine/uefi.hpp>

namespace boot::uefi {

using Status = std::uintptr_t; ///< 0: success; the highest bit marks errors
using Handle = void*;
using Address = std::uint64_t;
using Guid = std::array<std::uint8_t, 16>;

constexpr Status kSuccess = 0;
constexpr Status kLoadError = Status{1} | Status{1} << (sizeof(Status) * 8 - 1);
constexpr std::size_t kPage = 4096;

struct TextOutput {
    void* reset;
    arch::UefiFunction<Status, TextOutput*, const char16_t*> output_string;
};

enum class Place : std::uint32_t { anywhere = 0, below = 1, at = 2 };
constexpr std::uint32_t kLoaderCode = 1, kLoaderData = 2; // firmware may forbid to execute data

struct BootServices {
    std::array<std::byte, 24> header;
    std::array<void*, 2> priorities;
    arch::UefiFunction<Status, Place, std::uint32_t, std::uintptr_t, Address*> allocate_pages;
    arch::UefiFunction<Status, Address, std::uintptr_t> free_pages;
    arch::UefiFunction<Status, std::uintptr_t*, void*, std::uintptr_t*, std::uintptr_t*, std::uint32_t*> get_memory_map;
    std::array<void*, 11> pools_events_and_interfaces;
    arch::UefiFunction<Status, Handle, const Guid*, void**> handle_protocol;
    std::array<void*, 9> more_about_images;
    arch::UefiFunction<Status, Handle, std::uintptr_t> exit_boot_services;
};
static_assert(offsetof(BootServices, allocate_pages) == 24 + 2 * sizeof(void*));
static_assert(offsetof(BootServices, free_pages) == 24 + 3 * sizeof(void*));
static_assert(offsetof(BootServices, get_memory_map) == 24 + 4 * sizeof(void*));
static_assert(offsetof(BootServices, handle_protocol) == 24 + 16 * sizeof(void*));
static_assert(offsetof(BootServices, exit_boot_services) == 24 + 26 * sizeof(void*));

struct ConfigurationTable {
    Guid guid;
    const void* table;
};

struct SystemTable {
    std::array<std::byte, 24> header;
    const char16_t* vendor;
    std::uint32_t revision;
    Handle input_handle;
    void* input;
    Handle output_handle;
    TextOutput* output;
    Handle error_handle;
    TextOutput* error;
    void* runtime_services;
    BootServices* boot_services;
    std::uintptr_t table_count;
    const ConfigurationTable* tables;
};
static_assert(offsetof(SystemTable, output) == 24 + 5 * sizeof(void*));
static_assert(offsetof(SystemTable, tables) == 24 + 11 * sizeof(void*));

constexpr Guid kDeviceTree = {0xd5, 0x21, 0xb6, 0xb1, 0x9c, 0xf1, 0xa5, 0x41, 0x83, 0x0b, 0xd9, 0x15, 0x2c, 0x69, 0xaa, 0xe0};
constexpr Guid kLoadedImage = {0xa1, 0x31, 0x1b, 0x5b, 0x62, 0x95, 0xd2, 0x11, 0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b};
struct LoadedImage {
    std::uint32_t revision;
    Handle parent;
    SystemTable* system_table;
    Handle device;
    void* path;
    void* reserved;
    std::uint32_t options_bytes;
    const char16_t* options;
};
static_assert(offsetof(LoadedImage, options) == 7 * sizeof(void*));

} // namespace boot::uefi
