// The vectors. The kernel's code runs on SP_EL0 ("SP0"), and the processor changes to SP_EL1 by itself for every exception: a full task
// stack is reported like anything else, and interrupts need no room on it. Exceptions save everything and do not come back; interrupts save
// what a C++ function may change, general registers only (handlers are compiled -mgeneral-regs-only), and return.
// An exception within one starts anew on a stack of its own: the one that it happened on may be the cause.

    .equ FRAME, 304                     // struct ExceptionFrame

    // All registers but sp, elr, spsr, which the caller adds; x0 and x1 are free then.
    .macro save_registers
    sub sp, sp, #FRAME
    stp x0, x1, [sp]
    stp x2, x3, [sp, #16]
    stp x4, x5, [sp, #32]
    stp x6, x7, [sp, #48]
    stp x8, x9, [sp, #64]
    stp x10, x11, [sp, #80]
    stp x12, x13, [sp, #96]
    stp x14, x15, [sp, #112]
    stp x16, x17, [sp, #128]
    stp x18, x19, [sp, #144]
    stp x20, x21, [sp, #160]
    stp x22, x23, [sp, #176]
    stp x24, x25, [sp, #192]
    stp x26, x27, [sp, #208]
    stp x28, x29, [sp, #224]
    .endm

    .macro exception_entry kind
    .balign 128
    save_registers
    mov x1, #\kind
    b exception_common
    .endm

    .macro nested_entry kind
    .balign 128
    msr tpidrro_el0, x0                 // two registers of 64 bits that nobody uses: the second is of the physical timer, which is off
    mov x0, sp
    msr cntp_cval_el0, x0
    mrs x0, tpidr_el1                   // this processor's second stack (exception_stacks.cpp)
    mov sp, x0
    mrs x0, tpidrro_el0
    save_registers
    mov x1, #\kind
    b nested_common
    .endm

    .section .text.ringside_vectors, "ax", @progbits
    .globl ringside_vectors
    .type ringside_vectors, @function
    .balign 2048
ringside_vectors:
    // On SP_EL0.
    exception_entry 0
    .balign 128
    b interrupt_entry
    exception_entry 2
    exception_entry 3
    // On SP_EL1.
    nested_entry 0
    nested_entry 1
    nested_entry 2
    nested_entry 3
    // From user programs, of which there are none.
    .rept 2
    nested_entry 0
    nested_entry 1
    nested_entry 2
    nested_entry 3
    .endr
    .balign 128
    .size ringside_vectors, . - ringside_vectors

    .type exception_common, @function
exception_common:
    mrs x0, sp_el0
    b 1f
nested_common:
    mrs x0, cntp_cval_el0
1:  stp x30, x0, [sp, #240]
    str x1, [sp, #288]
    mrs x0, elr_el1
    mrs x1, spsr_el1
    stp x0, x1, [sp, #256]
    mrs x0, esr_el1
    mrs x1, far_el1
    stp x0, x1, [sp, #272]
    mov x0, sp
    bl kernel_exception
    brk #1
    .size exception_common, . - exception_common

    .type interrupt_entry, @function
interrupt_entry:
    sub sp, sp, #176
    stp x0, x1, [sp, #16]
    stp x2, x3, [sp, #32]
    stp x4, x5, [sp, #48]
    stp x6, x7, [sp, #64]
    stp x8, x9, [sp, #80]
    stp x10, x11, [sp, #96]
    stp x12, x13, [sp, #112]
    stp x14, x15, [sp, #128]
    stp x16, x17, [sp, #144]
    stp x18, x30, [sp, #160]
    mrs x0, elr_el1                     // a frame, so that a backtrace goes on in what was interrupted
    stp x29, x0, [sp]
    mov x29, sp
    bl ringside_interrupt               // interrupts stay off: ELR and SPSR need no place
    ldr x29, [sp]
    ldp x18, x30, [sp, #160]
    ldp x16, x17, [sp, #144]
    ldp x14, x15, [sp, #128]
    ldp x12, x13, [sp, #112]
    ldp x10, x11, [sp, #96]
    ldp x8, x9, [sp, #80]
    ldp x6, x7, [sp, #64]
    ldp x4, x5, [sp, #48]
    ldp x2, x3, [sp, #32]
    ldp x0, x1, [sp, #16]
    add sp, sp, #176
    eret
    .size interrupt_entry, . - interrupt_entry

    .section .note.GNU-stack, "", @progbits
