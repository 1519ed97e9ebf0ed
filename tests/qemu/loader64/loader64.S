// A loader of the Linux boot protocol in 64 bits, as a monitor would have it inside: QEMU starts it by PVH and brings the bzImage as a
// module (-initrd). It puts the protected-mode part at 1 MiB, with rubbish behind it, fills in boot_params, maps 4 GiB with five levels of
// page tables where the processor has them (else four), switches process-context identifiers on, and enters 0x200 behind the first byte.
// Says how many levels on the 16550.
#define BOOT_PARAMS 0x90000
#define TARGET 0x100000
#define SETUP_SECTS 0x1f1
#define HEADER_END 0x26c
#define LOADER_TYPE 0x210
#define CMD_LINE 0x228
#define INIT_SIZE 0x260
#define E820_COUNT 0x1e8
#define E820_TABLE 0x2d0
#define INFO_MODULES 16
#define INFO_COMMAND_LINE 24
#define INFO_MEMORY_MAP 40
#define INFO_MEMORY_COUNT 48
#define CR4_PAE 0x20
#define CR4_LA57 0x1000
#define CR4_PCIDE 0x20000
#define CPUID_LA57 16

    .section .note.pvh, "a", @note
    .long 4, 4, 18                      // name size, descriptor size, XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long start

    .section .text, "ax"
    .code32
    .globl start
start:
    cli
    cld
    movl $stack_top, %esp
    movl %ebx, %ebp                     // struct hvm_start_info

    // boot_params: zeros, the file's header, what a loader fills in.
    movl $BOOT_PARAMS, %edi
    movl $1024, %ecx
    xorl %eax, %eax
    rep stosl
    movl INFO_MODULES(%ebp), %eax
    movl (%eax), %esi                   // the bzImage
    movl 8(%eax), %edx                  // its size
    pushl %esi
    addl $SETUP_SECTS, %esi
    movl $BOOT_PARAMS + SETUP_SECTS, %edi
    movl $HEADER_END - SETUP_SECTS, %ecx
    rep movsb
    movb $0xff, BOOT_PARAMS + LOADER_TYPE
    movl INFO_COMMAND_LINE(%ebp), %eax
    movl %eax, BOOT_PARAMS + CMD_LINE
    movl INFO_MEMORY_COUNT(%ebp), %ecx
    movb %cl, BOOT_PARAMS + E820_COUNT
    movl INFO_MEMORY_MAP(%ebp), %esi
    movl $BOOT_PARAMS + E820_TABLE, %edi
1:  movl $5, %eax                       // 20 of 24 bytes
2:  movsl
    decl %eax
    jnz 2b
    addl $4, %esi
    loop 1b

    // The protected-mode part.
    popl %esi
    movzbl SETUP_SECTS(%esi), %eax
    incl %eax
    shll $9, %eax
    addl %eax, %esi
    movl %edx, %ecx
    subl %eax, %ecx
    movl $TARGET, %edi
    rep movsb
    // Behind it: what was in memory before, up to the end of .bss.
    movl $TARGET, %ecx
    addl BOOT_PARAMS + INIT_SIZE, %ecx
    subl %edi, %ecx
    movb $0xa5, %al
    rep stosb

    // Page tables: 1 GiB pages.
    movl $pdpt + 3, pml4
    movl $pml4 + 3, pml5
    movl $0x83, %eax
    movl $pdpt, %edi
3:  movl %eax, (%edi)
    addl $8, %edi
    addl $0x40000000, %eax
    jnc 3b
    movl $7, %eax
    xorl %ecx, %ecx
    cpuid
    movl $CR4_PAE, %eax
    movl $pml4, %edx
    movb $'4', %bl
    btl $CPUID_LA57, %ecx
    jnc 4f
    orl $CR4_LA57, %eax
    movl $pml5, %edx
    movb $'5', %bl
4:  movl %eax, %cr4
    movl %edx, %cr3
    movw $0x3f8, %dx
    movb %bl, %al
    outb %al, %dx
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    lgdt gdt_pointer
    ljmp $0x10, $long_mode

    .code64
long_mode:
    movq %cr4, %rax
    orl $CR4_PCIDE, %eax
    movq %rax, %cr4
    movl $0x18, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $BOOT_PARAMS, %esi
    movl $TARGET + 0x200, %eax
    jmp *%rax

    .balign 8
gdt:
    .quad 0, 0
    .quad 0x00af9b000000ffff            // code, 64 bit
    .quad 0x00cf93000000ffff            // data
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt

    .section .bss, "aw", @nobits
    .balign 4096
pml5:
    .skip 4096
pml4:
    .skip 4096
pdpt:
    .skip 4096
    .skip 4096
stack_top:
    .section .note.GNU-stack, "", @progbits
