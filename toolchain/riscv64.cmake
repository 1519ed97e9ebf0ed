# CMake toolchain file: 64-bit RISC-V guests.
# Use:  cmake -DCMAKE_TOOLCHAIN_FILE=.../toolchain/riscv64.cmake -S . -B build
# The C library comes from `ringside setup`; -DRINGSIDE_NEWLIB=FOLDER (with include/ and lib/) takes another one.
set(RINGSIDE_TOOLCHAIN riscv64)
set(ringside_tools riscv64-linux-gnu-)
# Code and data lie above 2 GiB.
set(ringside_machine "-march=rv64gc -mabi=lp64d -mcmodel=medany")
include(${CMAKE_CURRENT_LIST_DIR}/guest.cmake)
