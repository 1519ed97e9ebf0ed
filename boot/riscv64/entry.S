// Where the SBI firmware enters: supervisor mode, translation off, a0 = number of this hart, a1 = physical address of the device tree.
// From here: an early identity map, floating point, a value for the stack guard, and C++ on the boot stack. The image begins with the
// header that loaders of Linux kernels want of a raw file; its first bytes are an instruction, so that an ELF file begins alike.

#define SSTATUS_SIE 0x2
#define SSTATUS_FS_INITIAL 0x2000
#define SATP_SV39 8
#define PAGE_ALL 0xcf                   // valid, readable, writable, executable, accessed, dirty
#define GIGABYTE_PAGES 256              // half of Sv39's addresses
#define TREE_MAGIC 0xedfe0dd0           // as a little-endian processor reads it
#define TREE_MOST 0x10000               // more of it need not go into the stack guard

    .section .text.boot, "ax", @progbits
    .option push
    .option norvc
    .globl ringside_entry
    .type ringside_entry, @function
ringside_entry:
    j start
    nop
    .quad 0x200000                      // load offset from the start of RAM
    .quad ringside_image_bytes
    .quad 0                             // little-endian
    .long 2                             // version of this header: 0.2
    .long 0
    .quad 0
    .ascii "RISCV\0\0\0"
    .ascii "RSC\5"
    .long 0
    .option pop

start:
    rdtime s2                           // the clock's zero
    csrw sie, zero
    csrci sstatus, SSTATUS_SIE
    la t0, taken
    li t1, 1
    amoswap.w.aqrl t1, t1, (t0)
    bnez t1, late
    mv s0, a0
    mv s1, a1

    // Who loads the ELF file has zeroed .bss; who loads a raw file has not.
    la t0, ringside_bss_start
    la t1, ringside_image_end
1:  sd zero, (t0)
    addi t0, t0, 8
    bltu t0, t1, 1b
    la t0, ringside_entry_ticks
    sd s2, (t0)

    // 1 GiB pages, one to one.
    la t0, early_table
    li t1, PAGE_ALL
    li t2, GIGABYTE_PAGES
    li t3, 0x40000000 >> 2
2:  sd t1, (t0)
    addi t0, t0, 8
    add t1, t1, t3
    addi t2, t2, -1
    bnez t2, 2b
    la t0, early_table
    srli t0, t0, 12
    li t1, SATP_SV39
    slli t1, t1, 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma

    li t0, SSTATUS_FS_INITIAL
    csrs sstatus, t0
    fscsr zero

    // The stack guard's value: time, and the words of the device tree, in which there is a seed of the host's. Its lowest byte is
    // zero, so that a string that runs over cannot reproduce it. Drawn here because C++ functions check it on their return.
    li s3, 0x9e3779b97f4a7c15
    beqz s1, 5f
    andi t0, s1, 7
    bnez t0, 5f
    lwu t0, (s1)
    li t2, TREE_MAGIC
    bne t0, t2, 5f
    lbu t0, 5(s1)                       // its length, in which the highest of four bytes is 0
    lbu t1, 6(s1)
    lbu t2, 7(s1)
    slli t0, t0, 16
    slli t1, t1, 8
    or t1, t1, t0
    or t1, t1, t2
    li t0, TREE_MOST
    bltu t1, t0, 3f
    mv t1, t0
3:  andi t1, t1, -8
    beqz t1, 5f
    mv t0, s1
    add t1, t1, s1
4:  ld t2, (t0)
    xor s2, s2, t2
    mul s2, s2, s3
    srli t2, s2, 32
    xor s2, s2, t2
    addi t0, t0, 8
    bltu t0, t1, 4b
5:  andi t0, s2, 0xff
    xor s2, s2, t0
    la t0, __stack_chk_guard
    sd s2, (t0)

    la sp, ringside_boot_stack_top
    li gp, 0                            // nobody uses it, nor tp: what the firmware left there would only puzzle in a report
    li tp, 0
    mv a0, s0
    mv a1, s1
    li s0, 0                            // end of the backtrace
    call ringside_boot
    unimp

// Not the first one here: OpenSBI up to 1.2 lets a hart go before it has noted where to, if that one looks at the wrong moment. It is the
// one that start_processor() waits for, then; and if it is not, a firmware that lets all harts go at once, it has no place here.
late:
    fence rw, rw
    la t0, ringside_secondary_fields
    ld t0, 32(t0)
    beq t0, a0, ringside_secondary_entry
lost:
    wfi
    j lost
    .size ringside_entry, . - ringside_entry

    .section .data.boot, "aw", @progbits
    .balign 8
    .globl ringside_entry_ticks
ringside_entry_ticks:
    .quad 0
taken:
    .word 0

    .section .bss.boot, "aw", @nobits
    .balign 4096
early_table:
    .skip 4096

// A guard page (unmapped by the final page tables) under the boot stack.
    .globl ringside_boot_stack_guard, ringside_boot_stack, ringside_boot_stack_top
ringside_boot_stack_guard:
    .skip 4096
ringside_boot_stack:
    .skip 32768
ringside_boot_stack_top:

    .section .note.GNU-stack, "", @progbits
