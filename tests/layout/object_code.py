#!/usr/bin/env python3
"""What the compiler made of it: object_code.py freestanding ARCHIVE... | interrupt FOLDER | path FOLDER IMAGE

freestanding: the archives together need memcpy, memmove, memset, memcmp and the stack protector's two names, nothing else.
interrupt: objects made of *_interrupt.cpp touch no vector register and call none of libc's memory and string functions (newlib's use vector
registers): nobody saves those registers when an interrupt comes.
path: the same for a whole image: everything that the functions of those objects call, directly or not, wherever it was compiled. It ends at a
panic, which never returns to what was interrupted."""

import re
import subprocess
import sys
from pathlib import Path

ALLOWED = {"memcpy", "memmove", "memset", "memcmp", "__stack_chk_fail", "__stack_chk_guard"}
LIBC = re.compile(r"mem(cpy|move|set|cmp|chr)|str\w+|.*printf|malloc|free|_Zn[wa]\w*|_Zd[la]\w*")
VECTOR = re.compile(r"%[xyz]?mm[0-9]")
# The ways out that do not come back: panic, exceptions, a smashed stack.
LAST_WORDS = re.compile(r"__stack_chk_fail|_ZN6kernel5panic|kernel_exception|exception_common")


def symbols(path, option):
    """Names, without those that need not be there: the vtable of an abstract class refers weakly to __cxa_pure_virtual."""
    output = subprocess.run(["x86_64-linux-gnu-nm", option, "--format=posix", str(path)], check=True, capture_output=True, text=True).stdout
    words = [line.split() for line in output.splitlines()]
    return {fields[0] for fields in words if len(fields) >= 2 and not (option == "--undefined-only" and fields[1] in "wv")}


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


def functions(image):
    """{address: (name, [instructions])} of an image, names as the linker knows them."""
    code = subprocess.run(["x86_64-linux-gnu-objdump", "-d", "--no-show-raw-insn", str(image)], check=True, capture_output=True, text=True).stdout
    found, lines = {}, []
    for line in code.splitlines():
        head = re.match(r"([0-9a-f]+) <(.*)>:$", line)
        if head:
            lines = []
            found[int(head[1], 16)] = (head[2], lines)
        elif "\t" in line:
            lines.append(line.split("\t", 1)[1])
    return found


def path(folder, image):
    objects = sorted(Path(folder).rglob("*_interrupt.cpp.o*")) + sorted(Path(folder).rglob("interrupt_entry.S.o*"))
    roots = set().union(*(symbols(path, "--defined-only") for path in objects)) if objects else set()
    code = functions(image)
    todo = [address for address, (name, _) in code.items() if name in roots and name != "exception_common"]
    reached, faults = {address: None for address in todo}, []
    while todo:
        address = todo.pop()
        name, lines = code[address]
        chain, caller = [name], reached[address]
        while caller is not None:
            chain.append(code[caller][0])
            caller = reached[caller]
        used = [line for line in lines if VECTOR.search(line)]
        if used:
            faults.append(f"{' < '.join(chain)}: {used[0]}")
        if LIBC.fullmatch(name):
            faults.append(f"{' < '.join(chain)}: a function of the C library")
        for line in lines:
            target = re.match(r"(?:call|jmp|j\w+)\s+([0-9a-f]+) <([^+>]*)>", line)
            if target and int(target[1], 16) not in reached and int(target[1], 16) in code and not LAST_WORDS.search(target[2]):
                reached[int(target[1], 16)] = address
                todo.append(int(target[1], 16))
    for fault in faults:
        print(fault)
    print(f"{len(reached)} functions on the interrupt path, {len(faults)} faults")
    return 1 if faults or len(reached) < 5 else 0


if __name__ == "__main__":
    if sys.argv[1] == "path":
        sys.exit(path(sys.argv[2], sys.argv[3]))
    sys.exit(freestanding(sys.argv[2:]) if sys.argv[1] == "freestanding" else interrupt(sys.argv[2]))
