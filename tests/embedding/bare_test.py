#!/usr/bin/env python3
"""An example without our kernel: bare_test.py NAME FOLDER. It is built there by its own CMake project, booted, and the disk is looked at here."""

import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "toolchain"), str(ROOT / "tests" / "qemu")]

from ringside import bare, size  # noqa: E402
from support.checks import Checks, equal, need  # noqa: E402

SECTOR = 512
DISK = 1 << 20
MOST_LINES = 200                # of main.cpp: it is an example
# Step numbers of both programs; the machine below has nothing to offer or lies.
NO_DEVICE = {"bare-armv7": (1, "FAIL console: no device"), "bare-aarch64-pci": (2, "FAIL disk: no device")}


def inverted(half):
    return bytes(byte ^ 0xFF for byte in half)


def reversed_sectors(half):
    sectors = [half[at:at + SECTOR] for at in range(0, len(half), SECTOR)]
    return b"".join(reversed(sectors))


# What each makes of the first half of the disk.
WORK = {"bare-armv7": inverted, "bare-aarch64-pci": reversed_sectors}


def boot(words):
    """(status, what it printed over the UART)"""
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, timeout=60)
    return done.returncode, done.stdout + done.stderr


def works(name, elf, folder):
    path, console, errors = folder / "disk", folder / "console", folder / "errors"
    before = random.Random(7).randbytes(DISK)
    path.write_bytes(before)
    status, printed = boot([*bare.command(name, elf, path, console), "-d", "guest_errors", "-D", str(errors)])
    equal((status, "FAIL" in printed), (0, False), f"status, and whether it says FAIL:\n{printed}")
    need("all is well" in printed, f"it printed {printed!r}")
    half = before[:DISK // 2]
    equal(path.read_bytes() == half + WORK[name](half), True, "the disk holds what the program was to write")
    need(half != WORK[name](half) and WORK[name](half) != before[DISK // 2:], "a program that does nothing would pass")
    if bare.EXAMPLES[name].console:
        equal(console.read_text(), printed, "the virtio console says what the UART says")
    equal(errors.read_text(), "", "what QEMU says that the guest did wrong")


def fails_without_devices(name, elf, folder):
    words = bare.command(name, elf, folder / "disk")
    without = words[:words.index("-blockdev")] + words[words.index("-kernel"):]
    status, printed = boot(without)
    expected, said = NO_DEVICE[name]
    equal(status, expected, "status on a machine without devices")
    need(said in printed, f"it printed {printed!r}")


def fails_on_a_failing_disk(name, elf, folder):
    """The disk fails in the middle: the error reaches main()."""
    path, console = folder / "short", folder / "console"
    path.write_bytes(bytes(DISK))
    words = bare.command(name, elf, path, console)
    at = words.index("-blockdev") + 1
    words[at] = ("driver=raw,node-name=disk0,file.driver=blkdebug,file.image.driver=file,file.image.filename=" + str(path)
                 + ",file.inject-error.0.event=write_aio,file.inject-error.0.sector=" + str(DISK // SECTOR - 64))
    status, printed = boot(words)
    need(status in (3, 4) and "FAIL copy: " in printed, f"status {status}, it printed {printed!r}")


def is_small(name, elf):
    main = ROOT / "examples" / name / "main.cpp"
    lines = len(main.read_text().splitlines())
    need(lines <= MOST_LINES, f"main.cpp has {lines} lines")
    symbols = subprocess.run([f"{bare.EXAMPLES[name].tools}-nm", str(elf)], check=True, capture_output=True, text=True).stdout
    names = {line.split()[-1] for line in symbols.splitlines() if line.strip()}
    heap = sorted(n for n in names if re.fullmatch(r"_*(malloc|free|calloc|realloc|sbrk)(_r)?|_Z(nw|na|dl|da).*", n))
    need(not heap, f"it has a heap: {heap}")
    need(any("BlockDevice" in n for n in names), "no names in the ELF file")
    found, allowed = bare.sizes(name, elf), size.budgets()["examples"][name]
    equal(sorted(allowed), sorted(found), "budgets in tests/size/budgets.json")
    for what, most in allowed.items():
        need(found[what] <= most, f"{what}: {found[what]} bytes, the budget is {most}")
    print(f"   {name}: {found['text']} bytes of text, {found['ram']} of RAM, main.cpp has {lines} lines")


def main(name, build):
    with Checks(name, 280) as checks, tempfile.TemporaryDirectory(prefix="ringside-bare-") as folder:
        elf = bare.build(name, build)
        checks.run("works", works, name, elf, Path(folder))
        checks.run("no_devices", fails_without_devices, name, elf, Path(folder))
        checks.run("failing_disk", fails_on_a_failing_disk, name, elf, Path(folder))
        checks.run("size", is_small, name, elf)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
