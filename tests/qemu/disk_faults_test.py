#!/usr/bin/env python3
"""Disks that fail: an error of the device's reaches whoever asked, harms nobody else, and is over when the disk is well again.

    disk_faults_test.py q35|microvm
"""

import hashlib
import random
import sys
import tempfile
import time
from pathlib import Path

from ringside.guest import Guest
from ringside.machine import Disk

from support.agent import Agent
from support.checks import Checks, Failure, equal, need
from support.machines import image, make
from support.pattern import difference, scribble

MIB = 1 << 20
EIO, ENOSPC = 5, 28
BAD = 2048            # sector that cannot be read
READS, WRITES, ONCE, FULL = 0, 1, 2, 3

FAULTS = {
    READS: [{"event": "none", "iotype": "read", "sector": BAD, "errno": EIO}],
    WRITES: [{"event": "none", "iotype": "write", "errno": EIO}, {"event": "none", "iotype": "flush", "errno": EIO}],
    ONCE: [{"event": "none", "iotype": "write", "errno": EIO, "once": True}],
    FULL: [{"event": "none", "iotype": "write", "errno": ENOSPC, "once": True}],
}


def fails(agent, word, *command):
    try:
        agent.call(*command)
    except Failure as failure:
        need(word in str(failure), f"'{' '.join(map(str, command))}' failed otherwise: {failure}")
        return
    need(False, f"'{' '.join(map(str, command))}' went well on a bad disk")


def digest(data):
    return hashlib.sha256(data).hexdigest()


def bad_sector(agent, content):
    fails(agent, "error", "sha256", READS, BAD, 1)
    fails(agent, "error", "sha256", READS, BAD - 8, 16)
    fails(agent, "error", "sha256", READS)
    # Everything beside it can be read, as often as one likes.
    for _ in range(3):
        equal(agent.call("sha256", READS, 0, BAD)["sha256"], digest(content[:BAD * 512]), "what lies before the bad sector")
        fails(agent, "error", "sha256", READS, BAD, 1)
    equal(agent.call("sha256", READS, BAD + 1)["sha256"], digest(content[(BAD + 1) * 512:]), "what lies behind the bad sector")


def bad_among_good(agent, content):
    """Many requests in flight, some of which fail."""
    bad = [agent.start("sha256", READS, BAD, 1) for _ in range(8)]
    good = [agent.start("sha256", READS, number * 64, 64) for number in range(16)]
    for pending in bad:
        try:
            agent.finish(pending)
            raise AssertionError("a bad sector was read")
        except Failure:
            pass
    for number, pending in enumerate(good):
        equal(agent.finish(pending)[0]["sha256"], digest(content[number * 64 * 512:][:64 * 512]), f"block {number}")


def no_writes(agent, content, path):
    fails(agent, "error", "scribble", WRITES, 1, 20, 4)
    fails(agent, "error", "flush", WRITES)
    need(path.read_bytes() == content, "the image changed although every write failed")
    equal(agent.call("sha256", WRITES)["sha256"], digest(content), "the disk can still be read")


def over_again(agent, content, path):
    fails(agent, "error", "scribble", ONCE, 2, 1, 1)
    equal(agent.call("sha256", ONCE)["sha256"], digest(content), "the disk after a write that failed")
    expected = bytearray(content)
    agent.call("scribble", ONCE, 3, 100, 8)
    agent.call("flush", ONCE)
    scribble(expected, 3, 100)
    wrong = difference(path.read_bytes(), bytes(expected))
    need(not wrong, f"the image: {wrong}")


def stopped_and_continued(guest, agent, content, path):
    """No room on the host: QEMU stops the machine until somebody has made some. The guest notices nothing but time."""
    pending = agent.start("scribble", FULL, 4, 60, 8)
    guest.event("STOP", 20)
    time.sleep(1.5)
    guest.qmp("cont")
    agent.finish(pending)
    agent.call("flush", FULL)
    expected = bytearray(content)
    scribble(expected, 4, 60)
    wrong = difference(path.read_bytes(), bytes(expected))
    need(not wrong, f"the image: {wrong}")


def no_harm(agent):
    for device in agent.items("devices"):
        equal((device["rescues"], device["broken"]), (0, 0), f"rescues and broken queues of {device['name']}")


def main(configuration):
    with Checks(f"disk faults {configuration}", 80) as checks, tempfile.TemporaryDirectory(prefix="ringside-faults-") as folder:
        content = random.Random(6).randbytes(2 * MIB)
        paths = [Path(folder) / f"disk{number}.img" for number in range(len(FAULTS))]
        for path in paths:
            path.write_bytes(content)
        disks = [Disk(path, f"bad{number}", faults=FAULTS[number]) for number, path in enumerate(paths)]
        with Guest(make(configuration, image("selftest"), disks=disks, network=False, command_line=["agent", "only=none"])) as guest:
            checks.guest = guest
            agent = Agent(guest)
            checks.run("disk.bad_sector", bad_sector, agent, content)
            checks.run("disk.bad_among_good", bad_among_good, agent, content)
            checks.run("disk.no_writes", no_writes, agent, content, paths[WRITES])
            checks.run("disk.over_again", over_again, agent, content, paths[ONCE])
            checks.run("disk.stopped_and_continued", stopped_and_continued, guest, agent, content, paths[FULL])
            checks.run("disk.no_harm", no_harm, agent)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
