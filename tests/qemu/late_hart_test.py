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


def led_astray(configuration, folder):
    elf = image("selftest")
    entry, secondary = symbol(elf, "ringside_entry"), symbol(elf, "ringside_secondary_entry")
    path = Path(folder) / "gdb"
    machine = make(configuration, elf, network=False, balloon=False, smp=3, command_line=["only=processors"],
                   extra=["-gdb", f"unix:{path},server=on,wait=off"])
    with Guest(machine, running=False) as guest:
        with Debugger(connect(path, 20)) as debugger:
            tree = debugger.register(debugger.stop_at(entry), A1)
            for place in (entry, secondary):
                late = debugger.stop_at(secondary)
                debugger.set_register(late, A1, tree)
                debugger.set_register(late, PC, place)
            debugger.go()
        equal(guest.wait(60), 0, "status")
        need("ok processors.all" in guest.console_text(), "not all processors are there")
        equal(guest.serial_text().count("of memory, clock from"), 1, "how often it began")


def main():
    with Checks("late hart", 100) as checks, tempfile.TemporaryDirectory(prefix="ringside-late-") as folder:
        checks.run("late_hart.led_astray", led_astray, sys.argv[1], folder)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
