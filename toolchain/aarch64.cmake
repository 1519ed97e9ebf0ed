# CMake toolchain file: 64-bit ARM guests.
# Use:  cmake -DCMAKE_TOOLCHAIN_FILE=.../toolchain/aarch64.cmake -S . -B build
# The C library comes from `ringside setup`; -DRINGSIDE_NEWLIB=FOLDER (with include/ and lib/) takes another one.
set(RINGSIDE_TOOLCHAIN aarch64)
set(ringside_tools aarch64-linux-gnu-)
# Atomic operations in place: the distribution's GCC would call functions of libgcc for them, which ask Linux what the processor can.
set(ringside_machine "-mno-outline-atomics")
include(${CMAKE_CURRENT_LIST_DIR}/guest.cmake)
