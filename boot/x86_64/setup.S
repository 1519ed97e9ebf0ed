// The real-mode part of a bzImage (Linux/x86 boot protocol 2.15): a boot sector that says that it is none, the setup header, and the code
// that runs when a loader knows only the 16-bit protocol, as QEMU's option ROM and qboot do: it asks the BIOS for the memory map, switches
// to protected mode and enters the kernel in 32 bits. For UEFI its first sector is the header of an application (PE/COFF) whose code is in
// the image. It lies in the ELF file and in no segment; toolchain/bzimage.py puts it in front of the image. It may be loaded at any multiple
// of 16 below 1 MiB and becomes, in its first 4 KiB, the struct boot_params that the kernel reads.

#define SETUP_BYTES 0x1200
#define SECTOR 0x200
#define BOOT_PARAMS_BYTES 0x1000
#define E820_COUNT 0x1e8
#define SENTINEL 0x1ef
#define CODE32_START 0x214
#define E820_TABLE 0x2d0
#define E820_ENTRY_BYTES 20
#define E820_MOST 128
#define SMAP 0x534d4150
#define SELECTOR_CODE 0x10
#define SELECTOR_DATA 0x18
#define CR0_PE 0x1

    .section .linux_setup, "", @progbits
    .code16
setup:
    .ascii "MZ"                         // dec bp, pop dx: harmless
    jmp boot_sector
    .org 0x3c
    .long pe_header - setup

// PE/COFF (Microsoft's specification, revision 8.3): one section, everything behind the first sector, with .bss behind it. It needs no
// relocation: what UEFI calls runs at any address.
pe_header:
    .ascii "PE\0\0"
    .word 0x8664, 1                     // x86-64, one section
    .long 0, 0, 0
    .word section_table - optional_header
    .word 0x0206                        // executable, no line numbers, no debug information
optional_header:
    .word 0x020b                        // PE32+
    .byte 0, 0
    .long pe_file_bytes, 0, 0           // size of code, of initialised and of other data
    .long pe_entry
    .long SECTOR                        // base of code
    .quad 0                             // image base
    .long SECTOR, SECTOR                // alignment in memory and in the file
    .word 0, 0, 0, 0, 0, 0
    .long 0
    .long pe_image_bytes
    .long SECTOR                        // size of headers
    .long 0
    .word 10, 0                         // an EFI application
    .quad 0, 0, 0, 0
    .long 0, 6
    .quad 0, 0, 0, 0, 0, 0              // no directories
section_table:
    .ascii ".text\0\0\0"
    .long pe_section_bytes, SECTOR      // in memory: size, address
    .long pe_file_bytes, SECTOR         // in the file
    .long 0, 0
    .word 0, 0
    .long 0xe0000020                    // code, execute, read, write

// As a boot sector: at 0:7c00, whatever cs is.
boot_sector:
    xorw %ax, %ax
    movw %ax, %ds
    call 1f
1:  popw %si
    addw $(no_loader_text - 1b), %si
    cld
2:  lodsb
    testb %al, %al
    jz 3f
    movb $0x0e, %ah
    movw $7, %bx
    int $0x10
    jmp 2b
3:  xorw %ax, %ax
    int $0x16                           // a key, then the next boot device
    int $0x18
4:  hlt
    jmp 4b
no_loader_text:
    .asciz "This is a kernel, not a boot disk: it needs a loader (ringside image --format raw makes a disk).\r\n"

// The header, Documentation/arch/x86/boot.rst. What only the finished file knows, bzimage.py fills in.
    .org SENTINEL
    .byte 0xff
    .org 0x1f1
    .byte SETUP_BYTES / 512 - 1         // setup_sects
    .word 1                             // root_flags
    .long 0                             // syssize, in 16 bytes: bzimage.py
    .word 0, 0, 0                       // ram_size, vid_mode, root_dev
    .word 0xaa55                        // boot_flag
    .org 0x200
    jmp 1f                              // its second byte says where the header ends
    .ascii "HdrS"
    .word 0x020f                        // protocol version
    .long 0                             // realmode_swtch
    .word 0                             // start_sys_seg
    .word version_text - setup - 0x200  // kernel_version
    .byte 0                             // type_of_loader
    .byte 1                             // loadflags: loaded high
    .word 0                             // setup_move_size
    .long ringside_linux_entry          // code32_start: the image's first byte
    .long 0, 0                          // ramdisk_image, ramdisk_size
    .long 0                             // bootsect_kludge
    .word 0                             // heap_end_ptr
    .byte 0, 0                          // ext_loader_ver, ext_loader_type
    .long 0                             // cmd_line_ptr
    .long 0x7fffffff                    // initrd_addr_max
    .long 0x1000                        // kernel_alignment
    .byte 0                             // relocatable_kernel: it runs where it is linked
    .byte 12                            // min_alignment
    .word 1                             // xloadflags: a 64-bit entry 0x200 behind the first byte
    .long 4095                          // cmdline_size
    .long 0                             // hardware_subarch
    .quad 0                             // hardware_subarch_data
    .long 0, 0                          // payload_offset, payload_length: nothing is compressed
    .quad 0                             // setup_data
    .quad ringside_image_start          // pref_address
    .long ringside_image_bytes         // init_size: .bss included
    .long 0                             // handover_offset
    .long ringside_linux_information_offset // kernel_info_offset
1:  jmp enter                           // behind boot_params
version_text:
    .asciz "Ringside"
    .org 0x290                          // from here on boot_params is filled in, and cannot be code

    .org BOOT_PARAMS_BYTES
// At offset 0x200 of the segment cs stands for; the loader's stack is good enough.
enter:
    cli
    cld
    movw %cs, %ax
    subw $0x20, %ax
    movw %ax, %ds
    movw %ax, %es
    movzwl %ax, %ebp
    shll $4, %ebp                       // our address
    sti

    // What is not the header is no boot_params yet: the boot sector's code.
    xorw %di, %di
    movw $0x1f1, %cx
    xorb %al, %al
    rep stosb

    // The BIOS's memory map.
    movw $E820_TABLE, %di
    xorl %ebx, %ebx
1:  movl $0xe820, %eax
    movl $E820_ENTRY_BYTES, %ecx
    movl $SMAP, %edx
    int $0x15
    jc 2f
    cmpl $SMAP, %eax
    jne 2f
    addw $E820_ENTRY_BYTES, %di
    incb E820_COUNT
    cmpb $E820_MOST, E820_COUNT
    je 2f
    testl %ebx, %ebx
    jnz 1b
2:
    // The address line 20, if the firmware left it off: by the BIOS, else by the fast gate.
    call line_20_works
    jne 3f
    movw $0x2401, %ax
    int $0x15
    call line_20_works
    jne 3f
    inb $0x92, %al
    orb $2, %al
    andb $~1, %al                       // this bit resets the machine
    outb %al, $0x92
3:
    cli
    leal (gdt - setup)(%ebp), %eax
    movl %eax, gdt_pointer - setup + 2
    lgdt gdt_pointer - setup
    leal (protected - setup)(%ebp), %eax
    movl %eax, far_target - setup
    movl %cr0, %eax
    orl $CR0_PE, %eax
    movl %eax, %cr0
    ljmpl *far_target - setup

// Zero flag clear if a word at 1 MiB + 0x200 differs from the one at 0x200, be it after a change (the word is INT 0x80's vector).
line_20_works:
    pushw %ds
    pushw %es
    xorw %ax, %ax
    movw %ax, %ds
    notw %ax
    movw %ax, %es
    movw 0x200, %cx
    movw %cx, %ax
    cmpw %es:0x210, %ax
    jne 1f
    incw %ax
    movw %ax, 0x200
    cmpw %es:0x210, %ax
    movw %cx, 0x200
1:  popw %es
    popw %ds
    ret

    .code32
protected:
    movl $SELECTOR_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    movl %eax, %ss
    movl %ebp, %esi
    movl CODE32_START(%esi), %eax
    xorl %ebx, %ebx
    xorl %edi, %edi
    xorl %ebp, %ebp
    jmp *%eax

    .balign 8
gdt:
    .quad 0, 0
    .quad 0x00cf9b000000ffff            // code
    .quad 0x00cf93000000ffff            // data
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .long 0
far_target:
    .long 0
    .word SELECTOR_CODE
    .org SETUP_BYTES
