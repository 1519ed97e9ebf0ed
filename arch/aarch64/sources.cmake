# What the kernel is built with for this processor. ringside_firmware: whose tables describe its machines (acpi or tree).
set(ringside_firmware tree)
# Interrupt handlers save no vector registers, so they are compiled to touch none.
set(ringside_interrupt_flags -mgeneral-regs-only)
include(${PROJECT_SOURCE_DIR}/arch/arm/sources.cmake)
set(ringside_machine_sources
  ${ringside_arm_sources}
  ${ringside_arm_processor_sources}
  arch/aarch64/context.cpp
  arch/aarch64/exception_entry.S
  arch/aarch64/exception_stacks.cpp
  arch/aarch64/exceptions.cpp
  arch/aarch64/firmware_call.S
  arch/aarch64/gic_choice.cpp
  arch/aarch64/gic_v3.cpp
  arch/aarch64/gic_v3_interrupt.cpp
  arch/aarch64/its.cpp
  arch/aarch64/page_tables.cpp
  arch/aarch64/paging.cpp
  arch/aarch64/processors.cpp
  arch/aarch64/secondary.S
  arch/aarch64/switch.S
  boot/aarch64/boot.cpp
  boot/aarch64/entry.S
)
# The image as a UEFI application.
set(ringside_uefi_sources boot/uefi/stub.cpp boot/aarch64/uefi_enter.cpp)
