#!/usr/bin/env python3
"""The drivers on one machine, with data: one boot of the self-test image, its own checks first, then everything that needs a host.

    machine_test.py q35|q35-intx|q35-packed|pc|microvm|microvm-packed
"""

import re
import sys
import tempfile

from ringside.guest import Guest
from ringside.machine import Forward
from ringside.selftest import JOINED_PORTS, joined_chardevs

from support import status
from support.agent import Agent
from support.checks import Checks, equal, need
from support.data import FULL, MEMORY, PORTS, TCP, UDP, Data, make_disks
from support.machines import free_ports, image, make


def panics(guest, agent):
    agent.send_only("panic", "just_so")
    equal(guest.wait(20), 101, "status")
    text = guest.serial_text()
    need("PANIC: asked for by the host: just_so" in text, "the message is not on the 16550")
    need(re.search(r"#\d+ [0-9a-f]+ .*panic_now", text), "the backtrace does not name the function")


def main(configuration):
    with Checks(f"machine {configuration}", 270) as checks, tempfile.TemporaryDirectory(prefix="ringside-machine-") as folder:
        paths, disks = make_disks(folder, FULL)
        tcp_port, = free_ports(1)
        udp_port, = free_ports(1, 2)
        machine = make(configuration, image("selftest"), memory=MEMORY, command_line=["agent"], disks=disks,
                       forwards=[Forward(tcp_port, TCP), Forward(udp_port, UDP, "udp")], chardevs=joined_chardevs(folder), ports=JOINED_PORTS)
        with Guest(machine, ports=PORTS) as guest:
            checks.guest = guest
            interrupts = "msix" if machine.bus == "pci" and machine.vectors != 0 else "intx"
            data = Data(guest, machine, FULL, paths, tcp_port, udp_port, interrupts)
            data.run(checks)
            log = guest.guest_errors()
            checks.run("panic", panics, guest, data.agent or Agent(guest))
        checks.run("qemu.guest_errors", status.nothing_but_firmware, log, machine)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
