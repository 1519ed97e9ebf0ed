"""Exact counts of what a guest executes: QEMU's TCG with the plugin count.c, built here with the host's compiler.

    with Counter() as counter:
        lines, printed, code = counter.run(machine, addresses={"entry": 0x100000, "main": 0x10a000}, timeout=60)
        lines[0].name, lines[0].instructions        # "entry", 5123456
        for span in spans(lines): span.total, span.device_writes, span.profile   # what was measured, one after the other
"""

import bisect
import collections
import dataclasses
import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from ringside import process
from ringside.messages import UserError

FOLDER = Path(__file__).resolve().parent
# What is no device of anybody's: local APIC, the GIC's distributor and interface, the PLIC's claim registers (two contexts').
CONTROLLER_PAGES = {0xFEE00, 0x8000, 0x8010, 0xC200, 0xC201}
# A processor's number in an ELF file: the prefix of its tools.
TOOLS = {62: "x86_64-linux-gnu", 183: "aarch64-linux-gnu", 243: "riscv64-linux-gnu", 40: "arm-none-eabi"}
MARKS = {"mark 1": "start", "mark 2": "end", "mark 3": "pause", "mark 4": "resume"}


@dataclass
class Line:
    name: str
    counts: dict
    mmio: dict = field(default_factory=dict)   # page of device registers: (reads, writes)

    def __getattr__(self, key):
        try:
            return self.counts[key]
        except KeyError:
            raise AttributeError(key) from None


@dataclass
class Span:
    """What was executed between two marks, pauses left out."""
    instructions: int = 0
    repeated: int = 0
    halt: int = 0
    iret: int = 0
    segments: int = 0
    reads: collections.Counter = field(default_factory=collections.Counter)    # by page
    writes: collections.Counter = field(default_factory=collections.Counter)
    profile: dict = field(default_factory=dict)                                # address: executions

    @property
    def total(self):
        """Instructions; each round of a repeated one counts as one, the marks do not."""
        return self.instructions + self.repeated - self.segments

    @property
    def device_writes(self):
        return sum(count for page, count in self.writes.items() if page not in CONTROLLER_PAGES)

    @property
    def device_reads(self):
        return sum(count for page, count in self.reads.items() if page not in CONTROLLER_PAGES)

    @property
    def mmio(self):
        return sum(self.reads.values()) + sum(self.writes.values())

    def add(self, start, end):
        for name in ("instructions", "repeated", "halt", "iret"):
            setattr(self, name, getattr(self, name) + getattr(end, name) - getattr(start, name))
        self.segments += 1
        for page, (reads, writes) in end.mmio.items():
            before = start.mmio.get(page, (0, 0))
            self.reads[page] += reads - before[0]
            self.writes[page] += writes - before[1]


def spans(lines):
    """What lies between each pair of start and end."""
    found, current, since = [], None, None
    for line in lines:
        kind = MARKS.get(line.name)
        if kind == "start":
            current, since = Span(), line
        elif kind == "resume" and current is not None:
            since = line
        elif kind in ("pause", "end") and since is not None:
            current.add(since, line)
            since = None
        if kind == "end" and current is not None:
            current.profile = line.counts.get("profile", {})
            found.append(current)
            current = None
    return found


def entry(elf):
    """Where a loader enters it."""
    header = Path(elf).read_bytes()[:64]
    wide = header[4] == 2
    return int.from_bytes(header[24:32] if wide else header[24:28], "little")


def nm(elf):
    return f"{TOOLS[int.from_bytes(Path(elf).read_bytes()[18:20], 'little')]}-nm"


def symbol(elf, name):
    """A function's address."""
    output = subprocess.run([nm(elf), str(elf)], check=True, capture_output=True, text=True).stdout
    found = re.search(rf"(?m)^([0-9a-f]+) [Tt] {re.escape(name)}$", output)
    if not found:
        raise UserError(f"{elf} has no function {name}")
    return int(found[1], 16)


class Functions:
    """Which function an address belongs to. What was inlined counts for the function that it stands in."""

    def __init__(self, elf):
        output = subprocess.run([nm(elf), "-C", "--defined-only", str(elf)], check=True, capture_output=True, text=True).stdout
        table = {int(match[1], 16): match[2] for match in re.finditer(r"(?m)^([0-9a-f]+) [TtWwVv] (.+)$", output)}
        self._addresses = sorted(table)
        self._names = [table[address] for address in self._addresses]

    def count(self, profile):
        """Instructions per function, most first."""
        sums = collections.Counter()
        for address, executions in profile.items():
            at = bisect.bisect_right(self._addresses, address) - 1
            sums[self._names[at] if at >= 0 else "?"] += executions
        return sums.most_common()


class Counter:
    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="ringside-count-")
        self.folder = Path(self._folder.name)
        subprocess.run(["gcc", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-o", str(self.folder / "count.so"), str(FOLDER / "count.c")], check=True)
        return self

    def __exit__(self, *exception):
        self._folder.cleanup()

    def run(self, machine, addresses=None, timeout=120, options=()):
        """(lines of counts, what was printed, QEMU's exit code); options of the plugin: "mmio", "profile" """
        machine = dataclasses.replace(machine, smp=1, serial=f"file:{self.folder / 'serial'}")
        return self.run_command(machine.arguments(), addresses, timeout, options)

    def run_command(self, command, addresses=None, timeout=120, options=()):
        """The same for any machine whose serial port is the file serial_file()."""
        addresses = addresses or {}
        counts = self.folder / "counts"
        for file in (counts, self.serial_file()):
            file.unlink(missing_ok=True)
        plugin = f"{self.folder}/count.so,out={counts}" + "".join(f",{option}=on" for option in options) \
            + "".join(f",at={address:#x}" for address in addresses.values())
        with open(self.folder / "errors", "wb") as errors:
            child = process.start([*command, "-plugin", plugin], stdin=subprocess.DEVNULL, stderr=errors)
            try:
                code = child.wait(timeout)
            except subprocess.TimeoutExpired:
                raise UserError(f"the guest did not end within {timeout} s:\n{self.printed()}") from None
            finally:
                process.stop(child)
        names = {address: name for name, address in addresses.items()}
        return read_lines(counts.read_text(), names), self.printed(), code

    def serial_file(self):
        return self.folder / "serial"

    def printed(self):
        """By the guest, then by QEMU."""
        return "".join(file.read_text(errors="replace") for file in (self.serial_file(), self.folder / "errors") if file.exists())


def read_lines(text, names):
    """Lines of count.c; a profile belongs to the mark that follows it."""
    lines, profile = [], {}
    for words in map(str.split, text.splitlines()):
        if words[0] == "profile":
            pairs = (word.split(":") for word in words[1:])
            profile = {int(address, 16): int(executions) for address, executions in pairs}
            continue
        kind, where, *rest = words
        mmio = {}
        if "mmio" in rest:
            at = rest.index("mmio")
            for page, reads, writes in (word.split(":") for word in rest[at + 1:]):
                mmio[int(page, 16)] = (int(reads), int(writes))
            rest = rest[:at]
        values = {key: int(value) for key, value in zip(rest[::2], rest[1::2])}
        if profile:
            values["profile"], profile = profile, {}
        lines.append(Line(names[int(where, 16)] if kind == "at" else f"mark {int(where, 16)}", values, mmio))
    return lines
