#!/usr/bin/env python3
"""OpenSBI up to 1.2 calls a hart startable before it has noted where it is to start and with what: one that looks in between comes to where
the first hart began, or with what the first hart was given. The guest sends it on; it had begun anew, over its own data, while the first one
went on. Here a debugger does what that firmware does.

    late_hart_test.py riscv64.virt
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from ringside.guest import Guest, connect

from support.checks import Checks, equal, need
from support.debugger import Debugger
from support.machines import image, make

A0, A1, PC = 10, 11, 32


def symbol(elf, name):
    listing = subprocess.run(["nm", elf], capture_output=True, text=True, check=True).stdout
    return next(int(line.split()[0], 16) for line in listing.splitlines() if line.split()[-1] == name)


def booted(configuration, folder, smp, checks, mislead):
    """What was printed on the serial port and the console. mislead(debugger, tree): what the debugger does once the first hart has come, with
    the address of its device tree."""
    elf = image("selftest")
    path = Path(folder) / f"gdb{smp}"
    machine = make(configuration, elf, network=False, balloon=False, smp=smp, command_line=[f"only={checks}"],
                   extra=["-gdb", f"unix:{path},server=on,wait=off"])
    with Guest(machine, running=False) as guest:
        with Debugger(connect(path, 20)) as debugger:
            mislead(debugger, debugger.register(debugger.stop_at(symbol(elf, "ringside_entry")), A1))
            debugger.go()
        equal(guest.wait(60), 0, "status")
        equal(guest.serial_text().count("of memory, clock from"), 1, "how often it began")
        return guest.serial_text(), guest.console_text()


def led_astray(configuration, folder):
    entry, secondary = (symbol(image("selftest"), f"ringside_{name}entry") for name in ("", "secondary_"))

    def mislead(debugger, tree):
        for place in (entry, secondary):
            late = debugger.stop_at(secondary)
            debugger.set_register(late, A1, tree)
            debugger.set_register(late, PC, place)

    console = booted(configuration, folder, 3, "processors", mislead)[1]
    need("ok processors.all" in console, "not all processors are there")


def nobody_asked(configuration, folder):
    """A hart with a number that was not asked for is put to sleep; the one that was does not come, and it goes on without."""
    entry, secondary = (symbol(image("selftest"), f"ringside_{name}entry") for name in ("", "secondary_"))

    def mislead(debugger, tree):
        stranger = debugger.stop_at(secondary)
        debugger.set_register(stranger, A0, 7)
        debugger.set_register(stranger, PC, entry)

    serial, console = booted(configuration, folder, 2, "clock", mislead)
    need("it did not come in time" in serial + console, f"nothing is said of the one that did not come: {serial}")
    need("ok clock.monotonic" in console, "no check was run")


def main():
    with Checks("late hart", 100) as checks, tempfile.TemporaryDirectory(prefix="ringside-late-") as folder:
        checks.run("late_hart.led_astray", led_astray, sys.argv[1], folder)
        checks.run("late_hart.nobody_asked", nobody_asked, sys.argv[1], folder)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
