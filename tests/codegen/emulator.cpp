// Runs functions of a freestanding program for another processor and says what each of them did, access by access: a processor without a
// machine (Unicorn, QEMU's translator as a library). Commands come on standard input, one a line, numbers in hexadecimal:
//
//     map ADDRESS SIZE            memory, zeroed; both whole pages
//     write ADDRESS BYTES         as hexadecimal digits
//     read ADDRESS SIZE           answers "= BYTES"
//     call ADDRESS STACK [WORD]   runs the function there with one argument until it returns, and tells, in this order:
//                                 "x PC SIZE" an instruction, "r PC ADDRESS SIZE" / "w PC ADDRESS SIZE" what it read and wrote, "." the end
//
// Use: codegen_emulator x86_64|aarch64|riscv64|armv7
#include <unicorn/unicorn.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace {

struct Processor {
    uc_arch arch;
    uc_mode mode;
    int program_counter;
    int stack;
    int argument;
    int link; // register of the return address; 0: it stands on the stack
};

const std::map<std::string, Processor> kProcessors = {
    {"x86_64", {UC_ARCH_X86, UC_MODE_64, UC_X86_REG_RIP, UC_X86_REG_RSP, UC_X86_REG_RDI, 0}},
    {"aarch64", {UC_ARCH_ARM64, UC_MODE_ARM, UC_ARM64_REG_PC, UC_ARM64_REG_SP, UC_ARM64_REG_X0, UC_ARM64_REG_LR}},
    {"riscv64", {UC_ARCH_RISCV, UC_MODE_RISCV64, UC_RISCV_REG_PC, UC_RISCV_REG_SP, UC_RISCV_REG_A0, UC_RISCV_REG_RA}},
    {"armv7", {UC_ARCH_ARM, UC_MODE_THUMB, UC_ARM_REG_PC, UC_ARM_REG_SP, UC_ARM_REG_R0, UC_ARM_REG_LR}},
};

// Where functions return to: a page that nothing else uses.
constexpr std::uint64_t kEnd = 0x7fff'0000;
// A probe takes some hundred instructions, a few thousand without optimisation.
constexpr std::size_t kMost = 1'000'000;

void must(uc_err error, const char* what) {
    if (error == UC_ERR_OK) return;
    std::fprintf(stderr, "%s: %s\n", what, uc_strerror(error));
    std::exit(1);
}

std::uint64_t program_counter_of_access = 0;

void on_code(uc_engine*, std::uint64_t address, std::uint32_t size, void*) {
    program_counter_of_access = address;
    std::printf("x %llx %x\n", static_cast<unsigned long long>(address), size);
}

void on_access(uc_engine*, uc_mem_type type, std::uint64_t address, int size, std::int64_t, void*) {
    std::printf("%c %llx %llx %x\n", type == UC_MEM_WRITE ? 'w' : 'r', static_cast<unsigned long long>(program_counter_of_access),
                static_cast<unsigned long long>(address), static_cast<unsigned>(size));
}

void call(uc_engine* engine, const Processor& processor, std::uint64_t address, std::uint64_t stack, std::uint64_t argument) {
    if (processor.link == 0) {
        stack -= 8;
        must(uc_mem_write(engine, stack, &kEnd, sizeof(kEnd)), "stack");
    } else {
        const std::uint64_t back = processor.arch == UC_ARCH_ARM ? kEnd | 1 : kEnd;
        must(uc_reg_write(engine, processor.link, &back), "return address");
    }
    must(uc_reg_write(engine, processor.stack, &stack), "stack pointer");
    must(uc_reg_write(engine, processor.argument, &argument), "argument");
    uc_hook code = 0;
    uc_hook access = 0;
    must(uc_hook_add(engine, &code, UC_HOOK_CODE, reinterpret_cast<void*>(on_code), nullptr, 1, 0), "hook");
    must(uc_hook_add(engine, &access, UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, reinterpret_cast<void*>(on_access), nullptr, 1, 0), "hook");
    const std::uint64_t start = processor.arch == UC_ARCH_ARM ? address | 1 : address;
    must(uc_emu_start(engine, start, kEnd, 0, kMost), "the function");
    std::uint64_t at = 0;
    must(uc_reg_read(engine, processor.program_counter, &at), "program counter");
    if ((at & ~std::uint64_t{1}) != kEnd) {
        std::fprintf(stderr, "the function did not return; it stopped at %llx\n", static_cast<unsigned long long>(at));
        std::exit(1);
    }
    must(uc_hook_del(engine, code), "hook");
    must(uc_hook_del(engine, access), "hook");
    std::puts(".");
}

std::vector<std::uint8_t> bytes_of(const std::string& digits) {
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
        bytes.push_back(static_cast<std::uint8_t>(std::stoul(digits.substr(i, 2), nullptr, 16)));
    return bytes;
}

} // namespace

int main(int count, char** words) {
    const auto found = count == 2 ? kProcessors.find(words[1]) : kProcessors.end();
    if (found == kProcessors.end()) {
        std::fputs("codegen_emulator x86_64|aarch64|riscv64|armv7\n", stderr);
        return 2;
    }
    const Processor& processor = found->second;
    uc_engine* engine = nullptr;
    must(uc_open(processor.arch, processor.mode, &engine), "processor");
    must(uc_mem_map(engine, kEnd, 0x1000, UC_PROT_ALL), "return page");
    if (processor.arch == UC_ARCH_ARM64) {
        const std::uint64_t vectors_on = 3U << 20U; // structures are copied in vector registers
        must(uc_reg_write(engine, UC_ARM64_REG_CPACR_EL1, &vectors_on), "CPACR_EL1");
    }
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream input(line);
        std::string command;
        std::string digits;
        std::uint64_t address = 0;
        std::uint64_t size = 0;
        input >> command >> std::hex >> address;
        if (command == "write") {
            input >> digits;
            const auto bytes = bytes_of(digits);
            must(uc_mem_write(engine, address, bytes.data(), bytes.size()), "write");
        } else if (command == "map") {
            input >> size;
            must(uc_mem_map(engine, address, size, UC_PROT_ALL), "map");
        } else if (command == "read") {
            input >> size;
            std::vector<std::uint8_t> bytes(size);
            must(uc_mem_read(engine, address, bytes.data(), size), "read");
            std::fputs("= ", stdout);
            for (const std::uint8_t byte : bytes) std::printf("%02x", byte);
            std::puts("");
        } else if (command == "call") {
            std::uint64_t argument = 0;
            input >> size >> argument;
            call(engine, processor, address, size, argument);
        } else {
            std::fprintf(stderr, "no such command: %s\n", line.c_str());
            return 2;
        }
        std::fflush(stdout);
    }
    uc_close(engine);
    return 0;
}
