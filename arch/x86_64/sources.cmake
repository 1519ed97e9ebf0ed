# What the kernel is built with for this processor. ringside_firmware: whose tables describe its machines (acpi or tree).
set(ringside_firmware acpi)
# Interrupt handlers save no vector registers, so they are compiled to touch none.
set(ringside_interrupt_flags -mgeneral-regs-only)
set(ringside_machine_sources
  arch/x86_64/calibration.cpp
  arch/x86_64/context.cpp
  arch/x86_64/descriptors.cpp
  arch/x86_64/exceptions.cpp
  arch/x86_64/interrupt_entry.S
  arch/x86_64/interrupts.cpp
  arch/x86_64/io_apic.cpp
  arch/x86_64/local_apic_interrupt.cpp
  arch/x86_64/page_tables.cpp
  arch/x86_64/paging.cpp
  arch/x86_64/power.cpp
  arch/x86_64/processors.cpp
  arch/x86_64/switch.S
  arch/x86_64/timer.cpp
  arch/x86_64/trampoline.S
  boot/x86_64/boot.cpp
  boot/x86_64/efi.cpp
  boot/x86_64/entry.S
  boot/x86_64/firmware_scan.cpp
  boot/x86_64/linux.cpp
  boot/x86_64/multiboot2.cpp
  boot/x86_64/pvh.cpp
  boot/x86_64/setup.S
)
# The image as a UEFI application.
set(ringside_uefi_sources boot/uefi/stub.cpp boot/x86_64/uefi_enter.cpp)
