// An image that only halts: what QEMU logs against it (-d guest_errors) is the firmware's doing, not ours. Says "H" on the 16550 first.
    .code32
    .section .note.pvh, "a", @note
    .long 4, 4, 18                      // name size, descriptor size, XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long start

    .section .text, "ax"
    .globl start
start:
    mov $0x3f8, %dx
    mov $'H', %al
    out %al, %dx
1:  cli
    hlt
    jmp 1b
