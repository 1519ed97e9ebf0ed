"""Runs the probes in the emulator and gives back what they did: a list of steps, each an access to memory or an instruction that may order some."""

import re
import struct
import subprocess
from dataclasses import dataclass

PAGE = 4096
STACK = 0x60000000


@dataclass
class Step:
    kind: str        # R, W, or x (neither: a fence)
    pc: int
    text: str        # the instruction as objdump writes it
    address: int = 0
    size: int = 0


def disassemble(objdump, image):
    """{address: instruction}"""
    output = subprocess.run([objdump, "-d", "--no-show-raw-insn", str(image)], check=True, capture_output=True, text=True).stdout
    found = {}
    for line in output.splitlines():
        match = re.match(r"\s*([0-9a-f]+):\s+(.*)", line)
        if match:
            found[int(match[1], 16)] = re.sub(r"\s+", " ", match[2]).strip()
    return found


def symbols(nm, image):
    output = subprocess.run([nm, "--defined-only", str(image)], check=True, capture_output=True, text=True).stdout
    return {words[2]: int(words[0], 16) for words in map(str.split, output.splitlines()) if len(words) == 3}


def segments(image):
    """(address, bytes, size in memory) of what an ELF file wants loaded."""
    data = image.read_bytes()
    wide = data[4] == 2
    if wide:
        start, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    else:
        start, size, count = struct.unpack_from("<I", data, 28)[0], *struct.unpack_from("<HH", data, 42)
    for at in range(start, start + size * count, size):
        if wide:
            kind, _, offset, address, _, in_file, in_memory, _ = struct.unpack_from("<IIQQQQQQ", data, at)
        else:
            kind, offset, address, _, in_file, in_memory, _, _ = struct.unpack_from("<IIIIIIII", data, at)
        if kind == 1:
            yield address, data[offset:offset + in_file], in_memory


class Program:
    """A linked program in an emulator of its own. Use as a context."""

    def __init__(self, emulator, arch, image, tools):
        self.symbols = symbols(f"{tools}-nm", image)
        self.instructions = disassemble(f"{tools}-objdump", image)
        self._process = subprocess.Popen([str(emulator), arch], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        mapped = set()
        for address, data, size in segments(image):
            for page in range(address // PAGE, (address + max(size, 1) - 1) // PAGE + 1):
                if page not in mapped:
                    mapped.add(page)
                    self._say(f"map {page * PAGE:x} {PAGE:x}")
            for at in range(0, len(data), PAGE):
                if any(data[at:at + PAGE]):
                    self._say(f"write {address + at:x} {data[at:at + PAGE].hex()}")
        self._say(f"map {STACK - 16 * PAGE:x} {16 * PAGE:x}")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def _say(self, line):
        self._process.stdin.write(line + "\n")

    def write(self, address, data):
        self._say(f"write {address:x} {data.hex()}")

    def read(self, address, size):
        self._say(f"read {address:x} {size:x}")
        self._process.stdin.flush()
        return bytes.fromhex(self._process.stdout.readline()[2:])

    def call(self, name, argument=0):
        """The function's steps; accesses carry the instruction that did them."""
        self._say(f"call {self.symbols[name]:x} {STACK - 256:x} {argument:x}")
        self._process.stdin.flush()
        steps = []
        for line in self._process.stdout:
            words = line.split()
            if words[0] == ".":
                return steps
            pc = int(words[1], 16)
            text = self.instructions.get(pc, "?")
            if words[0] == "x":
                steps.append(Step("x", pc, text))
            else:
                steps.append(Step(words[0].upper(), pc, text, int(words[2], 16), int(words[3], 16)))
        raise RuntimeError(f"{name}: the emulator ended with {self._process.wait()}")
