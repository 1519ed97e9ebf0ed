#!/usr/bin/env python3
"""Devices that come and go under load: disk, network card and entropy source, by device_add and device_del. Data is compared, whoever uses a
device that leaves is told, names and objects serve the next one, connections go on, and nothing is lost by and by.

    hotplug_test.py q35-native|q35-acpi|pc|PROCESSOR.virt

q35-native, virt: slots of PCI Express root ports; q35-acpi and pc: QEMU's ACPI registers, as those machines come. (A card that is torn out without
a word QEMU 7.2 cannot play: device_del asks the guest, and waits for it. tests/unit/removal_test.cpp and pci_slot_test.cpp do.)
"""

import hashlib
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

from ringside.guest import Guest, GuestError
from ringside.machine import Disk

from support import status
from support.agent import Agent
from support.checks import Checks, Failure, equal, eventually, need
from support.machines import free_ports, image, make
from support.traffic import Service

MIB = 1 << 20
PORT = 7000
MAC = "52:54:00:12:34:99"
FIXED, HOT = 0, 1                                   # disks, by number
ROUNDS = 10


class Slots:
    """What is plugged in where, and how that is asked for."""

    def __init__(self, guest, configuration, image_path):
        self._guest = guest
        self._ports = configuration != "pc"
        self._image = image_path

    def _add(self, driver, identifier, slot, **properties):
        if self._ports:
            properties["bus"] = slot
        self._guest.qmp("device_add", driver=driver, id=identifier, **properties)

    def disk(self):
        file = {"driver": "file", "filename": str(self._image)}
        self._guest.qmp("blockdev-add", **{"driver": "raw", "node-name": "hot", "file": file})
        self._add("virtio-blk-pci", "hotdisk", "slot1", drive="hot", serial="hot")

    def net(self):
        self._add("virtio-net-pci", "hotnet", "slot2", netdev="lan", mac=MAC, romfile="")

    def entropy(self):
        self._add("virtio-rng-pci", "hotrng", "slot3")

    def remove(self, identifier):
        """Asks the guest, and waits until it has let go."""
        self._guest.qmp("device_del", id=identifier)
        deadline = time.monotonic() + 10
        while self._guest.event("DEVICE_DELETED", max(0.1, deadline - time.monotonic()))["data"].get("device") != identifier:
            pass
        if identifier == "hotdisk":
            self._guest.qmp("blockdev-del", **{"node-name": "hot"})


def running(agent, name):
    """The device of that name, once it runs."""
    def look():
        return [each for each in agent.items("devices") if each["name"] == name and each["running"] == 1]
    return eventually(10, look, f"{name} runs")[0]


def absent(agent, name):
    eventually(10, lambda: all(each["name"] != name for each in agent.items("devices")), f"{name} has left the list")


def refused(agent, *command):
    """What the guest says of a command that cannot succeed."""
    try:
        agent.call(*command)
    except Failure as failure:
        return str(failure)
    raise Failure(f"{' '.join(map(str, command))} succeeded without a device")


def disk_comes(agent, slots, path):
    equal(len(agent.items("disks")), 1, "disks at the start")
    slots.disk()
    entry = running(agent, "disk1")
    need(entry["where"].startswith("pci_"), f"where it is: {entry['where']}")
    need(entry["found_by"].endswith(",_plugged_in"), f"how it was found: {entry['found_by']}")
    disks = agent.items("disks")
    equal((disks[HOT]["name"], disks[HOT]["model"], disks[HOT]["sectors"]), ("disk1", "hot", path.stat().st_size // 512), "the new disk")
    equal(agent.call("sha256", HOT)["sha256"], hashlib.sha256(path.read_bytes()).hexdigest(), "SHA-256 of the new disk")


def disk_leaves_under_load(agent, slots, path):
    agent.call("load-start", HOT)
    eventually(20, lambda: agent.call("load-look")["rounds"] > 8, "the load runs")
    slots.remove("hotdisk")
    need("device gone" in refused(agent, "load-stop"), "the load was not told that the device has gone")
    absent(agent, "disk1")
    equal(len(agent.items("disks")), 1, "disks without it")
    # What was answered is there.
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    slots.disk()
    running(agent, "disk1")
    equal(agent.call("sha256", HOT)["sha256"], before, "SHA-256 after it came back")
    # And the same users go on.
    agent.call("load-start", HOT)
    eventually(20, lambda: agent.call("load-look")["rounds"] > 8, "the load runs again")
    equal(agent.call("load-stop")["wrong"], 0, "what the load read differs from what it wrote")
    # A reader in the middle of the disk.
    seen = running(agent, "disk1")["requests"]
    pending = agent.start("sha256", HOT, 0, path.stat().st_size // 512, 1)
    eventually(10, lambda: running(agent, "disk1")["requests"] > seen + 100, "the disk is read")
    slots.remove("hotdisk")
    try:
        agent.finish(pending, 20)
        need(False, "the disk was read to its end: too fast for this test")
    except Failure as failure:
        need("device gone" in str(failure) or "too fast" in str(failure), f"the reader was told something else: {failure}")
    equal(agent.call("sha256", FIXED)["sha256"], slots.fixed, "SHA-256 of the disk that stayed")


def net_comes(agent, slots):
    slots.net()
    running(agent, "net0")
    equal(agent.call("net", 20)["address"], "10.0.2.15", "the address that DHCP gave")
    agent.call("listen", PORT)


def net_leaves_under_load(agent, slots, port):
    """What the guest receives stands still without a card, and goes on with the next one. (What it sends meanwhile it cannot: the program is
    told that there is no way.)"""
    failures = []
    enough = threading.Event()

    def transfer():
        try:
            with Service(port) as service:
                while not enough.is_set():
                    service.up(4 * MIB, 6)
        except Exception as error:                  # told below, in the test's own thread
            failures.append(error)

    thread = threading.Thread(target=transfer)
    thread.start()
    time.sleep(0.3)
    for _ in range(2):
        slots.remove("hotnet")
        absent(agent, "net0")
        slots.net()
        running(agent, "net0")
    enough.set()
    thread.join(40)
    need(not thread.is_alive(), "the transfer stands still")
    need(not failures, f"the transfer: {failures}")
    with Service(port) as service:
        service.down(MIB, 5)


def entropy_comes_and_goes(agent, slots):
    for _ in range(3):
        slots.entropy()
        running(agent, "entropy1")
        slots.remove("hotrng")
        absent(agent, "entropy1")


def rounds(agent, slots, port):
    """All of them, again and again: no page and no vector gets lost."""
    def one():
        slots.disk()
        slots.entropy()
        running(agent, "disk1")
        running(agent, "entropy1")
        agent.call("sha256", HOT, 0, 512)
        with Service(port) as service:
            service.down(64 << 10, 7)
        for identifier in ("hotdisk", "hotrng", "hotnet"):
            slots.remove(identifier)
        for name in ("disk1", "entropy1", "net0"):
            absent(agent, name)
        slots.net()
        running(agent, "net0")
        agent.call("net", 20)

    for _ in range(2):
        one()                                       # what is made once is made: objects, and the stacks that are kept for the next task
    first, devices = Memory(agent), len(agent.items("devices"))
    for _ in range(ROUNDS):
        one()
    eventually(30, lambda: Memory(agent).as_good_as(first), lambda: f"as much memory as before ({first}) after {ROUNDS} rounds: {Memory(agent)}")
    equal(len(agent.items("devices")), devices, "devices in the list")


class Memory:
    """Free pages with the heap's, and those: the heap's end swings by what malloc keeps for the next time (128 KiB) and by a step (64 KiB)."""

    SWING = 48

    def __init__(self, agent):
        pages = agent.call("pages")
        self.heap = pages["heap_pages"]
        self.all = pages["free"] + self.heap

    def __str__(self):
        return f"{self.all} pages free or the heap's, {self.heap} of them the heap's"

    def as_good_as(self, other):
        return self.all >= other.all and self.heap <= other.heap + self.SWING


def no_complaints(guest, agent):
    for each in agent.items("devices"):
        if each["running"]:
            equal((each["rescues"], each["broken"]), (0, 0), f"rescues and broken queues of {each['name']}")
    lines = [line for line in status.complaints(guest.guest_errors())]
    need(not [line for line in lines if "virtio" in line.lower()], f"QEMU holds against the guest: {lines}")


def main():
    configuration = sys.argv[1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fixed, hot = folder / "fixed", folder / "hot"
        fixed.write_bytes(os.urandom(2 * MIB))
        hot.write_bytes(os.urandom(8 * MIB))
        port, = free_ports(1)
        extra = ["-netdev", f"user,id=lan,hostfwd=tcp:127.0.0.1:{port}-:{PORT}"]
        if configuration != "pc":
            for number in (1, 2, 3):
                extra += ["-device", f"pcie-root-port,id=slot{number},chassis={number},slot={number}"]
        if configuration == "q35-native":
            extra += ["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"]
        machine = make(configuration.split("-")[0], image("selftest"), disks=[Disk(str(fixed))], network=False, extra=extra,
                       command_line=["agent", "log=debug"])
        checks = Checks(f"hot-plug on {configuration}", seconds=80)
        with checks:
            with Guest(machine) as guest:
                checks.guest = guest
                agent = Agent(guest)
                slots = Slots(guest, configuration, hot)
                slots.fixed = hashlib.sha256(fixed.read_bytes()).hexdigest()
                checks.run("disk.comes", disk_comes, agent, slots, hot)
                checks.run("disk.leaves_under_load", disk_leaves_under_load, agent, slots, hot)
                checks.run("net.comes", net_comes, agent, slots)
                checks.run("net.leaves_under_load", net_leaves_under_load, agent, slots, port)
                checks.run("entropy.comes_and_goes", entropy_comes_and_goes, agent, slots)
                checks.run("rounds", rounds, agent, slots, port)
                checks.run("qemu.no_complaints", no_complaints, guest, agent)
    return checks.status()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except GuestError as error:
        sys.exit(f"FAIL {error}")
