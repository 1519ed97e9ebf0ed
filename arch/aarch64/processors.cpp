// Starting the other processors: PSCI's CPU_ON, which enters at a physical address with the MMU off (ARM DEN 0022, 5.1.4).
#include "arch/processors.hpp"

#include <machine/page_tables.hpp>

#include "arch/aarch64/shared_memory.hpp"
#include "arch/arm/firmware_call.hpp"

extern "C" void ringside_secondary_entry(); // secondary.S

namespace arch {
namespace {

// What the new processor loads, in this order.
struct Fields {
    std::uint64_t mair, tcr, ttbr0, ttbr1, sctlr;
    void* stack_top;
    void (*entry)(void*);
    void* argument;
};
static_assert(sizeof(Fields) == 64);
alignas(64) Fields fields;

const char* reason(std::intptr_t status) noexcept {
    switch (status) {
    case 0: return nullptr;
    case -1: return "PSCI cannot start processors";
    case -2: return "PSCI knows no such processor";
    case -3: return "PSCI may not start it";
    case -4: return "PSCI says that it runs already";
    default: return "PSCI failed to start it";
    }
}

} // namespace

std::uint64_t this_processor_id() noexcept {
    std::uint64_t value;
    asm("mrs %0, mpidr_el1" : "=r"(value));
    return value & 0xff00ffffff; // affinity 3, and 2 to 0
}

const char* prepare_processors(const Hardware& hardware) noexcept {
    if (hardware.power.psci == PowerHardware::Psci::none) return "there is no PSCI to start them";
    return share_page_tables() ? nullptr : "no memory for page tables without large pages";
}

const char* start_processor(const Hardware& hardware, const Processor& which, const ProcessorStart& start) noexcept {
    asm("mrs %0, mair_el1" : "=r"(fields.mair));
    asm("mrs %0, tcr_el1" : "=r"(fields.tcr));
    asm("mrs %0, ttbr0_el1" : "=r"(fields.ttbr0));
    asm("mrs %0, ttbr1_el1" : "=r"(fields.ttbr1));
    asm("mrs %0, sctlr_el1" : "=r"(fields.sctlr));
    fields.stack_top = start.stack_top;
    fields.entry = start.entry;
    fields.argument = start.argument;
    publish(&fields, sizeof fields, false); // it reads them with its caches off
    const auto call = hardware.power.psci == PowerHardware::Psci::hvc ? ringside_hypervisor_call : ringside_secure_call;
    return reason(call(kPsciCpuOn64, which.id, reinterpret_cast<std::uintptr_t>(&ringside_secondary_entry),
                       reinterpret_cast<std::uintptr_t>(&fields)));
}

} // namespace arch
