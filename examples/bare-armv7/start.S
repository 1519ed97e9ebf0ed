// From reset to main: a stack, memory as C++ expects it, caches. Every exception ends the program.
//
// The translation table is not a luxury. With the MMU off an ARM processor takes all memory for Device memory, where an unaligned access
// faults and exclusive accesses need not work. QEMU up to 8 does not check that, later ones and real processors do. So: one level of
// sections of 1 MiB, each mapped to itself; RAM is Normal memory, everything below it Device memory.
    .arch armv7-a
    .arch_extension virt
    .syntax unified
    .arm

    .section .text.start, "ax"
    .global start
start:
    cpsid   aif
    ldr     sp, =stack_top
    ldr     r0, =vectors
    mcr     p15, 0, r0, c12, c0, 0      // VBAR

    ldr     r0, =bss_begin
    ldr     r1, =bss_end
    mov     r2, #0
1:  cmp     r0, r1
    strlo   r2, [r0], #4
    blo     1b

    ldr     r0, =translation_table
    mov     r1, #0                      // index of a section
    movw    r3, #0x0c16                 // section, Device (TEX 000 C 0 B 1), full access, execute never
    movw    r4, #0x1c0e                 // section, Normal, write-back, write-allocate (TEX 001 C 1 B 1), full access
    movt    r4, #0x0001                 // ... shareable
2:  lsl     r2, r1, #20
    cmp     r1, #0x400                  // RAM begins at 1 GiB
    orrlo   r2, r2, r3
    orrhs   r2, r2, r4
    str     r2, [r0, r1, lsl #2]
    add     r1, r1, #1
    cmp     r1, #0x800                  // 2 GiB are enough; what is beyond stays unmapped
    blo     2b
    mov     r2, #0
3:  str     r2, [r0, r1, lsl #2]
    add     r1, r1, #1
    cmp     r1, #0x1000
    blo     3b

    orr     r0, r0, #0x4a               // walks are shareable and cached
    mcr     p15, 0, r0, c2, c0, 0       // TTBR0
    mov     r0, #0
    mcr     p15, 0, r0, c2, c0, 2       // TTBCR: short descriptors
    mcr     p15, 0, r0, c8, c7, 0       // TLBIALL
    mcr     p15, 0, r0, c7, c5, 0       // ICIALLU
    mov     r0, #1
    mcr     p15, 0, r0, c3, c0, 0       // DACR: permissions are checked
    dsb
    isb
    mrc     p15, 0, r0, c1, c0, 0       // SCTLR
    orr     r0, r0, #0x1000             // instruction cache
    orr     r0, r0, #0x0005             // data cache, MMU
    bic     r0, r0, #0x0002             // unaligned accesses are allowed
    mcr     p15, 0, r0, c1, c0, 0
    isb

    blx     bare_main                      // returns the status
    // Falls into bare_exit.

// void bare_exit(int status): semihosting, SYS_EXIT_EXTENDED. QEMU ends with that status.
    .global bare_exit
    .type bare_exit, %function
bare_exit:
    ldr     r2, =0x20026                // ADP_Stopped_ApplicationExit
    push    {r0}
    push    {r2}
    mov     r1, sp
    mov     r0, #0x20
    svc     #0x123456
4:  wfi
    b       4b

    .balign 32
vectors:
    .rept   8
    b       fault
    .endr
fault:
    ldr     sp, =stack_top
    mov     r0, #99
    b       bare_exit
