#!/usr/bin/env python3
"""memory= on the command line: the kernel uses that much RAM and no more. The host looks at the rest, which nobody else writes to."""

import sys
import tempfile
from pathlib import Path

from ringside.guest import Guest

from support.agent import Agent
from support.checks import Checks, equal, need
from support.machines import image, make

MIB = 1 << 20
MEMORY, LIMIT = 256, 24
# Where RAM begins on QEMU's `virt`.
RAM = {"armv7": 0x40000000}


def touched(configuration, words, folder):
    """(what the self-test's agent says of its pages, how many pages above the limit are not zero)"""
    machine = make(configuration, image("selftest"), memory=MEMORY, command_line=["agent", *words])
    base, file = RAM[configuration.partition(".")[0]], Path(folder) / "rest"
    with Guest(machine) as guest:
        agent = Agent(guest)
        need("FAIL" not in guest.console_text(), "a check of the self-test failed")
        pages = agent.call("pages")
        agent.call("heap", 2)
        guest.qmp("stop")
        guest.qmp("pmemsave", val=base + LIMIT * MIB, size=(MEMORY - LIMIT) * MIB, filename=str(file))
    rest = file.read_bytes()
    equal(len(rest), (MEMORY - LIMIT) * MIB, "bytes saved")
    zeros = bytes(4096)
    return pages, sum(rest[at:at + 4096] != zeros for at in range(0, len(rest), 4096))


def limited(configuration, folder):
    pages, dirty = touched(configuration, [f"memory={LIMIT}M"], folder)
    need(pages["total"] * 4096 < LIMIT * MIB, f"the kernel manages {pages['total']} pages")
    equal(dirty, 0, "pages used beyond the limit")


def unlimited(configuration, folder):
    """The same boot without the word writes there: the look above sees something."""
    pages, dirty = touched(configuration, [], folder)
    need(pages["total"] * 4096 > LIMIT * MIB and dirty > 100, f"{pages['total']} pages, {dirty} used beyond {LIMIT} MiB")


def refused(configuration, word, report):
    machine = make(configuration, image("selftest"), memory=MEMORY, command_line=[word])
    with Guest(machine, console=False) as guest:
        equal(guest.wait(30), 101, "status")
        need(report in guest.serial_text(), f"the report is: {guest.serial_text()}")


def main(configuration):
    with Checks(f"memory limit {configuration}", 90) as checks, tempfile.TemporaryDirectory(prefix="ringside-limit-") as folder:
        checks.run("limited", limited, configuration, folder)
        checks.run("unlimited", unlimited, configuration, folder)
        checks.run("no_size", refused, configuration, "memory=lots", "memory=lots is no size")
        checks.run("too_small", refused, configuration, "memory=64K", "the image alone is larger than the 64 KiB")
    return checks.status()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
