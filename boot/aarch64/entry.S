// Where loaders enter: the header of Linux's arm64 Image (Documentation/arch/arm64/booting.rst), whose first instruction is also the ELF
// file's entry. Boot processor, MMU off, x0 = physical address of the device tree; QEMU leaves 0 there for an ELF file and puts the tree at
// the start of RAM. From there: EL1, the MMU and caches with an early identity map, zeroed .bss, vector registers, a value for the stack
// guard, and C++ on the boot stack. The MMU comes first of all: without it all memory is Device memory, where an unaligned access faults.

#define RAM_START 0x40000000            // where QEMU's machine `virt` has it
#define SCTLR_RESERVED 0x30d00800       // bits that are one on processors which do not know them
#define SCTLR_MMU 0x1
#define SCTLR_CACHE 0x4
#define SCTLR_STACK_ALIGNMENT 0x8
#define SCTLR_INSTRUCTION_CACHE 0x1000
#define HCR_EL1_IS_64_BIT 0x80000000
#define SPSR_EL1H_MASKED 0x3c5

#define SECTOR 0x200

#define MAIR 0xff04                     // 0: Device-nGnRE, 1: Normal, write-back
// 48-bit addresses below (T0SZ 16) and 25-bit ones above (T1SZ 39, off for now), 4 KiB pages, walks cached and inner shareable.
#define TCR_LOW (16 | 1 << 8 | 1 << 10 | 3 << 12 | 39 << 16 | 1 << 23 | 1 << 24 | 1 << 26 | 3 << 28 | 2 << 30)
#define TCR_SIZE_SHIFT 32

    .section .text.boot, "ax", @progbits
    .globl ringside_entry, ringside_image_first
    .type ringside_entry, @function
ringside_entry:
ringside_image_first:
    ccmp x18, #0, #13, pl               // the bytes "MZ": to UEFI this is an application
    b start
    .quad 0x200000                      // where to, from a 2 MiB boundary at the start of RAM
    .quad ringside_image_bytes          // with .bss
    .quad 2                             // little-endian, 4 KiB pages, near the start of RAM
    .quad 0, 0, 0
    .ascii "ARM\x64"
    .long pe_header - ringside_entry

// PE/COFF (Microsoft's specification, revision 8.3): one section, everything behind the first 512 bytes, with .bss behind it. It needs no
// relocation: what UEFI calls runs at any address (boot/uefi/).
pe_header:
    .ascii "PE\0\0"
    .short 0xaa64, 1                    // one section
    .long 0, 0, 0
    .short section_table - optional_header
    .short 0x0206                       // executable, no line numbers, no debug information
optional_header:
    .short 0x020b                       // PE32+
    .byte 0, 0
    .long pe_file_bytes, 0, 0           // size of code, of initialised and of other data
    .long pe_entry
    .long SECTOR                        // base of code
    .quad 0                             // image base
    .long SECTOR, SECTOR                // alignment in memory and in the file
    .short 0, 0, 0, 0, 0, 0
    .long 0
    .long pe_image_bytes
    .long SECTOR                        // size of headers
    .long 0
    .short 10, 0                        // an EFI application
    .quad 0, 0, 0, 0
    .long 0, 6
    .quad 0, 0, 0, 0, 0, 0              // no directories
section_table:
    .ascii ".text\0\0\0"
    .long pe_section_bytes, SECTOR      // in memory: size, address
    .long pe_file_bytes, SECTOR         // in the file
    .long 0, 0
    .short 0, 0
    .long 0xe0000020                    // code, execute, read, write
    .org ringside_entry + SECTOR

start:
    mov x20, x0
    mov x22, x1                         // Linux's protocol has 0 here; our own way from UEFI brings a command line
    msr daifset, #15
    bl ringside_to_el1
    mrs x21, cntvct_el0                 // the clock's zero

    mov x0, #MAIR
    msr mair_el1, x0
    ldr x0, =TCR_LOW
    mrs x1, id_aa64mmfr0_el1            // as many physical bits as there are, up to 48
    and x1, x1, #15
    mov x2, #5
    cmp x1, x2
    csel x1, x1, x2, lo
    orr x0, x0, x1, lsl #TCR_SIZE_SHIFT
    msr tcr_el1, x0
    adrp x0, early_root
    msr ttbr0_el1, x0
    msr ttbr1_el1, xzr
    dsb sy
    isb
    tlbi vmalle1
    ic iallu
    dsb sy
    isb
    ldr x0, =(SCTLR_RESERVED | SCTLR_MMU | SCTLR_CACHE | SCTLR_STACK_ALIGNMENT | SCTLR_INSTRUCTION_CACHE)
    msr sctlr_el1, x0
    isb

    // .bss is the end of a PT_LOAD segment, but who loads a raw Image has not zeroed it.
    adrp x0, ringside_bss_start
    add x0, x0, :lo12:ringside_bss_start
    adrp x1, ringside_image_end
    add x1, x1, :lo12:ringside_image_end
2:  stp xzr, xzr, [x0], #16             // it begins on 64 bytes and ends with a page
    stp xzr, xzr, [x0], #16
    stp xzr, xzr, [x0], #16
    stp xzr, xzr, [x0], #16
    cmp x0, x1
    b.lo 2b

    mov x0, #(3 << 20)                  // FPEN
    msr cpacr_el1, x0
    isb
    msr fpcr, xzr
    adrp x0, ringside_entry_ticks
    str x21, [x0, :lo12:ringside_entry_ticks]

    // Everything but exceptions runs on SP_EL0.
    msr spsel, #0
    adrp x0, ringside_boot_stack_top
    add x0, x0, :lo12:ringside_boot_stack_top
    mov sp, x0

    // The stack guard's value: RNDR if there is one, mixed with the counter. Its lowest byte is zero, so that a string that runs over
    // cannot reproduce it. Drawn here because C++ functions check it on their return.
    mrs x0, cntvct_el0
    eor x0, x0, x21, ror #32
    ldr x1, =0x9e3779b97f4a7c15
    mul x2, x0, x1
    umulh x0, x0, x1
    eor x0, x0, x2
    mrs x1, id_aa64isar0_el1
    lsr x1, x1, #60
    cbz x1, 3f
    mrs x1, s3_3_c2_c4_0                // RNDR; 0 when it has none
    eor x0, x0, x1
3:  bic x0, x0, #0xff
    adrp x1, __stack_chk_guard
    str x0, [x1, :lo12:__stack_chk_guard]

    mov x0, x20
    cbnz x0, 4f
    mov x0, #RAM_START
4:  mov x1, x22
    mov x29, #0
    mov x30, #0
    bl ringside_boot
    brk #1
    .size ringside_entry, . - ringside_entry

// Goes on behind its call in EL1, in which it may have been already. A hypervisor's place is not ours: no traps, no offset of the clock, EL1 in
// 64 bits. Changes x0 only.
    .globl ringside_to_el1
    .type ringside_to_el1, @function
ringside_to_el1:
    mrs x0, currentel
    cmp x0, #(2 << 2)
    b.ne 2f
    mov x0, #HCR_EL1_IS_64_BIT
    msr hcr_el2, x0
    mrs x0, cnthctl_el2
    orr x0, x0, #3
    msr cnthctl_el2, x0
    msr cntvoff_el2, xzr
    mov x0, #0x33ff
    msr cptr_el2, x0
    msr hstr_el2, xzr
    msr vttbr_el2, xzr
    mrs x0, midr_el1
    msr vpidr_el2, x0
    mrs x0, mpidr_el1
    msr vmpidr_el2, x0
    mrs x0, id_aa64pfr0_el1
    ubfx x0, x0, #24, #4
    cbz x0, 1f
    mrs x0, s3_4_c12_c9_5               // ICC_SRE_EL2: EL1 may use the GIC's system registers
    orr x0, x0, #8
    orr x0, x0, #1
    msr s3_4_c12_c9_5, x0
    isb
    msr s3_4_c12_c11_0, xzr             // ICH_HCR_EL2
1:  ldr x0, =SCTLR_RESERVED             // whatever EL1 was left with: translation and caches off, little-endian
    msr sctlr_el1, x0
    mov x0, #SPSR_EL1H_MASKED
    msr spsr_el2, x0
    msr elr_el2, x30
    eret
2:  isb
    ret
    .size ringside_to_el1, . - ringside_to_el1

    .section .rodata.boot, "a", @progbits
    .balign 4096
// The early map: each GiB to itself. The first is devices (never executed), the next three hold the image, the device tree and the first
// page tables. Not global and of address space 0, so that the final tables, which have another one, contradict nothing.
early_root:
    .quad early_gigabytes + 3
    .fill 511, 8, 0
early_gigabytes:
    .quad 0x0060000000000c01
    .quad 0x0040000040000f05
    .quad 0x0040000080000f05
    .quad 0x00400000c0000f05
    .fill 508, 8, 0

    .globl ringside_uefi_link
ringside_uefi_link:                     // boot/uefi/stub.hpp
    .quad ringside_image_start, ringside_file_bytes, ringside_image_bytes

    .section .data.boot, "aw", @progbits
    .balign 8
    .globl ringside_entry_ticks
ringside_entry_ticks:
    .quad 0

// A guard page (unmapped by the final page tables) under the boot stack.
    .section .bss.boot, "aw", @nobits
    .balign 4096
    .globl ringside_boot_stack_guard, ringside_boot_stack, ringside_boot_stack_top
ringside_boot_stack_guard:
    .skip 4096
ringside_boot_stack:
    .skip 32768
ringside_boot_stack_top:

    .section .note.GNU-stack, "", @progbits
