// void ringside_switch_context(Context& from, Context& to): the layout that it stores is the one that make_context() builds.
// The frame ends with s0 and ra, as every function's does, so that a backtrace can walk from a suspended task.
#define FRAME (26 * 8)
    .section .text.ringside_switch_context, "ax", @progbits
    .globl ringside_switch_context
    .type ringside_switch_context, @function
ringside_switch_context:
    addi sp, sp, -FRAME
    sd ra, 25*8(sp)
    sd s0, 24*8(sp)
    addi s0, sp, FRAME
    sd s1, 23*8(sp)
    sd s2, 22*8(sp)
    sd s3, 21*8(sp)
    sd s4, 20*8(sp)
    sd s5, 19*8(sp)
    sd s6, 18*8(sp)
    sd s7, 17*8(sp)
    sd s8, 16*8(sp)
    sd s9, 15*8(sp)
    sd s10, 14*8(sp)
    sd s11, 13*8(sp)
    frcsr t0
    sd t0, 12*8(sp)
    fsd fs0, 0*8(sp)
    fsd fs1, 1*8(sp)
    fsd fs2, 2*8(sp)
    fsd fs3, 3*8(sp)
    fsd fs4, 4*8(sp)
    fsd fs5, 5*8(sp)
    fsd fs6, 6*8(sp)
    fsd fs7, 7*8(sp)
    fsd fs8, 8*8(sp)
    fsd fs9, 9*8(sp)
    fsd fs10, 10*8(sp)
    fsd fs11, 11*8(sp)
    sd sp, (a0)
    ld sp, (a1)
    fld fs0, 0*8(sp)
    fld fs1, 1*8(sp)
    fld fs2, 2*8(sp)
    fld fs3, 3*8(sp)
    fld fs4, 4*8(sp)
    fld fs5, 5*8(sp)
    fld fs6, 6*8(sp)
    fld fs7, 7*8(sp)
    fld fs8, 8*8(sp)
    fld fs9, 9*8(sp)
    fld fs10, 10*8(sp)
    fld fs11, 11*8(sp)
    ld t0, 12*8(sp)
    fscsr t0
    ld s11, 13*8(sp)
    ld s10, 14*8(sp)
    ld s9, 15*8(sp)
    ld s8, 16*8(sp)
    ld s7, 17*8(sp)
    ld s6, 18*8(sp)
    ld s5, 19*8(sp)
    ld s4, 20*8(sp)
    ld s3, 21*8(sp)
    ld s2, 22*8(sp)
    ld s1, 23*8(sp)
    ld s0, 24*8(sp)
    ld ra, 25*8(sp)
    addi sp, sp, FRAME
    ret
    .size ringside_switch_context, . - ringside_switch_context

// First instructions of a new task: s1 = entry, s2 = argument, s0 = 0 (end of the backtrace).
    .section .text.ringside_task_start, "ax", @progbits
    .globl ringside_task_start
    .type ringside_task_start, @function
ringside_task_start:
    mv a0, s2
    jalr s1
    call ringside_task_returned
    unimp
    .size ringside_task_start, . - ringside_task_start

    .section .note.GNU-stack, "", @progbits
