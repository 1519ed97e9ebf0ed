#!/usr/bin/env python3
"""Each disk belongs to another processor (disks=spread): its interrupts come there, as messages where the machine has them and else over
lines that processors share, while all are read and written at once. Data is compared, and no interrupt is lost.

    spread_test.py q35-intx|aarch64.virt-gicv3|riscv64.virt-aia|...
"""

import hashlib
import random
import re
import sys
import tempfile
from pathlib import Path

from ringside import platforms
from ringside.guest import Guest
from ringside.machine import Disk

from support.agent import Agent
from support.checks import Checks, equal, need
from support.machines import image, make
from support.pattern import scribble

MIB = 1 << 20
PROCESSORS = 4
ROUNDS = 3
BYTES = 4 * MIB


def belongs_to_each(guest, agent, mode):
    text = guest.serial_text() + guest.console_text()
    equal(sorted(map(int, re.findall(r"disk\d: .* of processor (\d)", text))), list(range(1, PROCESSORS)), "processors that have a disk")
    told = {device["name"]: device["interrupts"] for device in agent.items("devices") if device["name"].startswith("disk")}
    equal(set(told.values()), {mode}, f"how the disks interrupt: {told}")


def all_at_once(agent, contents):
    """Small reads on all disks and scattered writes on all, four tasks each."""
    for seed in range(ROUNDS):
        expected = [hashlib.sha256(content).hexdigest() for content in contents]
        hashes = [agent.start("sha256", disk, 0, BYTES // 512, 8) for disk in range(PROCESSORS)]
        equal([agent.finish(pending)[0]["sha256"] for pending in hashes], expected, f"what was read in round {seed}")
        writes = [agent.start("scribble", disk, seed, 100, 4) for disk in range(PROCESSORS)]
        for content, pending in zip(contents, writes):
            agent.finish(pending)
            scribble(content, seed, 100)


def written(agent, contents, paths):
    for disk, (content, path) in enumerate(zip(contents, paths)):
        agent.call("flush", disk)
        need(path.read_bytes() == content, f"the file of disk {disk} is not what was written")


def no_rescues(agent):
    agent.no_word_overlooked()
    for device in agent.items("devices"):
        equal(device["rescues"], 0, f"watchdog rescues of {device['name']}")
        equal(device["errors"], 0, f"errors of the queues of {device['name']}")
        if device["name"].startswith("disk"):
            need(device["irqs"] > 100, f"{device['name']} interrupted only {device['irqs']} times")


def main(configuration):
    with Checks(f"spread {configuration}", 100) as checks, tempfile.TemporaryDirectory(prefix="ringside-spread-") as folder:
        contents = [bytearray(random.Random(number).randbytes(BYTES)) for number in range(PROCESSORS)]
        paths = [Path(folder) / f"disk{number}.img" for number in range(PROCESSORS)]
        for path, content in zip(paths, contents):
            path.write_bytes(content)
        machine = make(configuration, image("selftest"), smp=PROCESSORS, network=False,
                       disks=[Disk(path, f"disk{number}") for number, path in enumerate(paths)],
                       command_line=["agent", "disks=spread", "only=disks", "only=processors"])
        board = platforms.board(machine.arch, machine.machine)
        messages = machine.vectors != 0 and platforms.best_interrupts(board, platforms.best_transport(board)) == "msix"
        with Guest(machine) as guest:
            checks.guest = guest
            agent = Agent(guest)
            need(re.search(r"[1-9]\d* passed, 0 failed", guest.console_text()), "the guest's own checks")
            checks.run("spread.owners", belongs_to_each, guest, agent, "message_per_queue" if messages else "line")
            checks.run("spread.all_at_once", all_at_once, agent, contents)
            checks.run("spread.written", written, agent, contents, paths)
            checks.run("spread.no_rescues", no_rescues, agent)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
