"""Compilers for every processor that has a leaf in arch/, for what needs no kernel: libvirtio and the drivers, compiled as firmware would.

GCC is the distribution's for each processor, clang is one program for all. The headers are those that the guest is built with: the C++
library's freestanding ones and newlib's, which serve every processor."""

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from . import newlib
from .messages import UserError
from .paths import ROOT


@dataclass(frozen=True)
class Processor:
    gnu: str                                    # prefix of the GNU tools
    clang: str                                  # --target
    flags: tuple = field(default=())            # of both compilers
    gcc_flags: tuple = field(default=())


PROCESSORS = {
    "x86_64": Processor("x86_64-linux-gnu", "x86_64-unknown-none-elf", ("-mno-red-zone", "-fcf-protection=none")),
    # Atomic operations in place: the distribution's GCC would call functions of libgcc for them.
    "aarch64": Processor("aarch64-linux-gnu", "aarch64-none-elf", ("-mno-outline-atomics",)),
    "riscv64": Processor("riscv64-linux-gnu", "riscv64-unknown-elf",
                         ("-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany")),
    # No notes about how GCC 7 changed the passing of arguments.
    "armv7": Processor("arm-none-eabi", "armv7a-none-eabi", ("-march=armv7-a", "-mthumb", "-mfloat-abi=soft"),
                       ("-Wno-psabi",)),
}
COMPILERS = ("gcc", "clang")
PACKAGES = ["g++-aarch64-linux-gnu", "g++-riscv64-linux-gnu", "gcc-arm-none-eabi"]
CLANG = "clang++-19"


def program(arch, compiler):
    return CLANG if compiler == "clang" else f"{PROCESSORS[arch].gnu}-g++"


def _output(*words):
    try:
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        raise UserError(f"there is no {words[0]}: 'ringside setup --tests' installs it") from None


def headers(arch, compiler):
    """The folders of the freestanding C++ library and of newlib, in the order in which they refer to each other."""
    if compiler == "clang":
        own = Path(_output(CLANG, "-print-resource-dir")) / "include"
    else:
        own = Path(_output(program(arch, compiler), "-print-file-name=include"))
    version = re.match(r"\d+", _output(f"{PROCESSORS['x86_64'].gnu}-g++", "-dumpversion"))[0]
    library = sorted(Path("/usr/include/newlib/c++").glob(f"{version}.*"))
    if not library:
        raise UserError(f"no libstdc++ headers for g++ {version} under /usr/include/newlib/c++: run 'ringside setup'")
    return [library[-1], library[-1] / "arm-none-eabi", own, newlib.folder("x86_64") / "include"]


def flags(arch, compiler, optimisation):
    """How firmware is compiled: no exceptions, no RTTI, no unwind tables, a section for each function."""
    words = [optimisation, "-ffreestanding", "-nostdinc", "-fno-pic", "-fno-pie", "-fno-exceptions", "-fno-rtti",
             "-fno-threadsafe-statics", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-fno-stack-protector",
             "-ffunction-sections", "-fdata-sections", "-U_FORTIFY_SOURCE", "-U__linux__", "-U__gnu_linux__", "-U__unix__", "-Ulinux", "-Uunix",
             *PROCESSORS[arch].flags]
    words += [f"--target={PROCESSORS[arch].clang}"] if compiler == "clang" else PROCESSORS[arch].gcc_flags
    for folder in headers(arch, compiler):
        words += ["-isystem", str(folder)]
    return words


def compile_command(arch, compiler, optimisation, source, target, extra=(), root=ROOT):
    """One file of the repository's own, or of another copy of it."""
    return [program(arch, compiler), "-std=c++23", "-nostdinc++", *flags(arch, compiler, optimisation), "-Wall", "-Wextra", "-Wconversion",
            "-Wshadow", "-Werror", *extra, f"-I{root}", f"-I{root}/arch/{arch}/include", "-c", str(source), "-o", str(target)]


def build_libraries(arch, compiler, optimisation, folder, source=ROOT, targets=()):
    """libvirtio and the drivers by CMake, as in somebody else's project; warnings are errors. Returns what the build printed."""
    common = " ".join(flags(arch, compiler, optimisation))
    c_compiler = program(arch, compiler).replace("++-19", "-19").replace("-g++", "-gcc")
    configure = ["cmake", "-G", "Ninja", "-S", str(source), "-B", str(folder), "-DCMAKE_SYSTEM_NAME=Generic",
                 f"-DCMAKE_SYSTEM_PROCESSOR={arch}", f"-DCMAKE_C_COMPILER={c_compiler}", f"-DCMAKE_CXX_COMPILER={program(arch, compiler)}",
                 f"-DCMAKE_ASM_COMPILER={c_compiler}", "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY", f"-DCMAKE_C_FLAGS={common}",
                 f"-DCMAKE_CXX_FLAGS=-nostdinc++ {common}", "-DCMAKE_BUILD_TYPE=", "-DRINGSIDE_KERNEL=OFF", "-DRINGSIDE_TESTS=OFF",
                 "-DRINGSIDE_WERROR=ON"]
    output = ""
    steps = [["cmake", "--build", str(folder), *(["--target", *targets] if targets else [])]]
    stamp = Path(folder) / "configured-as.txt"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != "\n".join(configure):
        steps.insert(0, configure)
    for step in steps:
        run = subprocess.run(step, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, env={**os.environ, "NINJA_STATUS": ""})
        if run.returncode != 0:
            raise UserError(f"{arch}, {compiler} {optimisation}: {' '.join(step[:3])} failed:\n{run.stdout}{run.stderr}".rstrip())
        if step is configure:
            stamp.write_text("\n".join(configure), encoding="utf-8")
        output += run.stdout + run.stderr
    return output
