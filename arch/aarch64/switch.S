// void ringside_switch_context(Context& from, Context& to): the layout that it stores is the one that make_context() builds.
    .section .text.ringside_switch_context, "ax", @progbits
    .globl ringside_switch_context
    .type ringside_switch_context, @function
ringside_switch_context:
    stp x29, x30, [sp, #-176]!          // a frame, so that a backtrace can walk from a suspended task
    mov x29, sp
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
    stp x25, x26, [sp, #64]
    stp x27, x28, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mrs x9, fpcr
    str x9, [sp, #160]
    mov x10, sp
    str x10, [x0]
    ldr x10, [x1]
    mov sp, x10
    ldr x11, [sp, #160]
    cmp x9, x11                         // hardly ever another one, and writing it may cost a flush
    b.eq 1f
    msr fpcr, x11
1:  ldp x19, x20, [sp, #16]
    ldp x21, x22, [sp, #32]
    ldp x23, x24, [sp, #48]
    ldp x25, x26, [sp, #64]
    ldp x27, x28, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    ldp x29, x30, [sp], #176
    ret
    .size ringside_switch_context, . - ringside_switch_context

// First instructions of a new task: x19 = entry, x20 = argument, x29 = 0 (end of the backtrace).
    .section .text.ringside_task_start, "ax", @progbits
    .globl ringside_task_start
    .type ringside_task_start, @function
ringside_task_start:
    mov x0, x20
    blr x19
    bl ringside_task_returned
    brk #1
    .size ringside_task_start, . - ringside_task_start

    .section .note.GNU-stack, "", @progbits
