# CMake toolchain file: 32-bit ARM guests (ARMv7-A with the large address extension, such as Cortex-A15).
# Use:  cmake -DCMAKE_TOOLCHAIN_FILE=.../toolchain/armv7.cmake -S . -B build
# The C library comes from `ringside setup`; -DRINGSIDE_NEWLIB=FOLDER (with include/ and lib/) takes another one.
set(RINGSIDE_TOOLCHAIN armv7)
set(ringside_tools arm-none-eabi-)
# No notes about how GCC 7 changed the passing of arguments.
set(ringside_machine "-mcpu=cortex-a15 -marm -mfloat-abi=hard -mfpu=neon-vfpv4 -Wno-psabi")
include(${CMAKE_CURRENT_LIST_DIR}/guest.cmake)
