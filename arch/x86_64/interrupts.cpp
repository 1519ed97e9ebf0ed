#include "arch/interrupts.hpp"

#include <array>
#include <cstddef>

#include <ringside/arch/io.hpp>

#include "arch/x86_64/io_apic.hpp"
#include "arch/x86_64/local_apic.hpp"

namespace arch {
namespace {

constexpr std::uint32_t kUsualIoApic = 0xfec00000, kIoApicBytes = 0x20;

struct Chip {
    IoApic io_apic;
    std::uint32_t first_gsi = 0;
    std::uint32_t inputs = 0;
};
std::array<Chip, 8> chips;
std::size_t chip_count = 0;

/// Both PICs: remapped away from the exceptions (a masked PIC can still raise a spurious interrupt), then masked.
void silence_pic() noexcept {
    constexpr std::uint16_t kMaster = 0x20, kSlave = 0xa0;
    for (const std::uint16_t port : {kMaster, kSlave}) {
        port_write8(port, 0x11);
        port_write8(static_cast<std::uint16_t>(port + 1), static_cast<std::uint8_t>(port == kMaster ? kPicBase : kPicBase + 8));
        port_write8(static_cast<std::uint16_t>(port + 1), port == kMaster ? 4 : 2);
        port_write8(static_cast<std::uint16_t>(port + 1), 1);
        port_write8(static_cast<std::uint16_t>(port + 1), 0xff);
    }
}

void add_chip(std::uint64_t address, std::uint32_t first_gsi, MapRegisters map) noexcept {
    if (chip_count == chips.size()) return;
    const std::uintptr_t registers = map(address, kIoApicBytes);
    if (registers == 0) return;
    const IoApic io_apic(reinterpret_cast<volatile void*>(registers));
    const std::uint32_t inputs = io_apic.inputs();
    if (inputs == 0) return;
    for (std::uint32_t i = 0; i < inputs; ++i) io_apic.mask(i);
    chips[chip_count++] = {io_apic, first_gsi, inputs};
}

const Chip* chip_of(std::uint32_t gsi) noexcept {
    for (std::size_t i = 0; i < chip_count; ++i)
        if (gsi >= chips[i].first_gsi && gsi - chips[i].first_gsi < chips[i].inputs) return &chips[i];
    return nullptr;
}

} // namespace

const char* start_interrupts(const Hardware& hardware, MapRegisters map) noexcept {
    silence_pic();
    std::uintptr_t registers = 0;
    if (const std::uint64_t address = LocalApic::registers_address()) {
        registers = map(address, 4096);
        if (registers == 0) return "the local APIC's registers cannot be mapped";
    }
    local_apic().start(reinterpret_cast<volatile void*>(registers), kSpuriousVector);
    for (const InterruptChip& chip : hardware.all_chips())
        if (chip.kind == InterruptChip::Kind::io_apic) add_chip(chip.registers[0].base, chip.first, map);
    if (chip_count == 0) add_chip(kUsualIoApic, 0, map);
    return nullptr;
}

/// Chips and messages have eight bits for a processor, and mean everybody by 255.
static bool is_addressable() noexcept { return local_apic().id() < 0xff; }

bool route_line(const Line& line, std::uint32_t vector) noexcept {
    const Chip* chip = chip_of(line.gsi);
    if (chip == nullptr || !is_addressable()) return false;
    chip->io_apic.route(line.gsi - chip->first_gsi, {.vector = static_cast<std::uint8_t>(vector),
                                                     .destination = static_cast<std::uint8_t>(local_apic().id()),
                                                     .level = line.trigger == Trigger::level,
                                                     .active_low = line.polarity == Polarity::low,
                                                     .masked = false});
    return true;
}

void mask_line(std::uint32_t gsi) noexcept {
    if (const Chip* chip = chip_of(gsi)) chip->io_apic.mask(gsi - chip->first_gsi);
}

bool connect_message(std::uint32_t vector, std::uint32_t, std::uint32_t, Message& message) noexcept {
    if (!is_addressable()) return false;
    // Fixed delivery, physical destination, edge (Intel SDM, 11.11). The message carries the vector: nothing is to be remembered.
    message = {std::uint64_t{0xfee00000} | std::uint64_t{local_apic().id() & 0xff} << 12, vector};
    return true;
}

void disconnect_message(std::uint32_t) noexcept {}

} // namespace arch
