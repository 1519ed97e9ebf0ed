#!/usr/bin/env python3
"""The balloon pressed hard: targets that make no sense, targets that jump about, memory that runs out, free memory reported.

    balloon_test.py q35|microvm
"""

import random
import re
import sys
import time
from pathlib import Path

from ringside.guest import Guest

from support.agent import Agent
from support.checks import Checks, equal, eventually, need
from support.machines import image, make

MIB = 1 << 20
MEMORY = 256


def actual(guest):
    return guest.qmp("query-balloon")["actual"]


def resident(guest):
    """Bytes of this computer's memory that QEMU holds."""
    text = Path(f"/proc/{guest.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * 1024


def settled(guest):
    """Waits until the balloon rests; its size for the host."""
    last, since = actual(guest), time.monotonic()
    deadline = since + 60
    while time.monotonic() - since < 1.5:
        now = actual(guest)
        if now != last:
            last, since = now, time.monotonic()
        need(time.monotonic() < deadline, "the balloon does not come to rest")
        time.sleep(0.1)
    return last


def everything(guest, agent):
    """The host wants all there is, and more: the guest keeps what it needs to live."""
    agent.call("memory-hold", 20)
    for wish in (1, 4096, MIB):
        guest.qmp("balloon", value=wish)
        left = settled(guest)
        pages = agent.call("pages")
        equal(pages["ballooned"] * 4096, MEMORY * MIB - left, "what the guest says it gave")
        need(left < 100 * MIB, f"only down to {left // MIB} MiB")
        need(pages["free"] * 4096 >= 8 * MIB, f"only {pages['free']} pages are free")
        agent.call("memory-check")
        need(agent.call("heap", 2)["mib"] == 2, "the heap has nothing left")
    guest.qmp("balloon", value=MEMORY * MIB)
    eventually(30, lambda: actual(guest) == MEMORY * MIB, "all memory back")
    equal(agent.call("pages")["ballooned"], 0, "pages in the balloon")
    agent.call("memory-check")
    agent.call("memory-drop")


def jumping(guest, agent):
    """The target changes faster than it can be followed; memory is used meanwhile."""
    chooser = random.Random(5)
    agent.call("memory-hold", 30)
    for _ in range(60):
        guest.qmp("balloon", value=chooser.choice([1, MEMORY * MIB, chooser.randrange(1, MEMORY) * MIB]))
        time.sleep(chooser.random() * 0.05)
        if chooser.random() < 0.2:
            agent.call("memory-check")
    guest.qmp("balloon", value=MEMORY * MIB)
    eventually(30, lambda: actual(guest) == MEMORY * MIB, "all memory back")
    agent.call("memory-check")
    equal(agent.call("memory-hold", 90)["mib"], 120, "memory that can be used afterwards")
    agent.call("memory-check")
    agent.call("memory-drop")


def reported(guest, agent):
    """Memory that was used and is free comes back to this computer, though the balloon is empty."""
    agent.call("memory-hold", 160)
    before = resident(guest)
    agent.call("memory-drop")
    eventually(30, lambda: before - resident(guest) > 120 * MIB, "free memory given back to the host")
    equal(actual(guest), MEMORY * MIB, "the balloon")
    # What was reported is used again: the guest must see its own data.
    equal(agent.call("memory-hold", 160)["mib"], 160, "memory that can be used afterwards")
    agent.call("memory-check")
    agent.call("memory-drop")


def kept(guest, agent):
    """Without DEFLATE_ON_OOM what the host has stays there, and a program that wants too much is told so (BALLOON-008)."""
    guest.qmp("balloon", value=96 * MIB)
    eventually(30, lambda: actual(guest) == 96 * MIB, "96 MiB left")
    need(agent.call("heap", 200)["mib"] < 90, "more memory than there is")
    equal(actual(guest), 96 * MIB, "the balloon")
    guest.qmp("balloon", value=MEMORY * MIB)
    eventually(30, lambda: actual(guest) == MEMORY * MIB, "all memory back")


def taken_back(guest, agent):
    """With DEFLATE_ON_OOM a program gets what it needs. What the C library gives back afterwards the host has again."""
    guest.qmp("balloon", value=96 * MIB)
    eventually(30, lambda: actual(guest) == 96 * MIB, "96 MiB left")
    before = agent.call("pages")["taken_back"]
    equal(agent.call("heap", 150)["mib"], 150, "memory for a program")
    # Counted in the guest: by the time that the host asks, the balloon may have grown again.
    taken = (agent.call("pages")["taken_back"] - before) * 4096
    need(taken >= (150 - 96) * MIB, f"the program had 150 MiB of 96, but only {taken // MIB} were taken back")
    eventually(30, lambda: actual(guest) <= 96 * MIB or agent.call("pages")["free"] * 4096 <= 30 * MIB, "unused memory given again")
    agent.call("memory-hold", 8)
    agent.call("memory-check")
    agent.call("memory-drop")


def taken_back_from_afar(guest, agent):
    """The same for a program of the second processor, while the balloon and its task are the first one's: nobody waits for a timer."""
    guest.qmp("balloon", value=96 * MIB)
    eventually(30, lambda: actual(guest) == 96 * MIB, "96 MiB left")
    equal(agent.call("heap", 150, 1)["mib"], 150, "memory for a program")
    agent.no_word_overlooked()
    agent.call("memory-hold", 8)
    agent.call("memory-check")
    agent.call("memory-drop")


def healthy(agent):
    for device in agent.items("devices"):
        equal(device["rescues"], 0, f"watchdog rescues of {device['name']}")
        equal(device["broken"], 0, f"broken queues of {device['name']}")


def main(configuration):
    with Checks(f"balloon {configuration}", 150) as checks:
        words = ["agent", "only=none"]
        with Guest(make(configuration, image("selftest"), memory=MEMORY, network=False, command_line=words)) as guest:
            checks.guest = guest
            agent = Agent(guest)
            checks.run("balloon.everything", everything, guest, agent)
            checks.run("balloon.jumping", jumping, guest, agent)
            checks.run("balloon.reported", reported, guest, agent)
            checks.run("balloon.kept", kept, guest, agent)
            checks.run("balloon.healthy", healthy, agent)
        allowed = ["-global", "virtio-balloon-device.deflate-on-oom=on"]
        with Guest(make(configuration, image("selftest"), memory=MEMORY, network=False, command_line=words, extra=allowed)) as guest:
            checks.guest = guest
            agent = Agent(guest)
            checks.run("balloon.everything_oom", everything, guest, agent)
            checks.run("balloon.taken_back", taken_back, guest, agent)
            checks.run("balloon.taken_back_from_afar", taken_back_from_afar, guest, agent)
            checks.run("balloon.healthy_oom", healthy, agent)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
