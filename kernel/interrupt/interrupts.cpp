#include "kernel/interrupt/interrupts.hpp"

#include <array>

#include <ringside/arch/io.hpp>

#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/io_apic.hpp"
#include "arch/x86_64/local_apic.hpp"
#include "kernel/firmware/acpi.hpp"
#include "kernel/interrupt/isa_lines.hpp"
#include "kernel/interrupt/vector_table.hpp"
#include "kernel/memory/address_space.hpp"

namespace kernel {
namespace {

using interrupt::kFirstVector;
using interrupt::kLastVector;
using interrupt::kPicBase;
using interrupt::kSpuriousVector;
using interrupt::Slot;
using interrupt::slots;

constexpr std::uint32_t kUsualIoApic = 0xfec00000, kIoApicBytes = 0x20;

struct Chip {
    arch::IoApic io_apic;
    std::uint32_t first_gsi = 0;
    std::uint32_t inputs = 0;
};
std::array<Chip, 8> chips;
std::size_t chip_count = 0;

interrupt::IsaLines isa_lines;

std::uint64_t halted = 0;

/// Both PICs: remapped away from the exceptions (a masked PIC can still raise a spurious interrupt), then masked.
void silence_pic() noexcept {
    constexpr std::uint16_t kMaster = 0x20, kSlave = 0xa0;
    for (const std::uint16_t port : {kMaster, kSlave}) {
        arch::port_write8(port, 0x11);
        arch::port_write8(static_cast<std::uint16_t>(port + 1), static_cast<std::uint8_t>(port == kMaster ? kPicBase : kPicBase + 8));
        arch::port_write8(static_cast<std::uint16_t>(port + 1), port == kMaster ? 4 : 2);
        arch::port_write8(static_cast<std::uint16_t>(port + 1), 1);
        arch::port_write8(static_cast<std::uint16_t>(port + 1), 0xff);
    }
}

void add_chip(std::uint32_t address, std::uint32_t first_gsi) {
    if (chip_count == chips.size()) return;
    const auto registers = map_device(address, kIoApicBytes);
    if (!registers) return;
    const arch::IoApic io_apic(*registers);
    const std::uint32_t inputs = io_apic.inputs();
    if (inputs == 0) return;
    for (std::uint32_t i = 0; i < inputs; ++i) io_apic.mask(i);
    chips[chip_count++] = {io_apic, first_gsi, inputs};
}

constexpr Line line_of(std::uint32_t gsi, bool level, bool active_low) noexcept {
    return {gsi, level ? Trigger::level : Trigger::edge, active_low ? Polarity::low : Polarity::high};
}

bool find_chips_in_madt() {
    const auto table = acpi::find_table("APIC");
    if (!table) return false;
    const acpi::Madt madt = acpi::parse_madt(*table);
    for (std::size_t i = 0; i < madt.io_apic_count; ++i) add_chip(madt.io_apics[i].address, madt.io_apics[i].first_gsi);
    for (std::size_t i = 0; i < madt.override_count; ++i) {
        const acpi::IrqOverride& entry = madt.overrides[i];
        isa_lines.override(entry.irq, line_of(entry.gsi, entry.level, entry.active_low));
    }
    return chip_count != 0;
}

bool find_chips_in_mp_table() {
    const auto table = mp::find_table();
    if (!table) return false;
    // The table numbers chips by id and inputs within each; global numbers follow the order of the chips.
    std::array<std::uint32_t, 256> first_gsi_of_id{};
    std::uint32_t next_gsi = 0;
    for (std::size_t i = 0; i < table->io_apic_count; ++i) {
        const std::size_t before = chip_count;
        add_chip(table->io_apics[i].address, next_gsi);
        first_gsi_of_id[table->io_apics[i].id] = next_gsi;
        if (chip_count != before) next_gsi += chips[before].inputs;
    }
    for (std::size_t i = 0; i < table->interrupt_count; ++i) {
        const mp::IsaInterrupt& entry = table->interrupts[i];
        isa_lines.override(entry.irq, line_of(first_gsi_of_id[entry.io_apic] + entry.input, entry.level, entry.active_low));
    }
    return chip_count != 0;
}

Chip* chip_of(std::uint32_t gsi) noexcept {
    for (std::size_t i = 0; i < chip_count; ++i)
        if (gsi >= chips[i].first_gsi && gsi - chips[i].first_gsi < chips[i].inputs) return &chips[i];
    return nullptr;
}

} // namespace

virtio::Result<> start_interrupts() {
    silence_pic();
    volatile void* registers = nullptr;
    if (const std::uint64_t address = arch::LocalApic::registers_address()) {
        const auto mapped = map_device(address, 4096);
        if (!mapped) return virtio::fail(mapped.error());
        registers = *mapped;
    }
    arch::local_apic().start(registers, kSpuriousVector);

    if (!find_chips_in_madt() && !find_chips_in_mp_table()) add_chip(kUsualIoApic, 0);

    enable_interrupts();
    return {};
}

virtio::Result<Vector> allocate_vector(InterruptHandler handler, void* context, const char* name) {
    if (handler == nullptr) return virtio::fail(virtio::Error::invalid_argument);
    for (std::size_t number = kFirstVector; number <= kLastVector; ++number) {
        if (slots[number].handler != nullptr) continue;
        const InterruptGuard off;
        slots[number] = {handler, context, 0, name};
        return Vector{static_cast<std::uint8_t>(number)};
    }
    return virtio::fail(virtio::Error::interrupt_unavailable);
}

void free_vector(Vector vector) {
    if (vector.number < kFirstVector || vector.number > kLastVector) return;
    const InterruptGuard off;
    slots[vector.number] = {};
}

MsiMessage msi_message(Vector vector) {
    // Fixed delivery, physical destination, edge (Intel SDM, 11.11).
    return {std::uint64_t{0xfee00000} | std::uint64_t{arch::local_apic().id() & 0xff} << 12, vector.number};
}

Line isa_irq_to_line(std::uint8_t irq) noexcept { return isa_lines.isa_line(irq); }
Line pci_line(std::uint8_t interrupt_line) noexcept { return isa_lines.pci_line(interrupt_line); }

virtio::Result<> route_line(std::uint32_t gsi, Vector vector, Trigger trigger, Polarity polarity) {
    const Chip* chip = chip_of(gsi);
    if (chip == nullptr) return virtio::fail(virtio::Error::out_of_range);
    const InterruptGuard off;
    chip->io_apic.route(gsi - chip->first_gsi, {.vector = vector.number,
                                                .destination = static_cast<std::uint8_t>(arch::local_apic().id()),
                                                .level = trigger == Trigger::level,
                                                .active_low = polarity == Polarity::low,
                                                .masked = false});
    return {};
}

void mask_line(std::uint32_t gsi) {
    const Chip* chip = chip_of(gsi);
    if (chip == nullptr) return;
    const InterruptGuard off;
    chip->io_apic.mask(gsi - chip->first_gsi);
}

std::uint64_t interrupt_count(Vector vector) noexcept { return *static_cast<volatile std::uint64_t*>(&slots[vector.number].count); }
std::uint64_t spurious_interrupt_count() noexcept { return *static_cast<volatile std::uint64_t*>(&interrupt::spurious_count); }

void for_each_vector(void (*visit)(Vector vector, const char* name, std::uint64_t count, void* context), void* context) {
    for (std::size_t number = kFirstVector; number <= kLastVector; ++number)
        if (const Slot& slot = slots[number]; slot.handler != nullptr) {
            const Vector vector{static_cast<std::uint8_t>(number)};
            visit(vector, slot.name, interrupt_count(vector), context);
        }
}

bool interrupts_enabled() noexcept { return arch::interrupts_enabled(); }
void enable_interrupts() noexcept { arch::enable_interrupts(); }
void disable_interrupts() noexcept { arch::disable_interrupts(); }

void enable_and_halt() noexcept {
    const std::uint64_t before = arch::read_tsc();
    arch::enable_and_halt();
    halted += arch::read_tsc() - before;
}

std::uint64_t halted_ticks() noexcept { return halted; }

} // namespace kernel
