// What the processor complains about, in words, with all registers.
#include <array>

#include <machine/frame.hpp>

#include "arch/exception.hpp"
#include "arch/x86_64/registers.hpp"

namespace arch {
namespace {

constexpr std::array<const char*, 32> kNames = {"divide error",
                                                "debug",
                                                "non-maskable interrupt",
                                                "breakpoint",
                                                "overflow",
                                                "bound range exceeded",
                                                "invalid instruction",
                                                "device not available",
                                                "double fault",
                                                "coprocessor segment overrun",
                                                "invalid TSS",
                                                "segment not present",
                                                "stack segment fault",
                                                "general protection fault",
                                                "page fault",
                                                "reserved 15",
                                                "x87 error",
                                                "alignment check",
                                                "machine check",
                                                "SIMD error",
                                                "virtualization exception",
                                                "control protection",
                                                "reserved 22",
                                                "reserved 23",
                                                "reserved 24",
                                                "reserved 25",
                                                "reserved 26",
                                                "reserved 27",
                                                "hypervisor injection",
                                                "VMM communication",
                                                "security exception",
                                                "reserved 31"};
constexpr std::uint64_t kPageFault = 14;
constexpr std::uint64_t kWrite = 2, kFetch = 16;

} // namespace

Fault fault_of(const ExceptionFrame& frame) noexcept {
    Fault fault;
    fault.instruction = frame.rip;
    fault.stack_pointer = frame.rsp;
    fault.frame_pointer = frame.rbp;
    fault.code = frame.error_code;
    if (frame.vector != kPageFault) {
        fault.name = frame.vector < kNames.size() ? kNames[frame.vector] : "unknown exception";
        return fault;
    }
    fault.kind = Fault::Kind::page;
    fault.attempt = (frame.error_code & kFetch) != 0   ? Fault::Attempt::execute
                    : (frame.error_code & kWrite) != 0 ? Fault::Attempt::write
                                                       : Fault::Attempt::read;
    fault.address = frame.cr2;
    return fault;
}

void print_registers(const ExceptionFrame& f, Print print) noexcept {
    print("rip=%016lx rsp=%016lx rbp=%016lx flags=%08lx\n", f.rip, f.rsp, f.rbp, f.rflags);
    print("rax=%016lx rbx=%016lx rcx=%016lx rdx=%016lx\n", f.rax, f.rbx, f.rcx, f.rdx);
    print("rsi=%016lx rdi=%016lx r8 =%016lx r9 =%016lx\n", f.rsi, f.rdi, f.r8, f.r9);
    print("r10=%016lx r11=%016lx r12=%016lx r13=%016lx\n", f.r10, f.r11, f.r12, f.r13);
    print("r14=%016lx r15=%016lx cr2=%016lx cr3=%016lx\n", f.r14, f.r15, f.cr2, read_cr3());
    print("exception %lu, error code 0x%lx\n", f.vector, f.error_code);
}

} // namespace arch
