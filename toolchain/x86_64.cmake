# CMake toolchain file: 64-bit x86 guests, with the distribution's g++, newlib and the libstdc++ headers that are configured for newlib.
# Use:  cmake -DCMAKE_TOOLCHAIN_FILE=.../toolchain/x86_64.cmake -S . -B build
# The C library comes from `ringside setup`; -DRINGSIDE_NEWLIB=FOLDER (with include/ and lib/) takes another one.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(RINGSIDE_TOOLCHAIN x86_64)
set(CMAKE_C_COMPILER x86_64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER x86_64-linux-gnu-g++)
set(CMAKE_ASM_COMPILER x86_64-linux-gnu-gcc)
set(CMAKE_OBJCOPY x86_64-linux-gnu-objcopy)
set(CMAKE_NM x86_64-linux-gnu-nm)
# There is nothing to link a test program with before the kernel is built.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES RINGSIDE_NEWLIB)

include(${CMAKE_CURRENT_LIST_DIR}/dependencies.cmake)
if(NOT RINGSIDE_NEWLIB)
  ringside_newlib_folder(RINGSIDE_NEWLIB x86_64 ${CMAKE_C_COMPILER})
endif()
if(NOT EXISTS ${RINGSIDE_NEWLIB}/lib/libc.a)
  get_filename_component(ringside_door ${CMAKE_CURRENT_LIST_DIR}/../ringside ABSOLUTE)
  message(FATAL_ERROR "no C library at ${RINGSIDE_NEWLIB}: run '${ringside_door} setup' first, or give -DRINGSIDE_NEWLIB=FOLDER")
endif()

# libstdc++'s headers must be of the compiler's own major version; only headers are used, so the package made for another processor serves.
execute_process(COMMAND ${CMAKE_CXX_COMPILER} -dumpversion OUTPUT_VARIABLE ringside_gcc OUTPUT_STRIP_TRAILING_WHITESPACE)
string(REGEX MATCH "^[0-9]+" ringside_gcc "${ringside_gcc}")
file(GLOB ringside_cxx_include /usr/include/newlib/c++/${ringside_gcc}.*)
if(NOT ringside_cxx_include)
  message(FATAL_ERROR "no libstdc++ headers for g++ ${ringside_gcc} under /usr/include/newlib/c++: install libstdc++-arm-none-eabi-dev, or run 'ringside setup'")
endif()
list(GET ringside_cxx_include -1 ringside_cxx_include)
execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=include OUTPUT_VARIABLE ringside_gcc_include OUTPUT_STRIP_TRAILING_WHITESPACE)
execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=include-fixed OUTPUT_VARIABLE ringside_gcc_fixed OUTPUT_STRIP_TRAILING_WHITESPACE)
set(ringside_c_include "-isystem ${ringside_gcc_include}")
if(EXISTS "${ringside_gcc_fixed}/limits.h")
  string(APPEND ringside_c_include " -isystem ${ringside_gcc_fixed}")
endif()
# newlib last: libstdc++ reaches it by #include_next.
string(APPEND ringside_c_include " -isystem ${RINGSIDE_NEWLIB}/include")

# No red zone: an interrupt would write over it. Frame pointers: backtraces. One global stack guard: thread-local storage does not exist.
set(ringside_machine "-m64 -mno-red-zone -fcf-protection=none -mstack-protector-guard=global")
# newlib declares clock_gettime() and CLOCK_MONOTONIC only for systems that say that they have them.
string(CONCAT ringside_common
  "-ffreestanding -nostdinc -fno-pic -fno-pie -fno-omit-frame-pointer -fno-stack-clash-protection -fstack-protector-strong "
  "-fno-asynchronous-unwind-tables -fno-unwind-tables -ffunction-sections -fdata-sections "
  "-U_FORTIFY_SOURCE -U__linux__ -U__gnu_linux__ -U__unix__ -Ulinux -Uunix -D__DYNAMIC_REENT__ -D_POSIX_TIMERS=200809L "
  "-D_POSIX_MONOTONIC_CLOCK=200809L ${ringside_machine}")
set(CMAKE_C_FLAGS_INIT "${ringside_common} ${ringside_c_include}")
set(CMAKE_ASM_FLAGS_INIT "-ffreestanding -nostdinc -m64 ${ringside_c_include}")
set(CMAKE_CXX_FLAGS_INIT "${ringside_common} -nostdinc++ -fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-use-cxa-atexit -isystem ${ringside_cxx_include} -isystem ${ringside_cxx_include}/arm-none-eabi ${ringside_c_include}")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-m64 -nostdlib -static -no-pie -Wl,--build-id=none -Wl,--gc-sections -Wl,-z,max-page-size=4096 -Wl,-z,separate-code -Wl,-z,noexecstack")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
