"""Exact counts of what a guest executes: QEMU's TCG with the plugin count.c, built here with the host's compiler.

    with Counter() as counter:
        lines = counter.run(machine, addresses={"entry": 0x100000, "main": 0x10a000}, timeout=60)
        lines[0].name, lines[0].instructions        # "entry", 5123456
"""

import dataclasses
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ringside import process
from ringside.messages import UserError

FOLDER = Path(__file__).resolve().parent


@dataclass
class Line:
    name: str
    counts: dict

    def __getattr__(self, key):
        return self.counts[key]


def symbol(elf, name):
    """A function's address."""
    output = subprocess.run(["x86_64-linux-gnu-nm", str(elf)], check=True, capture_output=True, text=True).stdout
    found = re.search(rf"(?m)^([0-9a-f]+) [Tt] {re.escape(name)}$", output)
    if not found:
        raise UserError(f"{elf} has no function {name}")
    return int(found[1], 16)


class Counter:
    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="ringside-count-")
        self.folder = Path(self._folder.name)
        subprocess.run(["gcc", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-o", str(self.folder / "count.so"), str(FOLDER / "count.c")], check=True)
        return self

    def __exit__(self, *exception):
        self._folder.cleanup()

    def run(self, machine, addresses=None, timeout=120):
        """(lines of counts, what the 16550 and QEMU printed, QEMU's exit code)"""
        addresses = addresses or {}
        serial, counts = self.folder / "serial", self.folder / "counts"
        plugin = f"{self.folder}/count.so,out={counts}" + "".join(f",at={address:#x}" for address in addresses.values())
        machine = dataclasses.replace(machine, smp=1, serial=f"file:{serial}", extra=[*machine.extra, "-plugin", plugin])
        child = process.start(machine.arguments(), stdin=subprocess.DEVNULL)
        try:
            code = child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise UserError(f"the guest did not end within {timeout} s:\n{serial.read_text(errors='replace')}") from None
        finally:
            process.stop(child)
        names = {address: name for name, address in addresses.items()}
        lines = []
        for text in counts.read_text().splitlines():
            kind, where, *rest = text.split()
            values = {key: int(value) for key, value in zip(rest[::2], rest[1::2])}
            lines.append(Line(names[int(where, 16)] if kind == "at" else f"mark {int(where, 16)}", values))
        return lines, serial.read_text(errors="replace"), code
