// Where another processor begins: MMU off, x0 = the Fields of processors.cpp, in the exception level that the first one began in. Its code stands
// at the same address with the MMU on and off.
    .section .text.ringside_secondary_entry, "ax", @progbits
    .globl ringside_secondary_entry
    .type ringside_secondary_entry, @function
ringside_secondary_entry:
    mov x20, x0
    msr daifset, #15
    bl ringside_to_el1
    ldp x0, x1, [x20]
    msr mair_el1, x0
    msr tcr_el1, x1
    ldp x0, x1, [x20, #16]
    msr ttbr0_el1, x0
    msr ttbr1_el1, x1
    dsb sy
    isb
    tlbi vmalle1
    ic iallu
    dsb sy
    isb
    ldp x0, x1, [x20, #32]              // and the stack
    msr sctlr_el1, x0
    isb
    mov x0, #(3 << 20)                  // vector registers
    msr cpacr_el1, x0
    isb
    msr fpcr, xzr
    msr spsel, #0                       // everything but exceptions runs on SP_EL0
    mov sp, x1
    ldp x1, x0, [x20, #48]
    mov x29, #0
    mov x30, #0
    blr x1
    brk #1
    .size ringside_secondary_entry, . - ringside_secondary_entry

    .section .note.GNU-stack, "", @progbits
