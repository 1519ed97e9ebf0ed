// What the processor complains about, in words, with all registers; then the same way out as any panic.
#include "arch/exception.hpp"

#include "kernel/memory/address_space.hpp"
#include "kernel/panic/panic.hpp"

namespace kernel {
namespace {

const char* word(arch::Fault::Attempt attempt) noexcept {
    switch (attempt) {
    case arch::Fault::Attempt::read: return "read";
    case arch::Fault::Attempt::write: return "write";
    case arch::Fault::Attempt::execute: return "execute";
    }
    return "access";
}

void describe_page_fault(const arch::Fault& fault) noexcept {
    const auto address = static_cast<unsigned long long>(fault.address);
    if (const char* owner = guard_page_owner(fault.address)) {
        emergency_print("stack overflow: %s at 0x%llx, guard page of %s", word(fault.attempt), address, owner);
        return;
    }
    const char* where = "unmapped memory";
    if (fault.address < 4096)
        where = "page 0 (null pointer)";
    else
        switch (protection_of(fault.address)) {
        case Protection::none: break;
        case Protection::read: where = "read-only data"; break;
        case Protection::read_write: where = "no-execute data"; break;
        case Protection::read_execute: where = "program text"; break;
        }
    emergency_print("page fault: %s of %s at 0x%llx", word(fault.attempt), where, address);
}

} // namespace
} // namespace kernel

extern "C" void kernel_exception(const arch::ExceptionFrame* frame) {
    using namespace kernel;
    begin_panic();
    const arch::Fault fault = arch::fault_of(*frame);
    if (fault.kind == arch::Fault::Kind::page)
        describe_page_fault(fault);
    else
        emergency_print("%s (code 0x%llx)", fault.name, static_cast<unsigned long long>(fault.code));
    emergency_print(" at 0x%lx\n", static_cast<unsigned long>(fault.instruction));
    arch::print_registers(*frame, emergency_print);
    end_panic({fault.frame_pointer, fault.instruction, fault.stack_pointer, fault.link});
}

extern "C" void ringside_task_returned() { kernel::panic("a task's entry function returned"); }
