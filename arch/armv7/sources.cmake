# What the kernel is built with for this processor. ringside_firmware: whose tables describe its machines (acpi or tree).
set(ringside_firmware tree)
# Interrupt handlers save no vector registers, so they are compiled to touch none.
set(ringside_interrupt_flags -mgeneral-regs-only)
include(${PROJECT_SOURCE_DIR}/arch/arm/sources.cmake)
set(ringside_machine_sources
  ${ringside_arm_sources}
  ${ringside_arm_processor_sources}
  arch/armv7/context.cpp
  arch/armv7/exceptions.cpp
  arch/armv7/gic.cpp
  arch/armv7/page_tables.cpp
  arch/armv7/paging.cpp
  arch/armv7/paging.S
  arch/armv7/switch.S
  arch/armv7/vectors.S
  arch/armv7/processors.cpp
  arch/armv7/secondary.S
  boot/armv7/boot.cpp
  boot/armv7/entry.S
)
