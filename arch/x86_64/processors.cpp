#include "arch/processors.hpp"

#include <cstring>

#include <machine/cpu.hpp>
#include <ringside/arch/io.hpp>

#include "arch/x86_64/calibration.hpp"
#include "arch/x86_64/local_apic.hpp"
#include "arch/x86_64/registers.hpp"

extern "C" {
// trampoline.S: code and data for a page below 1 MiB.
extern const char ringside_trampoline[], ringside_trampoline_end[], ringside_trampoline_fields[], ringside_trampoline_gdt[];
extern const char ringside_trampoline_jump32[], ringside_trampoline_jump64[];
}

namespace arch {
namespace {

// What the code in the page reads, in this order. Below 4 GiB, as the whole image is.
struct Fields {
    std::uint64_t cr0, cr4, cr3;
    void* stack_top;
    void (*entry)(void*);
    void* argument;
};
static_assert(sizeof(Fields) == 48);
Fields fields;

constexpr std::uint64_t kCr0TaskSwitched = 1 << 3;

void spin_ns(std::uint64_t nanoseconds) noexcept {
    const std::uint64_t until = read_counter() + nanoseconds * (counter_rate() / 1'000'000) / 1000;
    while (read_counter() < until) relax();
}

} // namespace

std::uint64_t this_processor_id() noexcept { return local_apic().id(); }

const char* prepare_processors(const Hardware& hardware) noexcept {
    const std::uint64_t page = hardware.start_page;
    if (page == 0) return "there is no free page below 1 MiB to start in";
    char* const code = reinterpret_cast<char*>(page);
    std::memcpy(code, ringside_trampoline, static_cast<std::size_t>(ringside_trampoline_end - ringside_trampoline));
    const auto add = [code](const char* where, std::uint64_t addend) {
        std::uint32_t value;
        std::memcpy(&value, where, sizeof value);
        value += static_cast<std::uint32_t>(addend);
        std::memcpy(code + (where - ringside_trampoline), &value, sizeof value);
    };
    add(ringside_trampoline_jump32, page);
    add(ringside_trampoline_jump64, page);
    add(ringside_trampoline_gdt + 4 * 8 + 2, page);
    add(ringside_trampoline_fields, reinterpret_cast<std::uint64_t>(&fields));
    return nullptr;
}

const char* start_processor(const Hardware& hardware, const Processor& which, const ProcessorStart& start) noexcept {
    // (255 would be everybody.)
    if (which.id >= 0xff && !local_apic().is_x2apic()) return "its APIC id is beyond what the local APIC can address";
    fields = {read_cr0() & ~kCr0TaskSwitched, read_cr4(), read_cr3(), start.stack_top, start.entry, start.argument};
    // INIT, then the start-up message twice (Intel SDM, 9.4.4.1): the second one is ignored by a processor that runs already.
    const auto id = static_cast<std::uint32_t>(which.id);
    local_apic().send(id, LocalApic::kSendInit);
    spin_ns(10'000'000);
    for (int i = 0; i < 2; ++i) {
        local_apic().send(id, LocalApic::kSendStartUp | static_cast<std::uint32_t>(hardware.start_page >> 12));
        spin_ns(200'000);
    }
    return nullptr;
}

void start_interrupts_here() noexcept { local_apic().start_here(); }

} // namespace arch
