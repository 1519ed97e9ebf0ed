#!/usr/bin/env python3
"""Makes the table of function names that an image carries for its backtraces (called by ringside_add_image).

The output is assembly. What the kernel sees of it, in C++:
    struct Symbol { std::uint64_t address; std::uint32_t size; std::uint32_t name; };   // name: offset into ringside_symbol_names
    extern "C" const std::uint64_t ringside_symbol_count;
    extern "C" const Symbol ringside_symbols[];        // sorted by address
    extern "C" const char ringside_symbol_names[];     // zero-terminated, demangled
"""

import argparse
import subprocess
import sys

LONGEST_NAME = 100


def functions(nm, elf):
    """All functions of the image: (address, size, name), sorted, one for each address."""
    output = subprocess.run([nm, "--demangle", "--numeric-sort", "--print-size", "--defined-only", elf],
                            check=True, capture_output=True, text=True).stdout
    found = {}
    for line in output.splitlines():
        fields = line.split(maxsplit=3)
        if len(fields) == 4 and len(fields[2]) == 1:
            address, size, kind, name = fields
        else:
            # Assembly without .size: nm leaves the column out.
            address, kind, name = line.split(maxsplit=2)
            size = "0"
        if kind not in "tTwW" or name.startswith(".L"):
            continue
        entry = (int(address, 16), int(size, 16), name[:LONGEST_NAME])
        # Of several names at one address the one with a size says more.
        if entry[0] not in found or found[entry[0]][1] < entry[1]:
            found[entry[0]] = entry
    return [found[address] for address in sorted(found)]


def quoted(text):
    return text.replace("\\", "\\\\").replace('"', '\\"')


def assembly(table):
    lines = ["# Made by toolchain/symbols.py: the names for backtraces.",
             '    .section .rodata.ringside_symbols,"a",%progbits', "    .balign 8",
             "    .globl ringside_symbol_count, ringside_symbols, ringside_symbol_names",
             "ringside_symbol_count:", f"    .quad {len(table)}", "ringside_symbols:"]
    offset = 0
    for address, size, name in table:
        lines.append(f"    .quad {address:#x}\n    .long {size}, {offset}")
        offset += len(name.encode()) + 1
    lines.append("ringside_symbol_names:")
    lines += [f'    .asciz "{quoted(name)}"' for _, _, name in table]
    lines += ["    .byte 0", '    .section .note.GNU-stack,"",%progbits', ""]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description="Make the function name table of an image.")
    parser.add_argument("--empty", action="store_true", help="write a table without entries")
    parser.add_argument("--nm", default="nm", help="the nm that reads the image")
    parser.add_argument("--elf", help="the linked image")
    parser.add_argument("--check", action="store_true", help="compare with the file instead of writing it")
    parser.add_argument("file", help="the assembly file")
    options = parser.parse_args()
    text = assembly([] if options.empty else functions(options.nm, options.elf))
    if options.check:
        with open(options.file, encoding="utf-8") as file:
            if file.read() == text:
                return 0
        print(f"{options.elf}: functions moved when the symbol table was added; "
              "the linker script must place read-only data behind the code", file=sys.stderr)
        return 1
    with open(options.file, "w", encoding="utf-8") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
