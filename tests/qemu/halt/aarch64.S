// Says "H" on the PL011 and halts: what QEMU logs against it is the firmware's doing.
    .section .text, "ax"
    .globl start
start:
    mov     x0, #0x09000000
    mov     w1, #'H'
    str     w1, [x0]
1:  wfi
    b       1b
