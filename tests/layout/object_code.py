#!/usr/bin/env python3
"""What the compiler made of it: object_code.py PROCESSOR freestanding ARCHIVE... | interrupt FOLDER | path FOLDER IMAGE

freestanding: the archives together need memcpy, memmove, memset, memcmp and the stack protector's two names, nothing else.
interrupt: objects made of *_interrupt.cpp touch no vector or floating-point register and call none of libc's memory and string functions
(newlib's use vector registers): nobody saves those registers when an interrupt comes.
path: the same for a whole image: everything that the functions of those objects call, directly or not, wherever it was compiled. It ends at a
panic, which never returns to what was interrupted."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Processor:
    tools: str                  # prefix of its binutils
    vector: str                 # a register that handlers must not touch, among the operands of an instruction
    jump: str                   # mnemonics that go to an address
    library: str = ""           # the compiler's own: what divides, shifts and counts bits where the processor cannot


PROCESSORS = {
    "x86_64": Processor("x86_64-linux-gnu-", r"%[xyz]?mm[0-9]", r"call|j\w+"),
    "aarch64": Processor("aarch64-linux-gnu-", r"\b[vqdshb][0-9]{1,2}\b", r"bl?|b\.\w+|cbn?z|tbn?z"),
    "riscv64": Processor("riscv64-linux-gnu-", r"\b(f[ats]|v)[0-9]{1,2}\b", r"j|jr|jal|jalr|b\w+", r"__c[lt]z[sd]i2|__popcountdi2"),
    "armv7": Processor("arm-none-eabi-", r"\b[qds][0-9]{1,2}\b", r"bl?x?\w{0,2}(?:\.n|\.w)?",
                       r"__aeabi_(mem\w+|u?l(div|cmp|mul)\w*|u?idiv\w*|l[al]s[lr])"),
}

ALLOWED = {"memcpy", "memmove", "memset", "memcmp", "__stack_chk_fail", "__stack_chk_guard"}
LIBC = re.compile(r"mem(cpy|move|set|cmp|chr)|str\w+|.*printf|malloc|free|_Zn[wa]\w*|_Zd[la]\w*")
# The ways out that do not come back: panic, exceptions, a smashed stack.
LAST_WORDS = re.compile(r"__stack_chk_fail|_ZN6kernel5panic|kernel_exception|exception_common")
# Where interrupts enter.
ENTRIES = ["interrupt_entry.S", "exception_entry.S", "vectors.S"]


def tool(processor, name, *arguments):
    return subprocess.run([PROCESSORS[processor].tools + name, *arguments], check=True, capture_output=True, text=True).stdout


def vector_register(processor, instruction):
    """The first that it names; None without. Names of functions are none, nor is what stands behind a comment."""
    _, _, operands = re.sub(r"(0x)?[0-9a-f]+ <.*?>|//.*|# [0-9a-f]+.*|; .*|@ .*", "", instruction).partition("\t")
    operands = operands or instruction.partition(" ")[2]
    used = re.search(PROCESSORS[processor].vector, operands)
    return used and used[0]


def symbols(processor, path, option):
    """Names, without those that need not be there: the vtable of an abstract class refers weakly to __cxa_pure_virtual."""
    words = [line.split() for line in tool(processor, "nm", option, "--format=posix", str(path)).splitlines()]
    return {fields[0] for fields in words if len(fields) >= 2 and not (option == "--undefined-only" and fields[1] in "wv")}


def freestanding(processor, archives):
    undefined, defined = set(), set()
    for archive in archives:
        undefined |= symbols(processor, archive, "--undefined-only")
        defined |= symbols(processor, archive, "--defined-only")
    faults = sorted(name for name in undefined - defined - ALLOWED if not re.fullmatch(PROCESSORS[processor].library, name))
    for name in faults:
        print(f"{', '.join(Path(a).name for a in archives)} need {name}")
    print(f"{len(defined)} symbols defined, {len(undefined - defined)} undefined, {len(faults)} of them not allowed")
    return 1 if faults or not defined else 0


def interrupt(processor, folder):
    objects = sorted(Path(folder).rglob("*_interrupt.cpp.o*"))
    faults = []
    for path in objects:
        used = [line for _, lines in functions(processor, path) for line in lines if vector_register(processor, line)]
        if used:
            faults.append(f"{path.name}: {used[0]}")
        faults += [f"{path.name} calls {name}" for name in sorted(symbols(processor, path, "--undefined-only")) if LIBC.fullmatch(name)]
    for fault in faults:
        print(fault)
    print(f"{len(objects)} objects looked at, {len(faults)} faults")
    return 1 if faults or not objects else 0


def functions(processor, path):
    """[((address, name), [instructions])] of an object or an image, names as the linker knows them."""
    found, lines = [], []
    for line in tool(processor, "objdump", "-d", "--no-show-raw-insn", str(path)).splitlines():
        head = re.match(r"([0-9a-f]+) <(.*)>:$", line)
        if head:
            lines = []
            found.append(((int(head[1], 16), head[2]), lines))
        elif "\t" in line:
            lines.append(line.split("\t", 1)[1].strip())
    return found


def path(processor, folder, image):
    objects = [found for name in ["*_interrupt.cpp", *ENTRIES] for found in sorted(Path(folder).rglob(f"{name}.o*"))]
    roots = set().union(*(symbols(processor, path, "--defined-only") for path in objects)) if objects else set()
    code = {address: (name, lines) for (address, name), lines in functions(processor, image)}
    jump = re.compile(rf"(?:{PROCESSORS[processor].jump})\s+(?:.*?[\s,])?([0-9a-f]+) <([^+>]*)>")
    todo = [address for address, (name, _) in code.items() if name in roots and name != "exception_common"]
    reached, faults = {address: None for address in todo}, []
    while todo:
        address = todo.pop()
        name, lines = code[address]
        chain, caller = [name], reached[address]
        while caller is not None:
            chain.append(code[caller][0])
            caller = reached[caller]
        used = [line for line in lines if vector_register(processor, line)]
        if used:
            faults.append(f"{' < '.join(chain)}: {used[0]}")
        if LIBC.fullmatch(name):
            faults.append(f"{' < '.join(chain)}: a function of the C library")
        for line in lines:
            target = jump.match(line)
            if target and int(target[1], 16) not in reached and int(target[1], 16) in code and not LAST_WORDS.search(target[2]):
                reached[int(target[1], 16)] = address
                todo.append(int(target[1], 16))
    for fault in faults:
        print(fault)
    print(f"{len(reached)} functions on the interrupt path, {len(faults)} faults")
    return 1 if faults or len(reached) < 5 else 0


def main(processor, what, *paths):
    if what == "freestanding":
        return freestanding(processor, paths)
    return interrupt(processor, *paths) if what == "interrupt" else path(processor, *paths)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
