// Lines come through a PLIC or an APLIC, messages through the hart's IMSIC, to which an APLIC sends messages as well if there is one. What a
// hart connects comes to that hart, and only that hart disconnects it.
#include "arch/interrupts.hpp"

#include "arch/processors.hpp"
#include "arch/riscv64/aplic.hpp"
#include "arch/riscv64/csr.hpp"
#include "arch/riscv64/hart.hpp"
#include "arch/riscv64/imsic.hpp"
#include "arch/riscv64/interrupt_path.hpp"
#include "arch/riscv64/plic.hpp"
#include "arch/riscv64/processors.hpp"

namespace arch {
namespace {

using Source = InterruptPath::Source;

Plic plic;
Aplic aplic;
Imsic imsic;
const Hardware* machine = nullptr;

bool has_aplic() noexcept { return aplic.sources() != 0; }

const Processor* processor_of(std::uint64_t id) noexcept {
    for (std::size_t i = 0; i < machine->processor_count; ++i)
        if (machine->processors[i].id == id) return &machine->processors[i];
    return nullptr;
}

/// An APLIC that sends messages counts the harts that have a page in the IMSIC.
std::uint32_t message_index(const Processor& self) noexcept {
    std::uint32_t index = 0;
    for (std::size_t i = 0; i < machine->processor_count; ++i) {
        const Processor& other = machine->processors[i];
        if (other.has_imsic_page && other.imsic_page < self.imsic_page) ++index;
    }
    return index;
}

const char* start_chips(MapRegisters map) noexcept {
    using Kind = InterruptChip::Kind;
    if (const InterruptChip* messages = machine->find(Kind::imsic)) {
        if (const char* missing = imsic.start(*messages)) return missing;
        interrupt_path.source = Source::imsic;
    }
    const bool as_messages = interrupt_path.source == Source::imsic;
    if (const InterruptChip* lines = machine->find(Kind::aplic)) {
        if (const char* missing = aplic.start(*lines, as_messages ? Aplic::Delivery::messages : Aplic::Delivery::direct, map))
            return missing;
        if (as_messages)
            interrupt_path.aplic = aplic.registers();
        else
            interrupt_path.source = Source::aplic;
    } else if (const InterruptChip* others = machine->find(Kind::plic); others != nullptr && !as_messages) {
        // (A PLIC beside an IMSIC could not be told from it.)
        if (const char* missing = plic.start(*others, map)) return missing;
        interrupt_path.source = Source::plic;
    }
    return interrupt_path.source == Source::none ? "there is no PLIC, APLIC or IMSIC" : nullptr;
}

} // namespace

const char* cannot_interrupt(const Processor& processor) noexcept {
    switch (interrupt_path.source) {
    case Source::none: break;
    case Source::imsic: return processor.has_imsic_page && imsic.page(processor.imsic_page) != 0 ? nullptr : "the IMSIC has no page for it";
    case Source::aplic:
        return processor.has_aplic_index && aplic.has_hart(processor.aplic_index) ? nullptr : "the APLIC has no place for it";
    case Source::plic:
        return processor.has_plic_context && plic.has_context(processor.plic_context) ? nullptr : "the PLIC has no context for it";
    }
    return "there is no interrupt controller";
}

void start_interrupts_here() noexcept {
    Hart& hart = this_hart();
    // That it has its place has been asked before.
    const Processor& self = *processor_of(hart.id);
    switch (interrupt_path.source) {
    case Source::none: break;
    case Source::imsic:
        hart.message_page = imsic.page(self.imsic_page);
        hart.place = message_index(self);
        imsic.start_here();
        break;
    case Source::aplic:
        hart.place = self.aplic_index;
        hart.claim = aplic.claim_register(hart.place);
        aplic.start_hart(hart.place);
        break;
    case Source::plic:
        hart.place = self.plic_context;
        hart.claim = plic.claim_register(hart.place);
        plic.start_context(hart.place);
        break;
    }
    set_csr_bits<kSie>(kExternalInterrupt | kSoftwareInterrupt);
}

const char* start_interrupts(const Hardware& hardware, MapRegisters map) noexcept {
    machine = &hardware;
    const Processor* const self = processor_of(this_hart().id);
    if (self == nullptr) return "the device tree does not name the processor that runs";
    if (const char* missing = start_chips(map)) return missing;
    if (const char* missing = cannot_interrupt(*self)) return missing;
    start_interrupts_here();
    return nullptr;
}

bool route_line(const Line& line, std::uint32_t vector) noexcept {
    const std::uint32_t sources = has_aplic() ? aplic.sources() : plic.sources();
    if (line.gsi == 0 || line.gsi > sources || vector >= InterruptPath::kMostVectors) return false;
    const Hart& hart = this_hart();
    if (interrupt_path.source == Source::imsic) {
        if (vector > imsic.identities()) return false;
        mask_line(line.gsi);
        interrupt_path.level_source_of[vector] = static_cast<std::uint16_t>(line.trigger == Trigger::level ? line.gsi : 0);
        imsic.enable(vector);
    }
    interrupt_path.vector_of[line.gsi] = static_cast<std::uint8_t>(vector);
    if (has_aplic())
        aplic.route(line, hart.place, vector);
    else
        plic.unmask(line.gsi, hart.place);
    return true;
}

void mask_line(std::uint32_t gsi) noexcept {
    if (has_aplic()) {
        if (gsi == 0 || gsi > aplic.sources()) return;
        aplic.mask(gsi);
        if (interrupt_path.source != Source::imsic) return;
        const std::uint32_t vector = interrupt_path.vector_of[gsi];
        if (interrupt_path.level_source_of[vector] == gsi) interrupt_path.level_source_of[vector] = 0; // else it is another line's by now
    } else if (gsi != 0 && gsi <= plic.sources()) {
        plic.mask(gsi);
    }
}

bool connect_message(std::uint32_t vector, std::uint32_t, std::uint32_t, Message& message) noexcept {
    if (vector == 0 || vector > imsic.identities() || vector >= InterruptPath::kMostVectors) return false;
    imsic.enable(vector);
    message = {this_hart().message_page, vector};
    return true;
}

void disconnect_message(std::uint32_t vector) noexcept {
    if (vector != 0 && vector <= imsic.identities()) imsic.disable(vector);
}

} // namespace arch
