#!/bin/sh
# build-newlib.sh ARCH TARBALL WORK PREFIX: builds newlib's static libc and libm for one processor with the distribution's own gcc.
#   ARCH     x86_64, aarch64, riscv64, armv7
#   TARBALL  the source archive (package newlib-source puts it under /usr/src/newlib)
#   WORK     an empty or absent scratch folder (absolute), which the caller removes
#   PREFIX   where the result goes: PREFIX/include and PREFIX/lib (absolute)
# Every compiler flag of the C library stands in this file: its checksum is part of the cache key, so that an edit here means a rebuild.
set -eu
[ $# -eq 4 ] || { echo "usage: build-newlib.sh ARCH TARBALL WORK PREFIX" >&2; exit 2; }
arch=$1 tarball=$2 work=$3 prefix=$4
jobs=${JOBS:-$(nproc)}
case $arch in
  x86_64) tool=x86_64-linux-gnu- machine_flags="-m64 -mno-red-zone -fcf-protection=none" ;;
  aarch64) tool=aarch64-linux-gnu- machine_flags="-mno-outline-atomics" ;;
  riscv64) tool=riscv64-linux-gnu- machine_flags="-march=rv64gc -mabi=lp64d -mcmodel=medany" ;;
  armv7) tool=arm-none-eabi- machine_flags="-mcpu=cortex-a15 -marm -mfloat-abi=hard -mfpu=neon-vfpv4" ;;
  *) echo "build-newlib.sh: unknown processor $arch" >&2; exit 2 ;;
esac
case $arch in
  armv7) target=arm-none-eabi ;;
  *) target=$arch-elf ;;
esac
mkdir -p "$work/source" "$work/build" "$work/install"
tar -xf "$tarball" -C "$work/source" --strip-components=1

# Only the compiler's own headers: newlib brings the rest. Where gcc keeps limits.h in include-fixed, that folder is needed too.
compiler_include=$(${tool}gcc -print-file-name=include)
fixed=$(${tool}gcc -print-file-name=include-fixed)
includes="-nostdinc -isystem $compiler_include"
[ ! -d "$fixed" ] || includes="$includes -isystem $fixed"
# Some distributions switch on PIE, CET, stack protection and _FORTIFY_SOURCE by default; each is switched off by name.
# Frame pointers are kept so that a backtrace can walk through the C library.
# __DYNAMIC_REENT__: the library asks the kernel (__getreent) for the running task's state, errno among it. The standard streams are
# global, one set for all tasks, behind the retargetable locks: as POSIX has it.
flags="-O2 -g -ffreestanding -ffunction-sections -fdata-sections -fno-pic -fno-pie -fno-stack-protector -fno-stack-clash-protection \
 -fno-omit-frame-pointer -fno-asynchronous-unwind-tables -fno-unwind-tables -U_FORTIFY_SOURCE \
 -U__linux__ -U__gnu_linux__ -U__unix__ -Ulinux -Uunix -D__DYNAMIC_REENT__ $includes $machine_flags"

cd "$work/build"
"$work/source/configure" --target="$target" --prefix="$work/install" --disable-multilib --disable-libgloss --disable-nls \
  --disable-newlib-supplied-syscalls --enable-newlib-retargetable-locking --enable-newlib-io-long-long \
  --enable-newlib-io-c99-formats --disable-newlib-wide-orient --enable-lite-exit --enable-newlib-global-atexit \
  --enable-newlib-global-stdio-streams \
  CC_FOR_TARGET="${tool}gcc" AS_FOR_TARGET="${tool}as" LD_FOR_TARGET="${tool}ld" AR_FOR_TARGET="${tool}ar" \
  RANLIB_FOR_TARGET="${tool}ranlib" NM_FOR_TARGET="${tool}nm" OBJCOPY_FOR_TARGET="${tool}objcopy" \
  STRIP_FOR_TARGET="${tool}strip" READELF_FOR_TARGET="${tool}readelf" CFLAGS_FOR_TARGET="$flags"
make -j"$jobs" all-target-newlib MAKEINFO=true
make install-target-newlib MAKEINFO=true
mkdir -p "$(dirname "$prefix")"
# One rename: the result is there whole or not at all. -T: never into a folder that somebody else has just put there.
mv -T "$work/install/$target" "$prefix"
