#!/usr/bin/env python3
"""What the compiler made of it: object_code.py freestanding ARCHIVE... | interrupt FOLDER

freestanding: the archives together need memcpy, memmove, memset, memcmp and the stack protector's two names, nothing else.
interrupt: objects made of *_interrupt.cpp touch no vector register and call none of libc's memory and string functions (newlib's use vector
registers): nobody saves those registers when an interrupt comes."""

import re
import subprocess
import sys
from pathlib import Path

ALLOWED = {"memcpy", "memmove", "memset", "memcmp", "__stack_chk_fail", "__stack_chk_guard"}
LIBC = re.compile(r"mem(cpy|move|set|cmp|chr)|str\w+|.*printf|malloc|free|_Zn[wa]\w*|_Zd[la]\w*")
VECTOR = re.compile(r"%[xyz]?mm[0-9]")


def symbols(path, option):
    output = subprocess.run(["x86_64-linux-gnu-nm", option, "--format=just-symbols", str(path)], check=True, capture_output=True, text=True).stdout
    return {line.strip() for line in output.splitlines() if line.strip() and not line.endswith(":")}


def freestanding(archives):
    undefined, defined = set(), set()
    for archive in archives:
        undefined |= symbols(archive, "--undefined-only")
        defined |= symbols(archive, "--defined-only")
    faults = sorted(undefined - defined - ALLOWED)
    for name in faults:
        print(f"{', '.join(Path(a).name for a in archives)} need {name}")
    print(f"{len(defined)} symbols defined, {len(undefined - defined)} undefined, {len(faults)} of them not allowed")
    return 1 if faults or not defined else 0


def interrupt(folder):
    objects = sorted(Path(folder).rglob("*_interrupt.cpp.o*"))
    faults = []
    for path in objects:
        code = subprocess.run(["x86_64-linux-gnu-objdump", "-d", "--no-show-raw-insn", str(path)], check=True, capture_output=True, text=True).stdout
        used = VECTOR.search(code)
        if used:
            faults.append(f"{path.name} uses {used[0]}")
        faults += [f"{path.name} calls {name}" for name in sorted(symbols(path, "--undefined-only")) if LIBC.fullmatch(name)]
    for fault in faults:
        print(fault)
    print(f"{len(objects)} objects looked at, {len(faults)} faults")
    return 1 if faults or not objects else 0


if __name__ == "__main__":
    sys.exit(freestanding(sys.argv[2:]) if sys.argv[1] == "freestanding" else interrupt(sys.argv[2]))
