// Where loaders enter: PVH (Xen's start_info protocol), multiboot2, the Linux boot protocol in 32 and 64 bits, and UEFI (which goes on by the
// Linux protocol). All of them meet in 32-bit protected mode with paging off, esi = physical address of the loader's information, ebp =
// number of the protocol (boot.cpp knows them). From there: long mode with an early identity map of 4 GiB, a value for the stack guard, and
// C++ on the boot stack. Who loads the ELF file has zeroed .bss (it is the end of a PT_LOAD segment); who loads a bzImage has not.

#define CR0_MP 0x2
#define CR0_EM 0x4
#define CR0_TS 0x8
#define CR0_NE 0x20
#define CR0_WP 0x10000
#define CR0_PG 0x80000000
#define CR4_PCIDE 0x20000
#define CR4_PAE 0x20
#define CR4_PGE 0x80
#define CR4_OSFXSR 0x200
#define CR4_OSXMMEXCPT 0x400
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100
#define EFER_LME_NXE 0x900
#define SELECTOR_CODE64 0x08
#define SELECTOR_CODE32 0x10
#define SELECTOR_DATA 0x18
#define PROTOCOL_PVH 0
#define PROTOCOL_MULTIBOOT2 1
#define PROTOCOL_LINUX 2
#define PROTOCOL_UNKNOWN 3
#define MULTIBOOT2_HEADER_MAGIC 0xe85250d6
#define MULTIBOOT2_LOADER_MAGIC 0x36d76289
#define PAGE_PRESENT_WRITE 0x3
#define PAGE_LARGE 0x80

// The ELF note by which a loader knows that it may enter us so (XEN_ELFNOTE_PHYS32_ENTRY).
    .section .note.Xen, "a", @note
    .balign 4
    .long 4
    .long 8
    .long 18
    .asciz "Xen"
    .quad ringside_pvh_entry

    .section .text.boot, "ax", @progbits
    .globl ringside_image_first
ringside_image_first:
ringside_entries:
// The image's first byte, where the Linux protocol enters in 32 bits: esi = struct boot_params, flat segments. It ends in front of the
// kernel information that the protocol's version 2.15 asks for (setup.S names its place).
    .code32
    .globl ringside_linux_entry
    .type ringside_linux_entry, @function
ringside_linux_entry:
    cli
    cld
    rdtsc                               // the clock's zero
    movl %eax, ringside_entry_ticks
    movl %edx, ringside_entry_ticks + 4
    movl $PROTOCOL_LINUX, %ebp
    jmp clear_bss

    .org ringside_entries + 0x40
    .globl ringside_linux_information
ringside_linux_information:
    .ascii "LToP"
    .long 16, 16                        // its size; with data behind it, of which there is none
    .long 1                             // the highest type of setup_data that we read: more E820 entries

// In the first 32 KiB of the file, on 8 bytes. The entry has a tag of its own because the ELF header's is PVH's.
    .balign 8
multiboot2_header:
    .long MULTIBOOT2_HEADER_MAGIC, 0, multiboot2_header_end - multiboot2_header
    .long -(MULTIBOOT2_HEADER_MAGIC + (multiboot2_header_end - multiboot2_header))
    .word 3, 0                          // entry address, must be obeyed
    .long 12, multiboot2_entry
    .balign 8
    .word 6, 0                          // modules begin on pages
    .long 8
    .word 0, 0                          // end
    .long 8
multiboot2_header_end:

// eax = magic number, ebx = information.
    .type multiboot2_entry, @function
multiboot2_entry:
    cli
    cld
    movl %eax, %ecx
    rdtsc
    movl %eax, ringside_entry_ticks
    movl %edx, ringside_entry_ticks + 4
    movl %ebx, %esi
    movl $PROTOCOL_MULTIBOOT2, %ebp
    cmpl $MULTIBOOT2_LOADER_MAGIC, %ecx
    je start
    movl $PROTOCOL_UNKNOWN, %ebp
    jmp start

// The Linux protocol in 64 bits enters 512 bytes behind the image's first byte: paging on (with four or five levels of tables, and only a
// part of memory mapped), rsi = struct boot_params. Long mode is left again: the number of levels can be changed in no other way.
    .org ringside_entries + 0x200
    .code64
    .globl ringside_linux_entry64
    .type ringside_linux_entry64, @function
ringside_linux_entry64:
    cli
    cld
    movq %rsi, %rax
    shrq $32, %rax
    jz 1f
    movl $-1, %esi                      // boot_params above 4 GiB, where we never asked for it: "outside" for whoever reads it
1:  movl $ringside_boot_stack_top, %esp
    lgdt early_gdt_pointer
    pushq $SELECTOR_CODE32
    pushq $leave_long_mode
    lretq
    .code32
leave_long_mode:
    movl $SELECTOR_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %cr4, %eax
    andl $~CR4_PCIDE, %eax              // paging cannot be switched off with it
    movl %eax, %cr4
    movl %cr0, %eax
    andl $~CR0_PG, %eax
    movl %eax, %cr0
    movl $MSR_EFER, %ecx
    rdmsr
    andl $~EFER_LME, %eax
    wrmsr
    jmp ringside_linux_entry
    .size ringside_linux_entry64, . - ringside_linux_entry64

// As a UEFI application (the header is setup.S's): at any address, with Microsoft's calling convention.
    .code64
    .globl ringside_uefi_entry
    .type ringside_uefi_entry, @function
ringside_uefi_entry:
    pushq %rdi
    pushq %rsi
    subq $8, %rsp
    movq %rcx, %rdi
    movq %rdx, %rsi
    call ringside_uefi_start            // returns only if it cannot go on
    addq $8, %rsp
    popq %rsi
    popq %rdi
    ret
    .size ringside_uefi_entry, . - ringside_uefi_entry
    .code32

clear_bss:
    xorl %eax, %eax
    movl $ringside_bss_start, %edi
    movl $ringside_image_end, %ecx
    subl %edi, %ecx
    shrl $2, %ecx
    rep stosl
    jmp start

    .globl ringside_pvh_entry
    .type ringside_pvh_entry, @function
ringside_pvh_entry:                     // ebx = struct hvm_start_info
    cli
    cld
    rdtsc
    movl %eax, ringside_entry_ticks
    movl %edx, ringside_entry_ticks + 4
    movl %ebx, %esi
    movl $PROTOCOL_PVH, %ebp

start:
    movl $ringside_boot_stack_top, %esp
    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb no_long_mode
    movl $0x80000001, %eax
    cpuid
    btl $29, %edx
    jnc no_long_mode

    // Early identity map: 1 GiB pages where the processor has them (bit 26), else 2 MiB ones.
    movl $early_pdpt + PAGE_PRESENT_WRITE, early_pml4
    movl $early_pdpt, %edi
    btl $26, %edx
    jnc small_pages
    movl $PAGE_PRESENT_WRITE + PAGE_LARGE, %eax
1:  movl %eax, (%edi)
    addl $8, %edi
    addl $0x40000000, %eax
    jnc 1b
    jmp enable_paging
small_pages:
    movl $early_pd + PAGE_PRESENT_WRITE, %eax
    movl $4, %ecx
2:  movl %eax, (%edi)
    addl $8, %edi
    addl $0x1000, %eax
    loop 2b
    movl $early_pd, %edi
    movl $PAGE_PRESENT_WRITE + PAGE_LARGE, %eax
3:  movl %eax, (%edi)
    addl $8, %edi
    addl $0x200000, %eax
    jnc 3b

enable_paging:
    movl $early_pml4, %eax
    movl %eax, %cr3
    movl $CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT, %eax // whatever a loader had beside them is gone
    movl %eax, %cr4
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_LME_NXE, %eax
    wrmsr
    movl %cr0, %eax
    andl $~(CR0_EM | CR0_TS), %eax
    orl $CR0_PG | CR0_WP | CR0_NE | CR0_MP, %eax
    movl %eax, %cr0
    lgdt early_gdt_pointer
    ljmp $SELECTOR_CODE64, $long_mode

// A processor without long mode cannot run the panic code either: say it on the serial port and stop.
no_long_mode:
    movl $no_long_mode_text, %esi
4:  lodsb
    testb %al, %al
    jz 5f
    movw $0x3f8, %dx
    outb %al, %dx
    jmp 4b
5:  hlt
    jmp 5b

    .code64
long_mode:
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    movl %eax, %gs
    movl $ringside_boot_stack_top, %esp
    movl %esi, %r12d
    movl %ebp, %r14d
    fninit
    pushq $0x1f80
    ldmxcsr (%rsp)
    popq %rax

    // The stack guard's value: RDRAND if there is one, mixed with the time stamp counter. Its lowest byte is zero, so that a
    // string that runs over cannot reproduce it. Drawn here because C++ functions check it on their return.
    rdtsc
    shlq $32, %rdx
    orq %rax, %rdx
    movq $0x9e3779b97f4a7c15, %rax
    mulq %rdx
    xorq %rdx, %rax
    movq %rax, %r13
    movl $1, %eax
    cpuid
    btl $30, %ecx
    jnc 6f
    rdrand %rax
    xorq %rax, %r13
6:  xorb %r13b, %r13b
    movq %r13, __stack_chk_guard

    movl %r12d, %edi
    movl %r14d, %esi
    xorl %ebp, %ebp
    call ringside_boot
    ud2
    .size ringside_pvh_entry, . - ringside_pvh_entry

    .section .rodata.boot, "a", @progbits
    .balign 8
early_gdt:
    .quad 0
    .quad 0x00af9b000000ffff            // code, 64 bit
    .quad 0x00cf9b000000ffff            // code, 32 bit
    .quad 0x00cf93000000ffff            // data
early_gdt_end:
early_gdt_pointer:
    .word early_gdt_end - early_gdt - 1
    .quad early_gdt
    .balign 8
    .globl ringside_uefi_link
ringside_uefi_link:                     // boot/uefi/stub.hpp
    .quad ringside_image_start, ringside_file_bytes, ringside_image_bytes
no_long_mode_text:
    .asciz "PANIC: this processor has no 64-bit mode\r\n"

    .section .data.boot, "aw", @progbits
    .balign 8
    .globl ringside_entry_ticks
ringside_entry_ticks:
    .quad 0

    .section .bss.boot, "aw", @nobits
    .balign 4096
early_pml4:
    .skip 4096
early_pdpt:
    .skip 4096
early_pd:
    .skip 4 * 4096

// A guard page (unmapped by the final page tables) under the boot stack.
    .globl ringside_boot_stack_guard, ringside_boot_stack, ringside_boot_stack_top
ringside_boot_stack_guard:
    .skip 4096
ringside_boot_stack:
    .skip 32768
ringside_boot_stack_top:

    .section .note.GNU-stack, "", @progbits
