// Two changes that the processor must not watch: while they happen, translation is off. All code runs at addresses that are the same with
// and without it, from registers alone; interrupts are off. The architecture wants it so because an old and a new entry with pages of
// different sizes must never be in the TLB together (ARM DDI 0406C, B3.10.1), and there is no second map to run on meanwhile.
#include "arch/armv7/translation.hpp"

#define SCTLR_M 0x1

    .macro translation_off, control, scratch
    mrs r12, cpsr
    cpsid if
    mrc p15, 0, \control, c1, c0, 0
    bic \scratch, \control, #SCTLR_M
    dsb
    mcr p15, 0, \scratch, c1, c0, 0
    isb
    .endm

    .macro translation_on, control, scratch
    dsb
    mov \scratch, #0
    mcr p15, 0, \scratch, c8, c7, 0     // TLBIALL
    mcr p15, 0, \scratch, c7, c5, 6     // BPIALL
    dsb
    isb
    mcr p15, 0, \control, c1, c0, 0
    isb
    msr cpsr_c, r12
    .endm

// void ringside_replace_entry(std::uint64_t* entry, std::uint64_t value): r0, r2:r3. With translation off the store goes past the cache, which
// must have no copy of the line, neither an older nor (read ahead meanwhile) an equally old one.
    .section .text.ringside_replace_entry, "ax", %progbits
    .globl ringside_replace_entry
    .type ringside_replace_entry, %function
ringside_replace_entry:
    push {r4, lr}
    dsb
    mcr p15, 0, r0, c7, c14, 1          // DCCIMVAC
    translation_off r1, r4
    strd r2, r3, [r0]
    dsb
    mcr p15, 0, r0, c7, c6, 1           // DCIMVAC
    translation_on r1, r4
    pop {r4, pc}
    .size ringside_replace_entry, . - ringside_replace_entry

// void ringside_use_root(std::uint32_t root, std::uint32_t control): the tables, and bits to set in the system control register.
    .section .text.ringside_use_root, "ax", %progbits
    .globl ringside_use_root
    .type ringside_use_root, %function
ringside_use_root:
    translation_off r2, r3
    orr r2, r2, r1
    mov r3, #0
    mcrr p15, 0, r0, r3, c2             // TTBR0
    isb
    translation_on r2, r3
    bx lr
    .size ringside_use_root, . - ringside_use_root

    .section .note.GNU-stack, "", %progbits
