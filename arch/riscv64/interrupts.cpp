// Lines come through a PLIC or an APLIC, messages through the hart's IMSIC, to which an APLIC sends messages as well if there is one.
#include "arch/interrupts.hpp"

#include "arch/riscv64/aplic.hpp"
#include "arch/riscv64/boot_hart.hpp"
#include "arch/riscv64/csr.hpp"
#include "arch/riscv64/imsic.hpp"
#include "arch/riscv64/interrupt_path.hpp"
#include "arch/riscv64/plic.hpp"

namespace arch {

constinit std::uint64_t boot_hart = 0;

namespace {

using Source = InterruptPath::Source;

Plic plic;
Aplic aplic;
Imsic imsic;

bool has_aplic() noexcept { return aplic.sources() != 0; }

const Processor* this_processor(const Hardware& hardware) noexcept {
    for (std::size_t i = 0; i < hardware.processor_count; ++i)
        if (hardware.processors[i].id == boot_hart) return &hardware.processors[i];
    return nullptr;
}

/// An APLIC counts the harts that have a page in the IMSIC.
std::uint32_t message_index(const Hardware& hardware, const Processor& self) noexcept {
    std::uint32_t index = 0;
    for (std::size_t i = 0; i < hardware.processor_count; ++i) {
        const Processor& other = hardware.processors[i];
        if (other.has_imsic_page && other.imsic_page < self.imsic_page) ++index;
    }
    return index;
}

const char* start_chips(const Hardware& hardware, const Processor& self, MapRegisters map) noexcept {
    const InterruptChip* const messages = hardware.find(InterruptChip::Kind::imsic);
    if (messages != nullptr && self.has_imsic_page) {
        if (const char* missing = imsic.start(*messages, self.imsic_page)) return missing;
        interrupt_path.source = Source::imsic;
    }
    if (const InterruptChip* lines = hardware.find(InterruptChip::Kind::aplic)) {
        const bool as_messages = imsic.identities() != 0;
        if (!as_messages && !self.has_aplic_index) return "the APLIC knows nothing of this processor";
        const Aplic::Delivery delivery{as_messages ? message_index(hardware, self) : self.aplic_index, as_messages};
        if (const char* missing = aplic.start(*lines, delivery, map)) return missing;
        if (as_messages) {
            interrupt_path.aplic = aplic.registers();
        } else {
            interrupt_path.source = Source::aplic;
            interrupt_path.claim = aplic.claim_register();
        }
        return nullptr;
    }
    if (const InterruptChip* lines = hardware.find(InterruptChip::Kind::plic); lines != nullptr && self.has_plic_context) {
        if (interrupt_path.source == Source::imsic) return nullptr; // a PLIC beside an IMSIC could not be told from it
        if (const char* missing = plic.start(*lines, self.plic_context, map)) return missing;
        interrupt_path.source = Source::plic;
        interrupt_path.claim = plic.claim_register();
        return nullptr;
    }
    return interrupt_path.source == Source::none ? "there is no PLIC, APLIC or IMSIC for this processor" : nullptr;
}

} // namespace

const char* start_interrupts(const Hardware& hardware, MapRegisters map) noexcept {
    const Processor* const self = this_processor(hardware);
    if (self == nullptr) return "the device tree does not name the processor that runs";
    if (const char* missing = start_chips(hardware, *self, map)) return missing;
    set_csr_bits<kSie>(kExternalInterrupt);
    return nullptr;
}

bool route_line(const Line& line, std::uint32_t vector) noexcept {
    const std::uint32_t sources = has_aplic() ? aplic.sources() : plic.sources();
    if (line.gsi == 0 || line.gsi > sources || vector >= InterruptPath::kMostVectors) return false;
    if (interrupt_path.source == Source::imsic) {
        if (vector > imsic.identities()) return false;
        mask_line(line.gsi);
        interrupt_path.level_source_of[vector] = static_cast<std::uint16_t>(line.trigger == Trigger::level ? line.gsi : 0);
        imsic.enable(vector);
    }
    interrupt_path.vector_of[line.gsi] = static_cast<std::uint8_t>(vector);
    if (has_aplic())
        aplic.route(line, vector);
    else
        plic.unmask(line.gsi);
    return true;
}

void mask_line(std::uint32_t gsi) noexcept {
    if (has_aplic()) {
        if (gsi == 0 || gsi > aplic.sources()) return;
        aplic.mask(gsi);
        if (interrupt_path.source != Source::imsic) return;
        const std::uint32_t vector = interrupt_path.vector_of[gsi];
        interrupt_path.level_source_of[vector] = 0;
    } else if (gsi != 0 && gsi <= plic.sources()) {
        plic.mask(gsi);
    }
}

bool connect_message(std::uint32_t vector, std::uint32_t, std::uint32_t, Message& message) noexcept {
    if (vector == 0 || vector > imsic.identities() || vector >= InterruptPath::kMostVectors) return false;
    imsic.enable(vector);
    message = imsic.message(vector);
    return true;
}

void disconnect_message(std::uint32_t vector) noexcept {
    if (vector != 0 && vector <= imsic.identities()) imsic.disable(vector);
}

} // namespace arch
