# What the kernel is built with for this processor. ringside_firmware: whose tables describe its machines (acpi or tree).
set(ringside_firmware tree)
# Interrupt handlers save no floating-point registers. This compiler has no option that keeps it off them; the test of the object code
# (tests/layout/object_code.py) sees that none is touched.
set(ringside_interrupt_flags)
set(ringside_machine_sources
  arch/riscv64/aplic.cpp
  arch/riscv64/context.cpp
  arch/riscv64/exceptions.cpp
  arch/riscv64/external_interrupt.cpp
  arch/riscv64/imsic.cpp
  arch/riscv64/interrupt_entry.S
  arch/riscv64/interrupts.cpp
  arch/riscv64/page_tables.cpp
  arch/riscv64/paging.cpp
  arch/riscv64/plic.cpp
  arch/riscv64/power.cpp
  arch/riscv64/probe.S
  arch/riscv64/processors.cpp
  arch/riscv64/secondary.S
  arch/riscv64/switch.S
  arch/riscv64/timer.cpp
  boot/riscv64/boot.cpp
  boot/riscv64/entry.S
)
