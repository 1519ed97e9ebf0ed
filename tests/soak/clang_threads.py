#!/usr/bin/env python3
"""clang_threads.py BUILD OPERATIONS: soak_threads once more as clang 19 compiles it, for every ring, under its thread sanitizer."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ["tests/soak/soak_threads.cpp", "libvirtio/base.cpp", "libvirtio/ring/packed.cpp", "libvirtio/ring/ring.cpp", "libvirtio/ring/split.cpp"]


def main(build, operations):
    if not shutil.which("clang++-19"):
        print("clang++-19 is not installed: nothing was run (packages: clang-19, libclang-rt-19-dev)")
        return 1
    folder = Path(build)
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "soak_threads"
    made = subprocess.run(["clang++-19", "-std=c++23", "-O2", "-g1", "-fsanitize=thread", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra", "-Werror",
                           f"-I{ROOT}", f"-I{ROOT}/arch/host/include", "-o", str(program), *[str(ROOT / source) for source in SOURCES], "-pthread"])
    if made.returncode:
        return 1
    wrong = 0
    for ring in ("split", "packed", "split_in_order", "packed_in_order"):
        print(f"{ring}: ", end="", flush=True)
        wrong += subprocess.run([str(program), ring, operations]).returncode != 0
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
