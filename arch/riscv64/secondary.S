// Where SBI starts another hart: supervisor mode, translation off, interrupts off, a0 = its number. With the page tables and on the stack
// that it finds in struct Fields of processors.cpp it goes on to C++, its number in sscratch for start_exceptions_here(). (a1 is not
// looked at: OpenSBI up to 1.2 can be late with it, as with the address; boot/riscv64/entry.S.)

#define SSTATUS_FS_INITIAL 0x2000

    .section .text.ringside_secondary_entry, "ax", @progbits
    .globl ringside_secondary_entry
    .type ringside_secondary_entry, @function
ringside_secondary_entry:
    csrw sie, zero
    la t0, lost
    csrw stvec, t0                      // until it has a stack for exceptions
    csrw sscratch, a0
    fence rw, rw
    la a1, ringside_secondary_fields
    ld t0, 0(a1)
    csrw satp, t0
    sfence.vma
    li t0, SSTATUS_FS_INITIAL
    csrs sstatus, t0
    fscsr zero
    ld sp, 8(a1)
    ld t1, 16(a1)
    ld a0, 24(a1)
    li gp, 0
    li tp, 0
    li s0, 0                            // end of the backtrace
    jalr t1
    unimp
    .balign 4
lost:
    wfi
    j lost
    .size ringside_secondary_entry, . - ringside_secondary_entry

    .section .note.GNU-stack, "", @progbits
