#!/usr/bin/env python3
"""Boot probes: each is one boot that does what the memory protection must stop, and must end with a report and status 101."""

import re
import sys

from ringside.guest import Guest

from support.checks import Checks, equal, need
from support.machines import image, make

# What the report must say. The names are the kernel's (kernel/panic/probes.hpp); none may be missing here.
PROBES = {
    "write-text": r"page fault: write of program text",
    "write-rodata": r"page fault: write of read-only data",
    "execute-heap": r"page fault: execute of no-execute data",
    "execute-stack": r"page fault: execute of no-execute data",
    "read-null": r"page fault: read of page 0",
    "execute-null": r"page fault: execute of page 0",
    "stack-overflow": r"stack overflow: .* guard page of main",
    "smash-canary": r"stack smashed",
}
PANIC_STATUS = 101


def boot(configuration, words):
    """(status, what the 16550 showed) of a boot without devices."""
    machine = make(configuration, image("selftest"), network=False, balloon=False, entropy=False, memory=64, command_line=words)
    with Guest(machine, console=False) as guest:
        status = guest.wait(60)
        return status, guest.serial_text()


def probe(configuration, name):
    status, text = boot(configuration, [f"probe={name}"])
    equal(status, PANIC_STATUS, f"status; the guest said: {text}")
    report = re.search(r"(?m)^PANIC: (.*?)\r?$", text)
    need(report, f"no report: {text}")
    need(re.search(PROBES[name], report[1]), f"the report is '{report[1]}'")
    # The function itself, or who called it where the fault is the call.
    function = name.replace("-", "_")
    need(re.search(rf"#\d+ [0-9a-f]{{16}} .*({function}|run_probe)", text), f"the backtrace does not name {function}: {text}")
    need(re.search(r"#\d+ [0-9a-f]{16} main\+", text), f"the backtrace does not reach main: {text}")
    if name != "smash-canary":
        # Every processor has names of its own for them, and at least fifteen.
        need(len(re.findall(r"\b[a-z][a-z0-9]* ?=[0-9a-f]{8,16}\b", text)) >= 15, f"registers are missing: {text}")


def unknown(configuration):
    status, text = boot(configuration, ["probe=no-such-probe"])
    need(status not in (0, PANIC_STATUS), f"an unknown probe ended with {status}: {text}")


def without_debug_exit(configuration):
    """A failing end that the host is told in no other way still ends the machine."""
    machine = make(configuration, image("selftest"), network=False, balloon=False, entropy=False, memory=64, command_line=["debug-exit=0", "probe=read-null"])
    with Guest(machine, console=False) as guest:
        guest.wait(60)
        need("PANIC: page fault" in guest.serial_text(), "no report")


def main(configuration):
    with Checks(f"probes {configuration}", 170) as checks:
        for name in PROBES:
            checks.run(f"probe.{name}", probe, configuration, name)
        checks.run("probe.unknown", unknown, configuration)
        checks.run("panic.without_debug_exit", without_debug_exit, configuration)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
