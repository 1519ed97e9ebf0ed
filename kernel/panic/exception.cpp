// What the processor complains about, in words, with all registers; then the same way out as any panic.
#include <array>
#include <cstddef>
#include <cstdint>

#include "arch/x86_64/cpu.hpp"
#include "arch/x86_64/kernel_hooks.hpp"
#include "kernel/memory/address_space.hpp"
#include "kernel/panic/panic.hpp"

namespace kernel {
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

void describe_page_fault(const arch::ExceptionFrame& frame, std::uint64_t address) noexcept {
    const char* what = (frame.error_code & kFetch) != 0 ? "execute" : (frame.error_code & kWrite) != 0 ? "write" : "read";
    if (const char* owner = guard_page_owner(address)) {
        emergency_print("stack overflow: %s at 0x%lx, guard page of %s", what, address, owner);
        return;
    }
    const char* where = "unmapped memory";
    if (address < 4096)
        where = "page 0 (null pointer)";
    else
        switch (protection_of(address)) {
        case Protection::none: break;
        case Protection::read: where = "read-only data"; break;
        case Protection::read_write: where = "no-execute data"; break;
        case Protection::read_execute: where = "program text"; break;
        }
    emergency_print("page fault: %s of %s at 0x%lx", what, where, address);
}

void print_registers(const arch::ExceptionFrame& f, std::uint64_t fault_address) noexcept {
    emergency_print("rip=%016lx rsp=%016lx rbp=%016lx flags=%08lx\n", f.rip, f.rsp, f.rbp, f.rflags);
    emergency_print("rax=%016lx rbx=%016lx rcx=%016lx rdx=%016lx\n", f.rax, f.rbx, f.rcx, f.rdx);
    emergency_print("rsi=%016lx rdi=%016lx r8 =%016lx r9 =%016lx\n", f.rsi, f.rdi, f.r8, f.r9);
    emergency_print("r10=%016lx r11=%016lx r12=%016lx r13=%016lx\n", f.r10, f.r11, f.r12, f.r13);
    emergency_print("r14=%016lx r15=%016lx cr2=%016lx cr3=%016lx\n", f.r14, f.r15, fault_address, arch::read_cr3());
}

} // namespace
} // namespace kernel

extern "C" void kernel_exception(const arch::ExceptionFrame* frame, std::uint64_t fault_address) {
    using namespace kernel;
    begin_panic();
    if (frame->vector == kPageFault)
        describe_page_fault(*frame, fault_address);
    else
        emergency_print("%s (exception %lu, error code 0x%lx)", frame->vector < kNames.size() ? kNames[frame->vector] : "unknown exception",
                        frame->vector, frame->error_code);
    emergency_print(" at rip 0x%lx\n", frame->rip);
    print_registers(*frame, fault_address);
    end_panic(reinterpret_cast<const void*>(frame->rbp), frame->rip, reinterpret_cast<const void*>(frame->rsp));
}

extern "C" void ringside_task_returned() { kernel::panic("a task's entry function returned"); }
