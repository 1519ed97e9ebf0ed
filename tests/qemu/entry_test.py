#!/usr/bin/env python3
"""The ways into an armv7 image besides the ELF file in supervisor mode: a raw file (zImage's protocol: anywhere in RAM, r2 = device tree, with
an initial RAM disk), hypervisor mode with PSCI by smc and more than one processor, more RAM than 32 bits address."""

import os
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from ringside.guest import Guest
from ringside.newlib import TOOLS

from support.checks import Checks, equal, need
from support.machines import image, make

ZIMAGE_MAGIC = 0x016F2818


def passes(configuration, elf, words=(), **options):
    """The self-test's serial output; the guest ended with status 0."""
    machine = make(configuration, elf, network=False, balloon=False, entropy=False, command_line=["log=debug", *words], **options)
    with Guest(machine, console=False) as guest:
        equal(guest.wait(60), 0, f"status; the guest said: {guest.serial_text()}")
        text = guest.serial_text()
    need(re.search(r"[1-9]\d* passed, 0 failed", text), f"no result: {text}")
    return text


def raw(configuration, folder):
    file, disk = Path(folder) / "raw", Path(folder) / "initrd"
    subprocess.run([f"{TOOLS['armv7']}objcopy", "-O", "binary", image("selftest"), file], check=True)
    data = file.read_bytes()
    magic, start, end = struct.unpack_from("<III", data, 0x24)
    equal((magic, start), (ZIMAGE_MAGIC, 0), "zImage's magic number and first address")
    need(0 <= len(data) - end < 64, f"the header says {end} bytes, the file has {len(data)}")
    disk.write_bytes(os.urandom(300_000))
    # Bytes behind the image in memory are not zero: .bss must be cleared by the image itself.
    file.write_bytes(data + b"\xa5" * (4 << 20))
    text = passes(configuration, file, ["only=memory", "only=library"], extra=["-initrd", str(disk)])
    need("started by Linux" in text, f"not by way of r2: {text}")
    need(re.search(r"module .*: 300000 bytes", text), f"the RAM disk is not there: {text}")


def hypervisor(configuration):
    text = passes(configuration, image("selftest"), ["only=memory", "only=clock", "only=processors"], extra=["-machine", "virtualization=on"], smp=2)
    need("power off by psci by smc" in text, f"this was no hypervisor mode: {text}")
    need("ok processors.at_the_same_time" in text, f"one processor only: {text}")


def much_memory(configuration):
    """3 GiB end at 4 GiB: what the window for device registers covers is left alone, pages above 2 GiB are used."""
    text = passes(configuration, image("selftest"), ["only=memory"], memory=3072)
    size = re.search(r"(\d+) MiB of memory", text)
    need(size and 2500 < int(size[1]) < 2560, f"memory: {text}")


def main(configuration):
    with Checks(f"entry {configuration}", 90) as checks, tempfile.TemporaryDirectory(prefix="ringside-entry-") as folder:
        checks.run("raw", raw, configuration, folder)
        checks.run("hypervisor", hypervisor, configuration)
        checks.run("much_memory", much_memory, configuration)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
