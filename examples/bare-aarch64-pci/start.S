// From reset to main: a stack, memory as C++ expects it, vector registers, caches. Every exception ends the program.
//
// The translation table is not a luxury: with the MMU off all memory is Device memory, where an unaligned access faults and exclusive
// accesses need not work (QEMU up to 8 does not check that; later ones and real processors do). Two blocks of 1 GiB, each mapped to itself:
// devices, then RAM.
    .arch armv8-a

    .section .text.start, "ax"
    .global start
start:
    msr     daifset, #15
    adrp    x0, stack_top
    add     x0, x0, :lo12:stack_top
    mov     sp, x0
    adr     x0, vectors
    msr     vbar_el1, x0
    mov     x0, #(3 << 20)              // FPEN: the compiler copies with vector registers
    msr     cpacr_el1, x0
    isb

    adrp    x0, bss_begin
    add     x0, x0, :lo12:bss_begin
    adrp    x1, bss_end
    add     x1, x1, :lo12:bss_end
1:  cmp     x0, x1
    b.hs    2f
    str     xzr, [x0], #8
    b       1b

2:  mov     x0, #0xff00                 // MAIR: 0 is Device-nGnRnE, 1 is Normal, write-back
    msr     mair_el1, x0
    ldr     x0, =(25 | (1 << 8) | (1 << 10) | (3 << 12) | (1 << 23) | (1 << 32)) // 39 bits, cached and shareable walks, no TTBR1, 36 bits out
    msr     tcr_el1, x0
    adrp    x0, translation_table
    msr     ttbr0_el1, x0
    tlbi    vmalle1
    ic      iallu
    dsb     sy
    isb
    mrs     x0, sctlr_el1
    mov     x1, #((1 << 12) | (1 << 2) | 1)     // instruction cache, data cache, MMU
    orr     x0, x0, x1
    msr     sctlr_el1, x0
    isb

    bl      bare_main                   // returns the status
    // Falls into bare_exit.

// void bare_exit(int status): semihosting, SYS_EXIT. QEMU ends with that status.
    .global bare_exit
bare_exit:
    ldr     x1, =0x20026                // ADP_Stopped_ApplicationExit
    sxtw    x2, w0
    stp     x1, x2, [sp, #-16]!
    mov     x1, sp
    mov     x0, #0x18
    hlt     #0xf000
3:  wfi
    b       3b

    .balign 2048
vectors:
    .rept   16
    .balign 128
    b       fault
    .endr
fault:
    adrp    x0, stack_top
    add     x0, x0, :lo12:stack_top
    mov     sp, x0
    mov     w0, #99
    b       bare_exit

    .section .rodata.table, "a"
    .balign 4096
translation_table:
    .quad   0x0060000000000401          // 0: Device, read and write, execute never, accessed
    .quad   0x0000000040000705          // 1 GiB: Normal, inner shareable, accessed
    .fill   510, 8, 0
