// Starting the other processors: PSCI's CPU_ON, which enters at a physical address with translation off (ARM DEN 0022, 5.1.4).
#include "arch/processors.hpp"

#include <machine/page_tables.hpp>

#include "arch/arm/firmware_call.hpp"

extern "C" void ringside_secondary_entry(); // secondary.S

namespace arch {
namespace {

// What the new processor loads, in this order.
struct Fields {
    std::uint32_t mair0, ttbcr, ttbr0, sctlr;
    void* stack_top;
    void (*entry)(void*);
    void* argument;
};
static_assert(sizeof(Fields) == 28);
alignas(64) Fields fields; // one line of the cache

/// It reads them with its caches off.
void clean(const Fields& what) noexcept { asm volatile("mcr p15, 0, %0, c7, c10, 1; dsb" : : "r"(&what) : "memory"); } // DCCMVAC

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
    std::uint32_t value;
    asm("mrc p15, 0, %0, c0, c0, 5" : "=r"(value)); // MPIDR
    return value & 0xffffff;                        // affinity 2 to 0
}

const char* prepare_processors(const Hardware& hardware) noexcept {
    if (hardware.power.psci == PowerHardware::Psci::none) return "there is no PSCI to start them";
    return share_page_tables() ? nullptr : "no memory for page tables without large pages";
}

const char* start_processor(const Hardware& hardware, const Processor& which, const ProcessorStart& start) noexcept {
    std::uint32_t unused;
    asm("mrc p15, 0, %0, c10, c2, 0" : "=r"(fields.mair0));
    asm("mrc p15, 0, %0, c2, c0, 2" : "=r"(fields.ttbcr));
    asm("mrrc p15, 0, %0, %1, c2" : "=r"(fields.ttbr0), "=r"(unused));
    asm("mrc p15, 0, %0, c1, c0, 0" : "=r"(fields.sctlr));
    fields.stack_top = start.stack_top;
    fields.entry = start.entry;
    fields.argument = start.argument;
    clean(fields);
    const auto call = hardware.power.psci == PowerHardware::Psci::hvc ? ringside_hypervisor_call : ringside_secure_call;
    return reason(call(kPsciCpuOn32, static_cast<std::uintptr_t>(which.id), reinterpret_cast<std::uintptr_t>(&ringside_secondary_entry),
                       reinterpret_cast<std::uintptr_t>(&fields)));
}

} // namespace arch
