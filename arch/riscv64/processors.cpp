// The other harts: SBI's hart state management starts them and its IPI extension wakes them.
#include "arch/processors.hpp"

#include "arch/riscv64/processors.hpp"

#include "arch/riscv64/csr.hpp"
#include "arch/riscv64/hart.hpp"
#include "arch/riscv64/sbi.hpp"

extern "C" void ringside_secondary_entry(); // secondary.S

namespace arch {
namespace {

// What the new hart loads, in this order; `hart` for one that comes to the wrong place (boot/riscv64/entry.S).
struct Fields {
    std::uint64_t satp;
    void* stack_top;
    void (*entry)(void*);
    void* argument;
    std::uint64_t hart;
};
static_assert(sizeof(Fields) == 40);
constexpr std::uint64_t kNobody = ~std::uint64_t{0};

const char* reason(std::int64_t error) noexcept {
    switch (error) {
    case 0: return nullptr;
    case -3: return "SBI knows no such hart";
    case -6: return "SBI says that it runs already";
    default: return "SBI failed to start it";
    }
}

} // namespace

extern "C" {
extern Fields ringside_secondary_fields;
constinit Fields ringside_secondary_fields{.satp = 0, .stack_top = nullptr, .entry = nullptr, .argument = nullptr, .hart = kNobody};
}

std::uint64_t this_processor_id() noexcept { return this_hart().id; }

const char* prepare_processors(const Hardware&) noexcept {
    if (!sbi_has(kSbiHart)) return "the firmware cannot start them";
    if (!sbi_has(kSbiInterrupt) || !sbi_has(kSbiRemoteFence)) return "the firmware cannot interrupt them";
    remote_fences = true;
    return nullptr;
}

const char* start_processor(const Hardware&, const Processor& which, const ProcessorStart& start) noexcept {
    if (const char* why = cannot_interrupt(which)) return why;
    constexpr std::uint64_t kStart = 0, kSatp = 0x180;
    ringside_secondary_fields = {read_csr<kSatp>(), start.stack_top, start.entry, start.argument, which.id};
    asm volatile("fence rw, rw" : : : "memory");
    return reason(sbi_call(kSbiHart, kStart, which.id, reinterpret_cast<std::uintptr_t>(&ringside_secondary_entry)).error);
}

void wake_processor(std::uint64_t id) noexcept { sbi_call(kSbiInterrupt, 0, 1, id); }

} // namespace arch
