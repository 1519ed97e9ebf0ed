// Where another processor begins, in 16 bits: copied to a page below 1 MiB, whose number the start-up message carries. Everything is found
// from the page's own address; what it cannot know (tables, control registers, stack, entry) stands in a structure of the starter's, below
// 4 GiB. Its address, and the page's in the two far jumps, are patched in (arch/x86_64/processors.cpp).
    .section .rodata.ringside_trampoline, "a", @progbits
    .balign 16
    .globl ringside_trampoline, ringside_trampoline_end, ringside_trampoline_fields
    .globl ringside_trampoline_jump32, ringside_trampoline_jump64, ringside_trampoline_gdt

    .code16
ringside_trampoline:
    cli
    movw %cs, %ax
    movw %ax, %ds
    movzwl %ax, %ebx
    shll $4, %ebx                               // the page's address
    lgdtl gdt_pointer - ringside_trampoline
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    .byte 0x66, 0xea                            // ljmpl $0x08, $protected_mode
ringside_trampoline_jump32:
    .long protected_mode - ringside_trampoline  // plus the page's address
    .word 0x08

    .code32
protected_mode:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    .byte 0xba                                  // movl $fields, %edx
ringside_trampoline_fields:
    .long 0                                     // patched: the structure's address
    movl 8(%edx), %eax
    movl %eax, %cr4
    movl 16(%edx), %eax
    movl %eax, %cr3
    movl %edx, %esi
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x900, %eax                            // long mode, no-execute
    wrmsr
    movl 0(%esi), %eax
    movl %eax, %cr0
    .byte 0xea                                  // ljmp $0x18, $long_mode
ringside_trampoline_jump64:
    .long long_mode - ringside_trampoline       // plus the page's address
    .word 0x18

    .code64
long_mode:
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    movl %eax, %gs
    movl %esi, %esi
    movq 24(%rsi), %rsp
    movq 32(%rsi), %rax
    movq 40(%rsi), %rdi
    fninit
    pushq $0x1f80
    ldmxcsr (%rsp)
    popq %rcx
    xorl %ebp, %ebp
    call *%rax
    ud2

    .balign 8
ringside_trampoline_gdt:
    .quad 0
    .quad 0x00cf9b000000ffff                    // 0x08: code, 32 bit
    .quad 0x00cf93000000ffff                    // 0x10: data
    .quad 0x00af9b000000ffff                    // 0x18: code, 64 bit
gdt_pointer:
    .word 4 * 8 - 1
    .long ringside_trampoline_gdt - ringside_trampoline // plus the page's address
ringside_trampoline_end:

    .section .note.GNU-stack, "", @progbits
