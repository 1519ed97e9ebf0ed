// From UEFI into the image: as a loader of the Linux boot protocol does it in 64 bits. Runs at any address.
#include "boot/uefi/stub.hpp"

namespace boot::uefi {
namespace {

// Offsets in struct boot_params, as in linux.cpp.
constexpr std::size_t kEfiInfo = 0x1c0, kMagic = 0x202, kVersion = 0x206, kLoaderType = 0x210, kCommandLine = 0x228;
constexpr std::uint64_t kEntry64 = 0x200;

template<class T> void put(const Handover& handover, std::size_t offset, T value) {
    __builtin_memcpy(handover.page + offset, &value, sizeof value);
}

void put_wide(const Handover& handover, std::size_t low, std::size_t high, const void* pointer) {
    const auto address = reinterpret_cast<std::uint64_t>(pointer);
    put(handover, low, static_cast<std::uint32_t>(address));
    put(handover, high, static_cast<std::uint32_t>(address >> 32));
}

} // namespace

void enter(const Handover& handover) {
    put(handover, kMagic, std::uint32_t{0x53726448});
    put(handover, kVersion, std::uint16_t{0x20f});
    put(handover, kLoaderType, std::uint8_t{0xff}); // without a number of its own
    put(handover, kCommandLine, static_cast<std::uint32_t>(reinterpret_cast<std::uint64_t>(handover.command_line)));
    put(handover, kEfiInfo, std::uint32_t{0x34364c45}); // "EL64"
    put_wide(handover, kEfiInfo + 4, kEfiInfo + 24, handover.system_table);
    put(handover, kEfiInfo + 8, static_cast<std::uint32_t>(handover.descriptor_bytes));
    put(handover, kEfiInfo + 12, handover.descriptor_version);
    put_wide(handover, kEfiInfo + 16, kEfiInfo + 28, handover.memory_map);
    put(handover, kEfiInfo + 20, static_cast<std::uint32_t>(handover.memory_map_bytes));
    // Nothing may be on the stack from here on but what is in registers already: rdi, rsi and rcx move the image.
    const std::uint64_t entry = handover.link_address + kEntry64;
    std::uint64_t target = handover.link_address, bytes = handover.file_bytes;
    const std::byte* source = handover.image;
    asm volatile("cli\n\tcld\n\trep movsb\n\tmov %[page], %%rsi\n\tjmp *%[entry]"
                 : "+D"(target), "+S"(source), "+c"(bytes)
                 : [page] "b"(handover.page), [entry] "a"(entry)
                 : "memory");
    __builtin_unreachable();
}

} // namespace boot::uefi
