// The trap vector (stvec in vectored mode): exceptions enter at its start, interrupt n at 4 * n. Exceptions save everything, on a stack of
// their own because the cause may be that the stack is full, and do not come back; interrupts save on the interrupted stack what a C++
// function may change, general registers only (handlers touch no others), and return.

#define FRAME (36 * 8)
#define INTERRUPT_FRAME (18 * 8)

    .section .text.ringside_trap_vector, "ax", @progbits
    .globl ringside_trap_vector
    .type ringside_trap_vector, @function
    .balign 256                         // more than some processors want of their vector
    .option push
    .option norvc
ringside_trap_vector:
    j exception_common
    .rept 15
    j interrupt_common
    .endr
    .option pop
    .size ringside_trap_vector, . - ringside_trap_vector

    .type exception_common, @function
exception_common:
    csrrw sp, sscratch, sp              // the exception stack; sscratch: the stack of what failed
    addi sp, sp, -FRAME
    sd x1, 1*8(sp)
    sd x3, 3*8(sp)
    sd x4, 4*8(sp)
    sd x5, 5*8(sp)
    sd x6, 6*8(sp)
    sd x7, 7*8(sp)
    sd x8, 8*8(sp)
    sd x9, 9*8(sp)
    sd x10, 10*8(sp)
    sd x11, 11*8(sp)
    sd x12, 12*8(sp)
    sd x13, 13*8(sp)
    sd x14, 14*8(sp)
    sd x15, 15*8(sp)
    sd x16, 16*8(sp)
    sd x17, 17*8(sp)
    sd x18, 18*8(sp)
    sd x19, 19*8(sp)
    sd x20, 20*8(sp)
    sd x21, 21*8(sp)
    sd x22, 22*8(sp)
    sd x23, 23*8(sp)
    sd x24, 24*8(sp)
    sd x25, 25*8(sp)
    sd x26, 26*8(sp)
    sd x27, 27*8(sp)
    sd x28, 28*8(sp)
    sd x29, 29*8(sp)
    sd x30, 30*8(sp)
    sd x31, 31*8(sp)
    ld t0, FRAME(sp)                    // for an exception while this one is being reported: its stack's name stands at the end of this one
    csrrw t1, sscratch, t0
    sd t1, 2*8(sp)
    csrr t0, sepc
    sd t0, 32*8(sp)
    csrr t0, scause
    sd t0, 33*8(sp)
    csrr t0, stval
    sd t0, 34*8(sp)
    csrr t0, sstatus
    sd t0, 35*8(sp)
    mv a0, sp
    li s0, 0                            // end of the backtrace
    call kernel_exception
    unimp
    .size exception_common, . - exception_common

    .type interrupt_common, @function
interrupt_common:
    addi sp, sp, -INTERRUPT_FRAME
    sd s0, 16*8(sp)
    sd t0, 15*8(sp)
    csrr t0, sepc                       // where a return address stands in a frame: backtraces go on into what was interrupted
    sd t0, 17*8(sp)
    addi s0, sp, INTERRUPT_FRAME
    sd ra, 0*8(sp)
    sd t1, 1*8(sp)
    sd t2, 2*8(sp)
    sd t3, 3*8(sp)
    sd t4, 4*8(sp)
    sd t5, 5*8(sp)
    sd t6, 6*8(sp)
    sd a0, 7*8(sp)
    sd a1, 8*8(sp)
    sd a2, 9*8(sp)
    sd a3, 10*8(sp)
    sd a4, 11*8(sp)
    sd a5, 12*8(sp)
    sd a6, 13*8(sp)
    sd a7, 14*8(sp)
    csrr a0, scause
    call ringside_interrupt
    ld ra, 0*8(sp)
    ld t1, 1*8(sp)
    ld t2, 2*8(sp)
    ld t3, 3*8(sp)
    ld t4, 4*8(sp)
    ld t5, 5*8(sp)
    ld t6, 6*8(sp)
    ld a0, 7*8(sp)
    ld a1, 8*8(sp)
    ld a2, 9*8(sp)
    ld a3, 10*8(sp)
    ld a4, 11*8(sp)
    ld a5, 12*8(sp)
    ld a6, 13*8(sp)
    ld a7, 14*8(sp)
    ld t0, 15*8(sp)
    ld s0, 16*8(sp)
    addi sp, sp, INTERRUPT_FRAME
    sret
    .size interrupt_common, . - interrupt_common

    .section .note.GNU-stack, "", @progbits
