// void ringside_switch_context(Context& from, Context& to): the layout that it pushes is the one that make_context() builds.
    .section .text.ringside_switch_context, "ax", @progbits
    .globl ringside_switch_context
    .type ringside_switch_context, @function
ringside_switch_context:
    pushq %rbp
    movq %rsp, %rbp                 // a frame, so that a backtrace can walk from a suspended task
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $16, %rsp
    stmxcsr 8(%rsp)
    fnstcw (%rsp)
    movq %rsp, (%rdi)
    movq (%rsi), %rsp
    fldcw (%rsp)
    ldmxcsr 8(%rsp)
    addq $16, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size ringside_switch_context, . - ringside_switch_context

// First instructions of a new task: r12 = entry, r13 = argument, rbp = 0 (end of the backtrace).
    .section .text.ringside_task_start, "ax", @progbits
    .globl ringside_task_start
    .type ringside_task_start, @function
ringside_task_start:
    movq %r13, %rdi
    call *%r12
    call ringside_task_returned
    ud2
    .size ringside_task_start, . - ringside_task_start

    .section .note.GNU-stack, "", @progbits
