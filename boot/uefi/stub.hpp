// The image as a UEFI application: loaded anywhere, it takes the memory that it is linked for, collects command line and memory map, ends
// the boot services and goes to the processor's part, which moves the image to its place and enters it there. Everything in boot/uefi/ is
// compiled to run at any address and touches none of the kernel's variables; one processor, the firmware's stack.
#pragma once

#include <cstddef>
#include <cstdint>

#include "boot/uefi/tables.hpp"

namespace boot::uefi {

/// Where the image belongs: filled in by the linker, and not relocated by anybody.
struct Link {
    std::uint64_t address;
    std::uint64_t file_bytes; ///< that are to be moved there
    std::uint64_t bytes;      ///< with .bss
};

/// The command line for those who give none: `ringside image` looks for the marker and writes the text.
struct BuiltIn {
    char marker[32];
    char text[992];
};

/// What the stub found out; all of it lies in loader data below 4 GiB, but for the firmware's table.
struct Handover {
    const SystemTable* system_table;
    std::uint64_t link_address;
    std::uint64_t file_bytes;
    const std::byte* image;       ///< the image as the firmware loaded it
    std::byte* page;              ///< a page for the processor's part, zeroed
    char* command_line;           ///< at most kCommandLineBytes, zero-terminated
    const std::byte* device_tree; ///< a copy; nullptr if the firmware has none
    const std::byte* memory_map;
    std::uintptr_t memory_map_bytes;
    std::uintptr_t descriptor_bytes;
    std::uint32_t descriptor_version;
};

constexpr std::size_t kCommandLineBytes = 4096;

/// The processor's part; boot services have ended.
[[noreturn]] void enter(const Handover& handover);

} // namespace boot::uefi

extern "C" {
extern const boot::uefi::Link ringside_uefi_link [[gnu::visibility("hidden")]];
extern const std::byte ringside_image_first [[gnu::visibility("hidden")]]; ///< the image's first byte, wherever it is
}
