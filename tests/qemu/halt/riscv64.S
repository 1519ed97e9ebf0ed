// Says "H" on the 16550 and halts: what QEMU logs against it is the firmware's doing.
    .section .text, "ax"
    .globl start
start:
    li      t0, 0x10000000
    li      t1, 'H'
    sb      t1, 0(t0)
1:  wfi
    j       1b
