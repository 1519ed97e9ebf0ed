// What arch/arm/firmware_call.hpp declares. The callees keep what a C function must keep (SMCCC, 2.6).
    .macro function name
    .section .text.\name, "ax", @progbits
    .globl \name
    .type \name, @function
\name:
    .endm

    function ringside_hypervisor_call
    hvc #0
    ret
    .size ringside_hypervisor_call, . - ringside_hypervisor_call

    function ringside_secure_call
    smc #0
    ret
    .size ringside_secure_call, . - ringside_secure_call

    function ringside_semihosting
    hlt #0xf000
    ret
    .size ringside_semihosting, . - ringside_semihosting

    .section .note.GNU-stack, "", @progbits
