// 256 entry stubs of 16 bytes each, and the two ways on: exceptions save everything and do not come back; device interrupts save
// what a C++ function may change, general registers only (handlers are compiled -mgeneral-regs-only), and return.

    .section .text.ringside_interrupt_stubs, "ax", @progbits
    .globl ringside_interrupt_stubs
    .type ringside_interrupt_stubs, @function
    .balign 16
ringside_interrupt_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    .if vector < 32
        // The processor pushes an error code for these: 8, 10-14, 17, 21, 29, 30.
        .if !((1 << vector) & 0x60227d00)
            pushq $0
        .endif
        pushq $vector
        jmp exception_common
    .else
        pushq $vector
        jmp interrupt_common
    .endif
    .set vector, vector + 1
    .endr
    .size ringside_interrupt_stubs, . - ringside_interrupt_stubs

    .type exception_common, @function
exception_common:
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %cr2, %rax
    pushq %rax
    pushq $0                            // for the alignment: 24 words since the processor aligned the stack
    cld
    movq %rsp, %rdi
    call kernel_exception
    ud2
    .size exception_common, . - exception_common

    .type interrupt_common, @function
interrupt_common:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %rbp                          // not needed by the callee, but by the stack's alignment
    movl 80(%rsp), %edi
    cld
    call ringside_interrupt
    popq %rbp
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rax
    addq $8, %rsp
    iretq
    .size interrupt_common, . - interrupt_common

    .section .note.GNU-stack, "", @progbits
