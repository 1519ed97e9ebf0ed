// Where another processor begins: translation and caches off, r0 = the Fields of processors.cpp, in the mode that the first one began in. Its
// code stands at the same address with translation and without.
    .section .text.ringside_secondary_entry, "ax", %progbits
    .globl ringside_secondary_entry
    .type ringside_secondary_entry, %function
ringside_secondary_entry:
    mov r10, r0
    bl ringside_to_supervisor
    ldm r10, {r0-r6}                    // MAIR0, TTBCR, TTBR0, SCTLR, stack, entry, argument
    mov r7, #0
    mcr p15, 0, r7, c7, c5, 0           // ICIALLU
    mcr p15, 0, r7, c7, c5, 6           // BPIALL
    mcr p15, 0, r7, c8, c7, 0           // TLBIALL
    mcr p15, 0, r0, c10, c2, 0
    mcr p15, 0, r7, c10, c2, 1
    mcr p15, 0, r1, c2, c0, 2
    mcrr p15, 0, r2, r7, c2
    dsb
    isb
    mcr p15, 0, r3, c1, c0, 0
    isb
    mrc p15, 0, r0, c1, c0, 2           // vector registers
    orr r0, r0, #0xf00000
    mcr p15, 0, r0, c1, c0, 2
    isb
    mov r0, #0x40000000
    vmsr fpexc, r0
    vmsr fpscr, r7
    mov sp, r4
    mov r0, r6
    mov r11, #0
    blx r5
    udf #0
    .size ringside_secondary_entry, . - ringside_secondary_entry

    .section .note.GNU-stack, "", %progbits
