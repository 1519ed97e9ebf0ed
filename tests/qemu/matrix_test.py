#!/usr/bin/env python3
"""One cell of the matrix (toolchain/ringside/platforms.py): a processor, a machine, a transport, a ring, a kind of interrupt. One boot of the
self-test image with two processors; data in every direction, compared on both sides.

    matrix_test.py aarch64.virt.pci.split.msix
"""

import sys
import tempfile

from ringside import platforms
from ringside.guest import Guest
from ringside.machine import Forward, Machine
from ringside.selftest import JOINED_PORTS, joined_chardevs

from support import status
from support.checks import Checks, equal, need
from support.data import BRIEF, MEMORY, PORTS, TCP, UDP, Data, make_disks
from support.machines import free_ports, image

# What the guest's device manager calls a transport, where that is not our name for it.
TOLD = {"pci": "pci-modern"}
# Of the guest's own checks those that concern devices; the others are the same in every cell of a machine and run in its best one.
DEVICES = ["entropy", "disks", "ports", "net"]


def reached_as_meant(data, transport):
    told = {device["name"]: device["transport"] for device in data.agent.items("devices")}
    equal(set(told.values()), {TOLD.get(transport, transport)}, f"how the devices are reached: {told}")


def ends_with_a_status(guest, agent):
    agent.send_only("panic", "just_so")
    equal(guest.wait(20), 101, "status")
    need("PANIC: asked for by the host: just_so" in guest.serial_text(), "the message is not on the UART")


def main(name):
    cell = platforms.cell(name)
    board, bus = cell.board, platforms.TRANSPORTS[cell.transport].bus
    best = (platforms.best_transport(board), "split", platforms.best_interrupts(board, cell.transport))
    best = (cell.transport, cell.ring, cell.interrupts) == best
    with Checks(name, 100) as checks, tempfile.TemporaryDirectory(prefix="ringside-matrix-") as folder:
        paths, disks = make_disks(folder, BRIEF)
        tcp_port, = free_ports(1)
        udp_port, = free_ports(1, 2)
        # Without a word the guest takes the best there is, so that a balloon without messages has the line.
        words = ["agent", *([] if cell.interrupts == "msix" else [f"irq={cell.interrupts}"])]
        words += [] if best else [f"only={group}" for group in DEVICES]
        # A transitional device could be driven either way: the guest is told to take its legacy interface.
        machine = Machine(image=image("selftest"), arch=board.arch, machine=board.name, transport=cell.transport,
                          transitional=cell.transport == "pci-legacy", ring=cell.ring,
                          vectors=0 if bus == "pci" and cell.interrupts == "intx" else -1, memory=MEMORY, smp=2, disks=disks, command_line=words,
                          forwards=[Forward(tcp_port, TCP), Forward(udp_port, UDP, "udp")], chardevs=joined_chardevs(folder), ports=JOINED_PORTS)
        with Guest(machine, ports=PORTS) as guest:
            checks.guest = guest
            data = Data(guest, machine, BRIEF, paths, tcp_port, udp_port, cell.interrupts)
            data.run(checks)
            checks.run("transport", reached_as_meant, data, cell.transport)
            log = guest.guest_errors()
            if best:
                checks.run("panic", ends_with_a_status, guest, data.agent)
        checks.run("qemu.guest_errors", status.nothing_but_firmware, log, machine)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
