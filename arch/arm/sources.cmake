# What both ARM processors have: interrupt controller, timer, firmware calls. arch/NAME/ supplies <machine/generic_timer.hpp>, choose_gic()
# and the assembly behind firmware_call.hpp.
set(ringside_arm_sources
  arch/arm/entry_interrupt.cpp
  arch/arm/gic_v2.cpp
  arch/arm/gic_v2_interrupt.cpp
  arch/arm/gic_v2m.cpp
  arch/arm/interrupts.cpp
  arch/arm/power.cpp
  arch/arm/timer.cpp
)
# For those that start their other processors, too.
set(ringside_arm_processor_sources
  arch/arm/processors.cpp
  arch/arm/wake_interrupt.cpp
)
