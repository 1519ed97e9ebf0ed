// Where loaders enter: as Linux's zImage is (translation and data cache off, r2 = device tree or 0), in supervisor or hypervisor mode, at the
// address that the image is linked at (an ELF file) or at any other below it (a raw file: it moves itself up first).
// From there: supervisor mode, an early map of all 4 GiB, a value for the stack guard, and C++ on the boot stack.
#include "arch/armv7/translation.hpp"

#define MODE_HYPERVISOR 0x1a
#define MODE_SUPERVISOR 0x13
#define MODE_MASK 0x1f
#define SCTLR_M 0x1
#define SCTLR_A 0x2
#define SCTLR_C 0x4
#define SCTLR_Z 0x800
#define SCTLR_I 0x1000
#define SCTLR_V 0x2000
#define SCTLR_WXN 0x80000
#define SCTLR_EE 0x2000000
#define SCTLR_TRE 0x10000000
#define SCTLR_AFE 0x20000000
#define SCTLR_TE 0x40000000
// Device memory, never executed; normal memory. Both: valid, used, read and write.
#define BLOCK_DEVICE 0x401
#define BLOCK_NORMAL 0x705
#define BLOCK_NEVER 0x600000

    .arch_extension virt

    .section .text.boot, "ax", %progbits
    .globl ringside_entry
    .type ringside_entry, %function
ringside_entry:
    b start
    .org ringside_entry + 0x24          // a zImage's header: magic number, first and last address
    .long 0x016f2818, 0, ringside_raw_bytes
start:
    mov r10, r2
    bl ringside_to_supervisor
    mrrc p15, 1, r8, r9, c14            // the clock's zero

    // Where are we? A raw file is copied to where it belongs, from its end on (the places may overlap); this code here is far below them.
    adr r0, ringside_entry
    ldr r1, =ringside_image_start
    cmp r0, r1
    beq 3f
    ldr r2, =ringside_bss_start
    sub r3, r2, r1
    add r0, r0, r3
2:  ldmdb r0!, {r4-r7}
    stmdb r2!, {r4-r7}
    cmp r2, r1
    bhi 2b
    ldr r0, =3f
    mov r1, #0
    dsb
    mcr p15, 0, r1, c7, c5, 0           // ICIALLU: what was there before must not be executed
    mcr p15, 0, r1, c7, c5, 6           // BPIALL
    dsb
    isb
    bx r0

3:  mrc p15, 0, r4, c1, c0, 0
    ldr r5, =(SCTLR_M | SCTLR_A | SCTLR_C | SCTLR_V | SCTLR_WXN | SCTLR_EE | SCTLR_TRE | SCTLR_AFE | SCTLR_TE)
    bic r4, r4, r5
    mcr p15, 0, r4, c1, c0, 0
    isb
    mov r0, #0
    mcr p15, 0, r0, c7, c5, 0           // ICIALLU
    mcr p15, 0, r0, c7, c5, 6           // BPIALL
    mcr p15, 0, r0, c8, c7, 0           // TLBIALL
    ldr r1, =RINGSIDE_MAIR0
    mcr p15, 0, r1, c10, c2, 0
    mcr p15, 0, r0, c10, c2, 1
    ldr r1, =RINGSIDE_TTBCR
    mcr p15, 0, r1, c2, c0, 2
    ldr r1, =early_table
    mcrr p15, 0, r1, r0, c2             // TTBR0
    dsb
    isb
    ldr r5, =(SCTLR_M | SCTLR_C | SCTLR_I | SCTLR_Z)
    orr r4, r4, r5
    mcr p15, 0, r4, c1, c0, 0
    isb

    // Who loads an ELF file has zeroed .bss; who loads a raw one has not.
    ldr r0, =ringside_bss_start
    ldr r1, =ringside_image_end
    mov r2, #0
    mov r3, #0
    mov r4, #0
    mov r5, #0
4:  stmia r0!, {r2-r5}
    cmp r0, r1
    blo 4b

    // Floating point and vectors.
    mrc p15, 0, r0, c1, c0, 2
    orr r0, r0, #0xf00000
    mcr p15, 0, r0, c1, c0, 2           // CPACR
    isb
    mov r0, #0x40000000
    vmsr fpexc, r0
    mov r0, #0
    vmsr fpscr, r0

    ldr r0, =ringside_entry_ticks
    strd r8, r9, [r0]
    // The stack guard's value, drawn here because C++ functions check it on their return. There is nothing to draw from but the counter.
    // Its lowest byte is zero, so that a string that runs over cannot reproduce it.
    mrrc p15, 1, r0, r1, c14
    eor r0, r0, r8, ror #13
    ldr r1, =0x9e3779b1
    umull r2, r3, r0, r1
    eor r2, r2, r3
    bic r2, r2, #0xff
    ldr r0, =__stack_chk_guard
    str r2, [r0]

    ldr sp, =ringside_boot_stack_top
    mov r0, r10
    mov r11, #0
    bl ringside_boot
    udf #0
    .ltorg
    .size ringside_entry, . - ringside_entry

// To supervisor mode with everything masked, out of hypervisor mode if that is what it is: nothing traps there any more, the counter has no
// offset. Changes r0, r1 and r12. (The modes have link registers of their own.)
    .globl ringside_to_supervisor
    .type ringside_to_supervisor, %function
ringside_to_supervisor:
    mov r12, lr
    mrs r0, cpsr
    and r0, r0, #MODE_MASK
    cmp r0, #MODE_HYPERVISOR
    bne 1f
    mov r0, #0
    mcr p15, 4, r0, c1, c1, 0           // HCR
    mcr p15, 4, r0, c1, c1, 3           // HSTR
    mcrr p15, 4, r0, r0, c14            // CNTVOFF
    movw r1, #0x33ff
    mcr p15, 4, r1, c1, c1, 2           // HCPTR: bits that are always one, no traps of floating point
    mov r1, #3
    mcr p15, 4, r1, c14, c1, 0          // CNTHCTL
    mrc p15, 0, r1, c0, c0, 0
    mcr p15, 4, r1, c0, c0, 0           // VPIDR
    mrc p15, 0, r1, c0, c0, 5
    mcr p15, 4, r1, c0, c0, 5           // VMPIDR
    mov r0, #(0x1c0 | MODE_SUPERVISOR)
    msr spsr_cxsf, r0
    adr r0, 1f
    msr elr_hyp, r0
    eret
1:  cpsid aif, #MODE_SUPERVISOR
    bx r12
    .size ringside_to_supervisor, . - ringside_to_supervisor

    .section .rodata.boot, "a", %progbits
    .balign 32
early_table:
    .long 0x00000000 + BLOCK_DEVICE, BLOCK_NEVER
    .long 0x40000000 + BLOCK_NORMAL, 0
    .long 0x80000000 + BLOCK_NORMAL, 0
    .long 0xc0000000 + BLOCK_NORMAL, 0

    .section .data.boot, "aw", %progbits
    .balign 8
    .globl ringside_entry_ticks
ringside_entry_ticks:
    .quad 0

    .section .bss.boot, "aw", %nobits
    .balign 4096
// A guard page (unmapped by the final page tables) under the boot stack.
    .globl ringside_boot_stack_guard, ringside_boot_stack, ringside_boot_stack_top
ringside_boot_stack_guard:
    .skip 4096
ringside_boot_stack:
    .skip 32768
ringside_boot_stack_top:

    .section .note.GNU-stack, "", %progbits
