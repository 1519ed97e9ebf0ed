#!/usr/bin/env python3
"""How a machine ends: the host's power button, the program's own end, a reset asked for, and a program that gives up."""

import random
import re
import sys
import tempfile
from pathlib import Path

from ringside.guest import Guest
from ringside.machine import Disk

from support.agent import Agent
from support.checks import Checks, equal, need
from support.machines import image, make
from support.pattern import difference, scribble

MIB = 1 << 20
WORDS = ["agent", "only=none"]


def boot(configuration, disk, *extra, **options):
    return Guest(make(configuration, image("selftest"), network=False, disks=[Disk(disk, "power")], command_line=WORDS, extra=list(extra), **options))


def flushes(guest):
    return guest.qmp("query-blockstats")[0]["stats"]["flush_operations"]


def button_flushes(configuration, disk):
    """The guest writes and does not flush; the button comes; what it wrote must have been flushed before the power went."""
    expected = bytearray(disk.read_bytes())
    # QEMU stays to be asked after the guest has switched off.
    with boot(configuration, disk, "-no-shutdown") as guest:
        agent = Agent(guest)
        agent.call("scribble", 0, 5, 100, 8)
        scribble(expected, 5, 100)
        before = flushes(guest)
        guest.qmp("system_powerdown")
        event = guest.event("SHUTDOWN", 20)
        equal((event["data"]["guest"], event["data"]["reason"]), (True, "guest-shutdown"), "who ended it")
        need(flushes(guest) > before, "the disk was not flushed")
        guest.qmp("quit")
    wrong = difference(disk.read_bytes(), bytes(expected))
    need(not wrong, f"the image: {wrong}")


def button_status(configuration, disk):
    with boot(configuration, disk) as guest:
        Agent(guest)
        guest.qmp("system_powerdown")
        equal(guest.wait(20), 0, "status")


def button_under_load(configuration, disk):
    with boot(configuration, disk) as guest:
        agent = Agent(guest)
        agent.call("load-start", 0)
        guest.qmp("system_powerdown")
        equal(guest.wait(20), 0, "status")


def exit_status(configuration, disk, status):
    with boot(configuration, disk) as guest:
        Agent(guest).send_only("exit", status)
        equal(guest.wait(20), status, "status")


def abort(configuration, disk):
    with boot(configuration, disk) as guest:
        Agent(guest).send_only("abort")
        equal(guest.wait(20), 101, "status")
        need(re.search(r"PANIC: .*abort", guest.serial_text()), "no report on the 16550")


def panic_on_console(configuration, disk, *extra):
    """A panic is also seen by those who only look at the virtio console, and before it what the program said last, in its order."""
    with boot(configuration, disk, *extra) as guest:
        Agent(guest).send_only("panic", "seen_by_all", 50)
        equal(guest.wait(20), 101, "status")
        said = "".join(f"{line} before the end\n" for line in range(50)) + "PANIC: asked for by the host: seen_by_all\n"
        need(said in guest.console_text().replace("\r", ""), "the virtio console does not show it, or not behind what was said before")


def panic_in_panic(configuration, disk):
    """The report itself runs into a console that cannot be used any more: the serial port has shown it before, and shows what happened then;
    the console's register shows both."""
    with boot(configuration, disk) as guest:
        Agent(guest).send_only("panic-without-ring", "the_first")
        equal(guest.wait(20), 101, "status")
        first, second = "PANIC: asked for by the host: the_first\n", r"PANIC: another one.*\nPANIC: page fault: (read|write) of unmapped memory"
        need(re.search(f"{first}backtrace:\n(.*\n)*{second}", guest.serial_text()), "the serial port does not show both")
        # Here QEMU may lose what follows, on a busy host.
        need(first in guest.console_text(), "the virtio console shows nothing")


def main(configuration):
    with Checks(f"power {configuration}", 110) as checks, tempfile.TemporaryDirectory(prefix="ringside-power-") as folder:
        disk = Path(folder) / "disk.img"
        disk.write_bytes(random.Random(4).randbytes(4 * MIB))
        if not configuration.startswith("riscv64"):  # QEMU's virt has no button there
            checks.run("power.button_flushes", button_flushes, configuration, disk)
            checks.run("power.button_status", button_status, configuration, disk)
            checks.run("power.button_under_load", button_under_load, configuration, disk)
        checks.run("power.exit_0", exit_status, configuration, disk, 0)
        checks.run("power.exit_7", exit_status, configuration, disk, 7)
        checks.run("panic.abort", abort, configuration, disk)
        checks.run("panic.on_the_virtio_console", panic_on_console, configuration, disk)
        checks.run("panic.without_emergency_write", panic_on_console, configuration, disk, "-global", "virtio-serial-device.emergency-write=off")
        checks.run("panic.in_a_panic", panic_in_panic, configuration, disk)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
