// The vector table and its two ways on: exceptions save everything, on a stack of their own, and do not come back; interrupts save what a
// C++ function may change, general registers only (handlers are compiled so), on the stack of whoever was interrupted, and return.

#define MODE_FIQ 0x11
#define MODE_IRQ 0x12
#define MODE_SUPERVISOR 0x13
#define MODE_ABORT 0x17
#define MODE_UNDEFINED 0x1b
#define MODE_MASK 0x1f
#define MASKED 0xc0
#define THUMB 0x20
#define SEMIHOSTING_CALL 0xef123456

    .arch_extension virt
    .arch_extension sec

    .section .text.ringside_vectors, "ax", %progbits
    .globl ringside_vectors
    .type ringside_vectors, %function
    .balign 32
ringside_vectors:
    b .                                 // reset: never taken from here
    b undefined_entry
    b supervisor_call_entry
    b prefetch_abort_entry
    b data_abort_entry
    b .                                 // a hypervisor's
    b interrupt_entry
    b fast_interrupt_entry

// A frame as machine/frame.hpp has it, from its end: cpsr and pc, vector, lr, sp, r12..r0. `back` is how far lr is behind the instruction.
    .macro exception_entry, vector, back
    .if \back
    sub lr, lr, #\back
    .endif
    sub sp, sp, #72
    str lr, [sp, #64]
    stmia sp, {r0-r12}
    mov r0, #\vector
    b exception_common
    .endm

undefined_entry:
    // In ARM state; the two bytes' difference in Thumb state do not matter.
    exception_entry 0x04, 4

// Semihosting where nobody listens: the call does nothing. Any other supervisor call is a mistake.
supervisor_call_entry:
    push {r0, r1}
    ldr r0, [lr, #-4]
    ldr r1, =SEMIHOSTING_CALL
    cmp r0, r1
    pop {r0, r1}
    moveqs pc, lr
    exception_entry 0x08, 4

prefetch_abort_entry:
    exception_entry 0x0c, 4

data_abort_entry:
    exception_entry 0x10, 8

fast_interrupt_entry:
    exception_entry 0x1c, 4

    .ltorg
    .type exception_common, %function
exception_common:
    str r0, [sp, #60]
    mrs r1, spsr
    str r1, [sp, #68]
    // The interrupted mode's stack pointer and link register.
    mrs r2, cpsr
    and r3, r1, #MODE_MASK
    orr r3, r3, #MASKED
    msr cpsr_c, r3
    mov r4, sp
    mov r5, lr
    msr cpsr_c, r2
    str r4, [sp, #52]
    str r5, [sp, #56]
    mov r0, sp
    bic sp, sp, #7
    mov r11, #0
    bl kernel_exception
    udf #0
    .size exception_common, . - exception_common

    .type interrupt_entry, %function
interrupt_entry:
    sub lr, lr, #4
    srsdb sp!, #MODE_SUPERVISOR
    cps #MODE_SUPERVISOR
    push {r0-r3, r12, lr}
    and r1, sp, #4                      // calls want 8 bytes of alignment, code between calls does not keep it
    sub sp, sp, r1
    push {r1, r2}
    bl ringside_interrupt
    pop {r1, r2}
    add sp, sp, r1
    clrex                               // whoever was between ldrex and strex has been interrupted
    pop {r0-r3, r12, lr}
    rfeia sp!
    .size interrupt_entry, . - interrupt_entry
    .size ringside_vectors, . - ringside_vectors

// void ringside_start_vectors(void* abort_stack, void* undefined_stack, void* fast_stack)
    .section .text.ringside_start_vectors, "ax", %progbits
    .globl ringside_start_vectors
    .type ringside_start_vectors, %function
ringside_start_vectors:
    mrs r3, cpsr
    cps #MODE_ABORT
    mov sp, r0
    cps #MODE_UNDEFINED
    mov sp, r1
    cps #MODE_FIQ
    mov sp, r2
    msr cpsr_c, r3
    ldr r3, =ringside_vectors
    mcr p15, 0, r3, c12, c0, 0          // VBAR
    isb
    cpsie a                             // asynchronous aborts are reported from here on
    bx lr
    .ltorg
    .size ringside_start_vectors, . - ringside_start_vectors

// std::intptr_t ringside_hypervisor_call(function, a, b, c), ringside_secure_call(...): what is called may change r0 to r3 only.
    .section .text.ringside_hypervisor_call, "ax", %progbits
    .globl ringside_hypervisor_call
    .type ringside_hypervisor_call, %function
ringside_hypervisor_call:
    hvc #0
    bx lr
    .size ringside_hypervisor_call, . - ringside_hypervisor_call

    .section .text.ringside_secure_call, "ax", %progbits
    .globl ringside_secure_call
    .type ringside_secure_call, %function
ringside_secure_call:
    smc #0
    bx lr
    .size ringside_secure_call, . - ringside_secure_call

// std::intptr_t ringside_semihosting(operation, parameters): a supervisor call changes this mode's lr and spsr.
    .section .text.ringside_semihosting, "ax", %progbits
    .globl ringside_semihosting
    .type ringside_semihosting, %function
ringside_semihosting:
    push {r4, lr}
    mrs r4, spsr
    svc #0x123456
    msr spsr_cxsf, r4
    pop {r4, pc}
    .size ringside_semihosting, . - ringside_semihosting

    .section .note.GNU-stack, "", %progbits
