# CMake toolchain file: 64-bit x86 guests.
# Use:  cmake -DCMAKE_TOOLCHAIN_FILE=.../toolchain/x86_64.cmake -S . -B build
# The C library comes from `ringside setup`; -DRINGSIDE_NEWLIB=FOLDER (with include/ and lib/) takes another one.
set(RINGSIDE_TOOLCHAIN x86_64)
set(ringside_tools x86_64-linux-gnu-)
# No red zone: an interrupt would write over it.
set(ringside_machine "-m64 -mno-red-zone -fcf-protection=none")
include(${CMAKE_CURRENT_LIST_DIR}/guest.cmake)
