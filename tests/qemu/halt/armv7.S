// Says "H" on the PL011 and halts: what QEMU logs against it is the firmware's doing.
    .section .text, "ax"
    .globl start
start:
    .arm
    mov     r0, #0x09000000
    mov     r1, #'H'
    str     r1, [r0]
1:  wfi
    b       1b
