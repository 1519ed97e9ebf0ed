# What the toolchain files of all processors share: the distribution's g++, newlib, and the libstdc++ headers that are configured for newlib.
# Included by toolchain/PROCESSOR.cmake, which has set
#   RINGSIDE_TOOLCHAIN   the processor, a folder of arch/ and boot/
#   ringside_tools       the prefix of its compiler and binutils
#   ringside_machine     the compiler's flags for it
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR ${RINGSIDE_TOOLCHAIN})
set(CMAKE_C_COMPILER ${ringside_tools}gcc)
set(CMAKE_CXX_COMPILER ${ringside_tools}g++)
set(CMAKE_ASM_COMPILER ${ringside_tools}gcc)
set(CMAKE_OBJCOPY ${ringside_tools}objcopy)
set(CMAKE_NM ${ringside_tools}nm)
# There is nothing to link a test program with before the kernel is built.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES RINGSIDE_NEWLIB)

include(${CMAKE_CURRENT_LIST_DIR}/dependencies.cmake)
if(NOT RINGSIDE_NEWLIB)
  ringside_newlib_folder(RINGSIDE_NEWLIB ${RINGSIDE_TOOLCHAIN} ${CMAKE_C_COMPILER})
endif()
if(NOT EXISTS ${RINGSIDE_NEWLIB}/lib/libc.a)
  get_filename_component(ringside_door ${CMAKE_CURRENT_LIST_DIR}/../ringside ABSOLUTE)
  message(FATAL_ERROR "no C library at ${RINGSIDE_NEWLIB}: run '${ringside_door} setup --arch ${RINGSIDE_TOOLCHAIN}' first, or give -DRINGSIDE_NEWLIB=FOLDER")
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

# Frame pointers: backtraces. One global stack guard: thread-local storage does not exist.
# newlib declares clock_gettime() and CLOCK_MONOTONIC only for systems that say that they have them.
string(CONCAT ringside_common
  "-ffreestanding -nostdinc -fno-pic -fno-pie -fno-omit-frame-pointer -fno-stack-clash-protection -fstack-protector-strong -mstack-protector-guard=global "
  "-fno-asynchronous-unwind-tables -fno-unwind-tables -ffunction-sections -fdata-sections "
  "-U_FORTIFY_SOURCE -U__linux__ -U__gnu_linux__ -U__unix__ -Ulinux -Uunix -D__DYNAMIC_REENT__ -D_POSIX_TIMERS=200809L "
  "-D_POSIX_MONOTONIC_CLOCK=200809L ${ringside_machine}")
set(CMAKE_C_FLAGS_INIT "${ringside_common} ${ringside_c_include}")
set(CMAKE_ASM_FLAGS_INIT "-ffreestanding -nostdinc ${ringside_machine} ${ringside_c_include}")
set(CMAKE_CXX_FLAGS_INIT "${ringside_common} -nostdinc++ -fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-use-cxa-atexit -isystem ${ringside_cxx_include} -isystem ${ringside_cxx_include}/arm-none-eabi ${ringside_c_include}")
set(CMAKE_EXE_LINKER_FLAGS_INIT "${ringside_machine} -nostdlib -static -no-pie -Wl,--build-id=none -Wl,--gc-sections -Wl,-z,max-page-size=4096 -Wl,-z,separate-code -Wl,-z,noexecstack")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
