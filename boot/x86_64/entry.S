// PVH entry (Xen's start_info protocol): 32-bit protected mode, paging off, ebx = physical address of hvm_start_info.
// Goes to long mode with an early identity map of 4 GiB, draws the stack guard's value, and calls C++ on the boot stack.
// Nothing here is cleared that C++ does not need: the loader has already zeroed .bss (it is the end of a PT_LOAD segment).

#define CR0_MP 0x2
#define CR0_EM 0x4
#define CR0_NE 0x20
#define CR0_WP 0x10000
#define CR0_PG 0x80000000
#define CR4_PAE 0x20
#define CR4_PGE 0x80
#define CR4_OSFXSR 0x200
#define CR4_OSXMMEXCPT 0x400
#define MSR_EFER 0xc0000080
#define EFER_LME_NXE 0x900
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
    .code32
    .globl ringside_pvh_entry
    .type ringside_pvh_entry, @function
ringside_pvh_entry:
    cli
    cld
    rdtsc                               // the clock's zero
    movl %eax, ringside_entry_ticks
    movl %edx, ringside_entry_ticks + 4
    movl $ringside_boot_stack_top, %esp
    movl %ebx, %esi                     // kept through CPUID

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
    movl %cr4, %eax
    orl $CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT, %eax
    movl %eax, %cr4
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_LME_NXE, %eax
    wrmsr
    movl %cr0, %eax
    andl $~CR0_EM, %eax
    orl $CR0_PG | CR0_WP | CR0_NE | CR0_MP, %eax
    movl %eax, %cr0
    lgdt early_gdt_pointer
    ljmp $8, $long_mode

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
    xorl %ebp, %ebp
    call ringside_boot
    ud2
    .size ringside_pvh_entry, . - ringside_pvh_entry

    .section .rodata.boot, "a", @progbits
    .balign 8
early_gdt:
    .quad 0
    .quad 0x00af9b000000ffff            // code, 64 bit
early_gdt_end:
early_gdt_pointer:
    .word early_gdt_end - early_gdt - 1
    .long early_gdt
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
