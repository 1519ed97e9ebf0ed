// What the processor complains about, in words, with all registers; and the stacks that it is reported on.
#include "arch/exception.hpp"

#include <array>
#include <cstddef>
#include <new>

#include <machine/frame.hpp>

#include "arch/processors.hpp"
#include "arch/riscv64/hart.hpp"

extern "C" const char ringside_trap_vector[]; // interrupt_entry.S

namespace arch {
namespace {

constexpr std::array<const char*, 16> kNames = {
    "misaligned instruction", "instruction access fault",  "invalid instruction", "breakpoint",
    "misaligned load",        "load access fault",         "misaligned store",    "store access fault",
    "call from user mode",    "call from supervisor mode", "reserved 10",         "call from machine mode",
    "instruction page fault", "load page fault",           "reserved 14",         "store page fault"};
constexpr std::uint64_t kFetchFault = 12, kLoadFault = 13, kStoreFault = 15;

constexpr std::size_t kStackBytes = 16384, kPage = 4096;
/// A hart's own memory: the stack that sscratch names ends where `hart` begins. The second one is its own next.
struct alignas(kPage) Block {
    struct Again {
        alignas(16) std::byte* next_stack;
    };
    std::byte second_guard[kPage];
    std::byte second_stack[kStackBytes - sizeof(Again)];
    Again again;
    std::byte guard[kPage];
    std::byte stack[kStackBytes];
    alignas(16) Hart hart;
};
static_assert(offsetof(Block, guard) % kPage == 0);
constinit Block first_block{};
constexpr std::array<GuardPage, 2> kGuards = {
    {{first_block.guard, "the exception handler"}, {first_block.second_guard, "the second exception handler"}}};

void use(Block& block, std::uint64_t id) noexcept {
    auto* const second = reinterpret_cast<std::byte*>(&block.again);
    block.again.next_stack = second;
    new (&block.hart) Hart{.next_stack = second, .id = id};
    constexpr std::uint64_t kVectored = 1;
    asm volatile("csrw sscratch, %0; csrw stvec, %1"
                 :
                 : "r"(&block.hart), "r"(reinterpret_cast<std::uint64_t>(ringside_trap_vector) | kVectored)
                 : "memory");
}

} // namespace

void start_exceptions() noexcept { use(first_block, 0); }

std::span<const GuardPage> exception_stack_guards() noexcept { return kGuards; }

std::size_t exception_bytes() noexcept { return sizeof(Block); }
void start_exceptions_here(void* memory) noexcept {
    // Its entry has left the hart's number there (secondary.S).
    std::uint64_t id;
    asm volatile("csrr %0, sscratch" : "=r"(id));
    use(*static_cast<Block*>(memory), id);
}
void* exception_guard(void* memory, std::size_t index) noexcept {
    Block& block = *static_cast<Block*>(memory);
    return index == 0 ? block.guard : index == 1 ? block.second_guard : nullptr;
}

Fault fault_of(const ExceptionFrame& frame) noexcept {
    Fault fault;
    fault.instruction = frame.sepc;
    fault.link = frame.x[1];
    fault.stack_pointer = frame.x[2];
    fault.frame_pointer = frame.x[8];
    fault.code = frame.stval;
    const std::uint64_t cause = frame.scause;
    if (cause != kFetchFault && cause != kLoadFault && cause != kStoreFault) {
        fault.name = cause < kNames.size() ? kNames[cause] : "unknown exception";
        return fault;
    }
    fault.kind = Fault::Kind::page;
    fault.attempt = cause == kFetchFault ? Fault::Attempt::execute : cause == kStoreFault ? Fault::Attempt::write : Fault::Attempt::read;
    fault.address = frame.stval;
    return fault;
}

void print_registers(const ExceptionFrame& f, Print print) noexcept {
    const auto& x = f.x;
    print("pc=%016lx ra=%016lx sp=%016lx s0=%016lx\n", f.sepc, x[1], x[2], x[8]);
    print("gp=%016lx tp=%016lx s1=%016lx a0=%016lx\n", x[3], x[4], x[9], x[10]);
    print("a1=%016lx a2=%016lx a3=%016lx a4=%016lx\n", x[11], x[12], x[13], x[14]);
    print("a5=%016lx a6=%016lx a7=%016lx t0=%016lx\n", x[15], x[16], x[17], x[5]);
    print("t1=%016lx t2=%016lx t3=%016lx t4=%016lx\n", x[6], x[7], x[28], x[29]);
    print("t5=%016lx t6=%016lx s2=%016lx s3=%016lx\n", x[30], x[31], x[18], x[19]);
    print("s4=%016lx s5=%016lx s6=%016lx s7=%016lx\n", x[20], x[21], x[22], x[23]);
    print("s8=%016lx s9=%016lx s10=%016lx s11=%016lx\n", x[24], x[25], x[26], x[27]);
    std::uint64_t satp;
    asm volatile("csrr %0, satp" : "=r"(satp));
    print("cause %lu, value 0x%lx, status 0x%lx, satp 0x%lx\n", f.scause, f.stval, f.sstatus, satp);
}

} // namespace arch
