// What the processor complains about, in words, with all registers (ARM ARM, D17.2.37: ESR_EL1).
#include <machine/frame.hpp>

#include "arch/exception.hpp"

namespace arch {
namespace {

constexpr std::uint64_t kExecuteLower = 0x20, kExecute = 0x21, kDataLower = 0x24, kData = 0x25;
constexpr std::uint64_t kWrite = 1 << 6;

const char* name_of(std::uint64_t exception_class) noexcept {
    switch (exception_class) {
    case 0x00: return "invalid instruction";
    case 0x07: return "vector registers are switched off";
    case 0x0d: return "branch target exception";
    case 0x0e: return "illegal execution state";
    case 0x15: return "system call";
    case 0x16: return "hypervisor call that nobody takes";
    case 0x17: return "secure call that nobody takes";
    case 0x18: return "system register that may not be touched";
    case 0x1c: return "pointer authentication failure";
    case kExecuteLower:
    case kExecute: return "instruction fetch abort";
    case 0x22: return "misaligned instruction";
    case kDataLower:
    case kData: return "data abort";
    case 0x26: return "misaligned stack pointer";
    case 0x2c: return "floating-point error";
    case 0x31:
    case 0x33:
    case 0x35: return "debug";
    case 0x3c: return "breakpoint instruction";
    default: return "unknown exception";
    }
}

/// Why a fetch or an access failed, where that is not the page tables' doing.
const char* abort_name(std::uint64_t status) noexcept {
    if (status < 4) return "address beyond the processor's";
    if (status >= 0x10 && status <= 0x1f) return "external abort: nothing answers at this address";
    switch (status) {
    case 0x21: return "misaligned access";
    case 0x30: return "conflicting translations";
    default: return nullptr;
    }
}

} // namespace

Fault fault_of(const ExceptionFrame& frame) noexcept {
    Fault fault;
    fault.instruction = frame.elr;
    fault.stack_pointer = frame.sp;
    fault.frame_pointer = frame.x[29];
    fault.link = frame.x[30];
    fault.code = frame.esr;
    switch (frame.kind) {
    case ExceptionFrame::Kind::synchronous: break;
    case ExceptionFrame::Kind::interrupt: fault.name = "interrupt within an exception"; return fault;
    case ExceptionFrame::Kind::fast_interrupt: fault.name = "fast interrupt"; return fault;
    case ExceptionFrame::Kind::system_error: fault.name = "system error"; return fault;
    }
    const std::uint64_t exception_class = frame.esr >> 26 & 0x3f, status = frame.esr & 0x3f;
    fault.name = name_of(exception_class);
    const bool execute = exception_class == kExecute || exception_class == kExecuteLower;
    if (!execute && exception_class != kData && exception_class != kDataLower) return fault;
    if (const char* name = abort_name(status)) fault.name = name;
    // Translation, access flag and permission faults of each level.
    if (status < 0x04 || status > 0x0f) return fault;
    fault.kind = Fault::Kind::page;
    fault.address = frame.far;
    fault.attempt = execute ? Fault::Attempt::execute : (frame.esr & kWrite) != 0 ? Fault::Attempt::write : Fault::Attempt::read;
    return fault;
}

void print_registers(const ExceptionFrame& f, Print print) noexcept {
    print("pc =%016lx sp =%016lx lr =%016lx psr=%08lx\n", f.elr, f.sp, f.x[30], f.spsr);
    for (int i = 0; i < 28; i += 4)
        print("x%d=%016lx x%d=%016lx x%d=%016lx x%d=%016lx\n", i, f.x[i], i + 1, f.x[i + 1], i + 2, f.x[i + 2], i + 3, f.x[i + 3]);
    print("x28=%016lx x29=%016lx\n", f.x[28], f.x[29]);
    print("esr=%08lx far=%016lx\n", f.esr, f.far);
}

} // namespace arch
