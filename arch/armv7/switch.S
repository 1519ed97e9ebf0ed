// void ringside_switch_context(Context& from, Context& to): the layout that it pushes is the one that make_context() builds.
    .section .text.ringside_switch_context, "ax", %progbits
    .globl ringside_switch_context
    .type ringside_switch_context, %function
ringside_switch_context:
    push {r4-r11, lr}
    add r11, sp, #32                    // a frame, so that a backtrace can walk from a suspended task
    vpush {d8-d15}
    vmrs r2, fpscr
    push {r2}
    str sp, [r0]
    ldr sp, [r1]
    pop {r2}
    vmsr fpscr, r2
    vpop {d8-d15}
    pop {r4-r11, pc}
    .size ringside_switch_context, . - ringside_switch_context

// First instructions of a new task: r4 = entry, r5 = argument, r11 = 0 (end of the backtrace).
    .section .text.ringside_task_start, "ax", %progbits
    .globl ringside_task_start
    .type ringside_task_start, %function
ringside_task_start:
    mov r0, r5
    blx r4
    bl ringside_task_returned
    udf #0
    .size ringside_task_start, . - ringside_task_start

    .section .note.GNU-stack, "", %progbits
