// A QEMU TCG plugin (API version 1, declared here: distributions ship no qemu-plugin.h) that counts what a guest executes.
// Build: gcc -O2 -fPIC -shared -o count.so count.c
// Use:   -plugin ./count.so,out=FILE[,mmio=on][,profile=on][,at=0xADDRESS]...
// A line is written each time that the guest executes an instruction at one of the addresses, or a marker (arch/NAME/machine/mark.hpp). The
// counts are those before that instruction. One processor only.
// mmio=on adds " mmio PAGE:READS:WRITES..." for each page of device registers that was reached (page: physical address / 4096).
// Markers 1 and 2 begin and end a measurement, 3 and 4 interrupt it and go on; with profile=on a line "profile ADDRESS:EXECUTIONS..."
// precedes the end, of what was executed within. The first at= begins a profile as well, the others end it.
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;
typedef uint32_t qemu_plugin_meminfo_t;
typedef struct {
    const char* target_name;
    struct { int min, cur; } version;
    bool system_emulation;
    union { struct { int smp_vcpus, max_vcpus; } system; };
} qemu_info_t;
#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb*);
extern struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb*, size_t);
extern const void* qemu_plugin_insn_data(const struct qemu_plugin_insn*);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn*);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn*);
extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb*));
extern void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn*, int op, void*, uint64_t);
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn*, void (*)(unsigned, void*), int, void*);

extern void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn*, void (*)(unsigned, qemu_plugin_meminfo_t, uint64_t, void*), int, int,
                                             void*);
extern bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t);
extern struct qemu_plugin_hwaddr* qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t, uint64_t);
extern bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr*);
extern uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr*);

enum { kInlineAdd = 0, kNoRegisters = 0, kReadsAndWrites = 3, kMostAddresses = 16, kMostPages = 128, kBuckets = 1 << 16 };
enum { kStart = 1, kEnd = 2, kPause = 3, kResume = 4 };
static struct { uint64_t instructions, repeated, in, out, halt, iret; } counts;
static uint64_t addresses[kMostAddresses];
static int address_count;
static struct { uint64_t page, reads, writes; } pages[kMostPages];
static bool mmio, profile;
static FILE* file;

// One per instruction of the guest's, found by its address; QEMU adds to `now` in the translated code.
struct place {
    uint64_t address, now, before, within;
    struct place* next;
};
static struct place* buckets[kBuckets];

static struct place* place_of(uint64_t address) {
    struct place** bucket = &buckets[(address ^ address >> 16) % kBuckets];
    for (struct place* place = *bucket; place; place = place->next)
        if (place->address == address) return place;
    struct place* place = calloc(1, sizeof *place);
    if (!place) abort();
    place->address = address;
    place->next = *bucket;
    return *bucket = place;
}

static void follow(uint64_t marker) {
    for (int i = 0; i < kBuckets; i++)
        for (struct place* place = buckets[i]; place; place = place->next) {
            if (marker == kStart) place->within = 0;
            if (marker == kStart || marker == kResume) place->before = place->now;
            if (marker == kPause || marker == kEnd) place->within += place->now - place->before;
        }
    if (marker != kEnd) return;
    fprintf(file, "profile");
    for (int i = 0; i < kBuckets; i++)
        for (const struct place* place = buckets[i]; place; place = place->next)
            if (place->within) fprintf(file, " %lx:%lu", (unsigned long)place->address, (unsigned long)place->within);
    fputc('\n', file);
}

static void at_memory(unsigned processor, qemu_plugin_meminfo_t what, uint64_t address, void* user) {
    (void)processor, (void)user;
    const struct qemu_plugin_hwaddr* hardware = qemu_plugin_get_hwaddr(what, address);
    if (!hardware || !qemu_plugin_hwaddr_is_io(hardware)) return;
    const uint64_t page = qemu_plugin_hwaddr_phys_addr(hardware) >> 12;
    for (int i = 0; i < kMostPages; i++) {
        if (!pages[i].reads && !pages[i].writes) pages[i].page = page;
        if (pages[i].page != page) continue;
        if (qemu_plugin_mem_is_store(what))
            pages[i].writes++;
        else
            pages[i].reads++;
        return;
    }
}

static enum { kX86, kAarch64, kRiscv, kArm } processor_kind;

static uint32_t word_of(const uint8_t* bytes, size_t size) {
    uint32_t word = 0;
    memcpy(&word, bytes, size < 4 ? size : 4);
    return word;
}

/// The number of a marker; 0 for any other instruction.
static uint32_t marker_number(const uint8_t* bytes, size_t size) {
    const uint32_t word = word_of(bytes, size);
    switch (processor_kind) {
    case kX86:
        if (size != 8 || word != 0x00841f0fu) return 0;
        return (word_of(bytes + 4, 4) & 0xffffff00u) == 0x5ec0de00u ? bytes[4] : 0;
    case kAarch64: return (word & 0xffffe01fu) == 0xf2abc01fu ? word >> 5 & 0xff : 0;
    case kRiscv: return size == 4 && (word & 0xfff00fffu) == 0x5ec00037u ? word >> 12 & 0xff : 0;
    case kArm: return (word & 0xfffffff0u) == 0xe320f0f0u ? word & 15 : 0;
    }
    return 0;
}

/// How the registers of devices are reached: no offset on aarch64, where the leaf has its own assembly; elsewhere plain loads and stores. To watch
/// every instruction would take ten times as long.
static bool risc_may_reach_a_device(uint32_t word, size_t size) {
    switch (processor_kind) {
    case kAarch64: return (word & 0x3f3ffc00u) == 0x39000000u;
    case kRiscv: return size == 4 ? (word & 0x5f) == 0x03 : (word & 3) == 0 && (word >> 13 & 3) != 0 && (word >> 13 & 3) != 1;
    case kArm: return (word & 0x0c000000u) == 0x04000000u || (word & 0x0e000090u) == 0x00000090u;
    default: return false;
    }
}

static bool risc_halts(uint32_t word) {
    return word == (processor_kind == kAarch64 ? 0xd503207fu : processor_kind == kRiscv ? 0x10500073u : 0xe320f003u);
}

static bool risc_returns(uint32_t word) {
    switch (processor_kind) {
    case kAarch64: return word == 0xd69f03e0u;
    case kRiscv: return word == 0x10200073u;
    default: return (word & 0xfe50ffffu) == 0xf8100a00u; // RFE
    }
}

/// MOV, XCHG and MOVZX: how compilers reach device registers. To watch every instruction would take ten times as long.
static bool may_reach_a_device(const uint8_t* code, size_t left) {
    if (left == 0) return false;
    switch (code[0]) {
    case 0x86: case 0x87: case 0x88: case 0x89: case 0x8a: case 0x8b: case 0xa1: case 0xa3: case 0xc6: case 0xc7: return true;
    case 0x0f: return left > 1 && (code[1] == 0xb6 || code[1] == 0xb7);
    default: return false;
    }
}

static void report(const char* kind, uint64_t which) {
    fprintf(file, "%s %#lx instructions %lu repeated %lu in %lu out %lu halt %lu iret %lu", kind, (unsigned long)which,
            (unsigned long)counts.instructions, (unsigned long)counts.repeated, (unsigned long)counts.in, (unsigned long)counts.out,
            (unsigned long)counts.halt, (unsigned long)counts.iret);
    if (mmio) fprintf(file, " mmio");
    for (int i = 0; mmio && i < kMostPages && (pages[i].reads || pages[i].writes); i++)
        fprintf(file, " %lx:%lu:%lu", (unsigned long)pages[i].page, (unsigned long)pages[i].reads, (unsigned long)pages[i].writes);
    fputc('\n', file);
}
static void at_address(unsigned processor, void* which) {
    (void)processor;
    if (profile) follow((uint64_t)which == addresses[0] ? kStart : kEnd);
    report("at", (uint64_t)which);
}
static void at_marker(unsigned processor, void* which) {
    (void)processor;
    if (profile) follow((uint64_t)which);
    report("mark", (uint64_t)which);
    if ((uint64_t)which == kEnd) fflush(file);
}

static bool is_prefix(uint8_t byte) {
    switch (byte) {
    case 0x66: case 0x67: case 0xf2: case 0xf3: case 0xf0: case 0x2e: case 0x3e: case 0x64: case 0x65: return true;
    default: return false;
    }
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb* block) {
    (void)id;
    for (size_t i = 0, count = qemu_plugin_tb_n_insns(block); i < count; i++) {
        struct qemu_plugin_insn* instruction = qemu_plugin_tb_get_insn(block, i);
        const uint8_t* bytes = qemu_plugin_insn_data(instruction);
        const size_t size = qemu_plugin_insn_size(instruction);
        const uint64_t address = qemu_plugin_insn_vaddr(instruction);
        for (int a = 0; a < address_count; a++)
            if (addresses[a] == address) qemu_plugin_register_vcpu_insn_exec_cb(instruction, at_address, kNoRegisters, (void*)address);
        if (marker_number(bytes, size) != 0)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, at_marker, kNoRegisters, (void*)(uintptr_t)marker_number(bytes, size));
        if (profile && processor_kind != kX86)
            qemu_plugin_register_vcpu_insn_exec_inline(instruction, kInlineAdd, &place_of(address)->now, 1);
        if (processor_kind != kX86) {
            const uint32_t word = word_of(bytes, size);
            qemu_plugin_register_vcpu_insn_exec_inline(instruction, kInlineAdd, &counts.instructions, 1);
            if (mmio && risc_may_reach_a_device(word, size))
                qemu_plugin_register_vcpu_mem_cb(instruction, at_memory, kNoRegisters, kReadsAndWrites, NULL);
            uint64_t* what = risc_halts(word) ? &counts.halt : risc_returns(word) ? &counts.iret : NULL;
            if (what) qemu_plugin_register_vcpu_insn_exec_inline(instruction, kInlineAdd, what, 1);
            continue;
        }
        size_t at = 0;
        bool repeat = false;
        for (; at < size && is_prefix(bytes[at]); at++) repeat |= bytes[at] == 0xf2 || bytes[at] == 0xf3;
        if (at < size && (bytes[at] & 0xf0) == 0x40) at++;
        const uint8_t code = at < size ? bytes[at] : 0;
        const bool string = (code >= 0xa4 && code <= 0xa7) || (code >= 0xaa && code <= 0xaf) || (code >= 0x6c && code <= 0x6f);
        // QEMU executes each round of a repeated string instruction as one: they are counted apart.
        qemu_plugin_register_vcpu_insn_exec_inline(instruction, kInlineAdd, repeat && string ? &counts.repeated : &counts.instructions, 1);
        if (profile) qemu_plugin_register_vcpu_insn_exec_inline(instruction, kInlineAdd, &place_of(address)->now, 1);
        if (mmio && may_reach_a_device(bytes + at, size - at))
            qemu_plugin_register_vcpu_mem_cb(instruction, at_memory, kNoRegisters, kReadsAndWrites, NULL);
        uint64_t* also = NULL;
        switch (code) {
        case 0xe4: case 0xe5: case 0xec: case 0xed: also = &counts.in; break;
        case 0xe6: case 0xe7: case 0xee: case 0xef: also = &counts.out; break;
        case 0xf4: also = &counts.halt; break;
        case 0xcf: also = &counts.iret; break;
        default: break;
        }
        if (also) qemu_plugin_register_vcpu_insn_exec_inline(instruction, kInlineAdd, also, 1);
    }
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int count, char** arguments) {
    const char* name = info->target_name;
    processor_kind = !strcmp(name, "aarch64") ? kAarch64 : !strncmp(name, "riscv", 5) ? kRiscv : !strcmp(name, "arm") ? kArm : kX86;
    for (int i = 0; i < count; i++) {
        if (!strncmp(arguments[i], "out=", 4)) file = fopen(arguments[i] + 4, "w");
        if (!strcmp(arguments[i], "mmio=on")) mmio = true;
        if (!strcmp(arguments[i], "profile=on")) profile = true;
        if (!strncmp(arguments[i], "at=", 3) && address_count < kMostAddresses) addresses[address_count++] = strtoull(arguments[i] + 3, NULL, 0);
    }
    if (!file) return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    return 0;
}
