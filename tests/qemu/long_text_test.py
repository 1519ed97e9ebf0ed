#!/usr/bin/env python3
"""A program with 5 MiB of text on four processors: what the kernel has mapped in large pages is mapped in small ones when the second processor
comes, and no processor may stand on a page while it does that.

    long_text_test.py x86_64.q35|aarch64.virt|riscv64.virt|armv7.virt
"""

import sys

from ringside.guest import Guest

from support.checks import Checks, equal, need
from support.machines import image, make


def runs(configuration):
    machine = make(configuration, image("long_text"), smp=4, network=False)
    with Guest(machine, console=False) as guest:
        try:
            equal(guest.wait(30), 0, "status")
            need("4 processors, text at" in guest.serial_text(), "the program did not run")
        except AssertionError:
            guest.show()
            raise


def main(configuration):
    with Checks(f"long text {configuration}", 60) as checks:
        checks.run("runs", runs, configuration)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
