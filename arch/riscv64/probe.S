// bool ringside_can_read_stimecmp(): whether the firmware lets supervisor mode at that register. If not, the read is an exception, which is
// caught here. Task context.
    .section .text.ringside_can_read_stimecmp, "ax", @progbits
    .globl ringside_can_read_stimecmp
    .type ringside_can_read_stimecmp, @function
ringside_can_read_stimecmp:
    csrrci t2, sstatus, 2               // no interrupt may come meanwhile; an exception changes more of it
    la t0, 1f
    csrrw t0, stvec, t0
    li a0, 0
    csrr t1, 0x14d
    li a0, 1
    .balign 4
1:  csrw stvec, t0
    csrw sstatus, t2
    ret
    .size ringside_can_read_stimecmp, . - ringside_can_read_stimecmp

    .section .note.GNU-stack, "", @progbits
