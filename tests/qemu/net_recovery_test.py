#!/usr/bin/env python3
"""A network device that lies about its rings, or asks for a reset: the card is reset, addresses and buffers stay, and data flows again. The
rings are changed in the guest's memory while it stands still; for the rest QEMU's own device is honest.

    net_recovery_test.py CONFIGURATION
"""

import struct
import sys
import tempfile
import threading
import time

from ringside.guest import Guest
from ringside.machine import Forward

from support import traffic
from support.agent import Agent
from support.checks import Checks, equal, eventually, need
from support.machines import free_ports, image, make
from support.rings import Rings, shared

MIB = 1 << 20
PORT = 7000
RECEIVE, TRANSMIT = 0, 1


class CardRings(Rings):
    def lie(self, queue):
        """The used index moves by more than the guest has lent; packed: a buffer that was never lent is used. In the same moment the link goes
        down, which makes the guest look at its queues, and nothing comes any more with which the device would write over the lie."""
        self.guest.qmp("stop")
        try:
            where = self.where(queue)
            if self.packed:
                at = where["vring-desc"] + 16 * where["used-idx"]
                flags, = struct.unpack_from("<H", self.memory, at + 14)
                available, used = flags >> 7 & 1, flags >> 15 & 1
                # A descriptor that is still lent carries the lap's bit as available; one of the lap before has both alike.
                lap = available if available != used else 1 - available
                struct.pack_into("<HH", self.memory, at + 12, 0x7FFF, lap * 0x8080)
            else:
                at = where["vring-used"] + 2
                index, = struct.unpack_from("<H", self.memory, at)
                struct.pack_into("<H", self.memory, at, (index + 1000) & 0xFFFF)
            for up in (True, False):
                self.guest.qmp("set_link", name="nic0", up=up)
        finally:
            self.guest.qmp("cont")

    def ruin(self, queue):
        self.guest.qmp("stop")
        try:
            self.ruin_descriptors(queue)
        finally:
            self.guest.qmp("cont")


def card(agent):
    return next(device for device in agent.items("devices") if device["name"] == "net0")


def reachable(agent):
    try:
        return agent.call("ping", "10.0.2.2", 1000)["ns"] > 0
    except AssertionError:
        return False


def both_ways(port):
    with traffic.Service(port) as service:
        service.up(MIB, 1)
        service.down(MIB, 2)


def healed(guest, agent, port, attack):
    """After the reset the queues are new ones, so that their counters begin again; the interface keeps its address."""
    address = agent.call("net")["address"]
    both_ways(port)
    before = card(agent)["requests"]
    need(before > 1000, f"only {before} requests before")
    attack()
    eventually(20, lambda: card(agent)["requests"] < before, "the card was reset")
    guest.qmp("set_link", name="nic0", up=True)
    eventually(20, lambda: reachable(agent), "the gateway answers again")
    both_ways(port)
    net = agent.call("net")
    equal(net["address"], address, "the address")
    need(net["copied"] < net["received"], "the stack copies all frames")
    now = card(agent)
    equal((now["running"], now["broken"], now["rescues"]), (1, 0, 0), "running, broken queues, rescues")


def link_flaps(guest, port):
    """While data comes, and answers go. QEMU 7.2 drops what it finds in the transmit queue then, and of a packed ring loses its place: it asks
    for a reset, or does not ask for notifications any more."""
    for _ in range(5):
        failures = []

        def stream():
            try:
                with traffic.Service(port) as service:
                    service.up(3 * MIB, 8)
            except (AssertionError, OSError) as error:
                failures.append(str(error))

        thread = threading.Thread(target=stream)
        thread.start()
        time.sleep(0.05)
        guest.qmp("set_link", name="nic0", up=False)
        time.sleep(0.2)
        guest.qmp("set_link", name="nic0", up=True)
        thread.join(70)
        need(not thread.is_alive() and not failures, f"the connection did not go on: {failures}")


def main(configuration):
    with Checks(f"net recovery {configuration}", 150) as checks, tempfile.TemporaryDirectory(prefix="ringside-net-") as folder:
        port, = free_ports(1)
        machine = shared(make(configuration, image("selftest"), memory=128, command_line=["agent", "only=none"],
                              forwards=[Forward(port, PORT)]), folder)
        with Guest(machine) as guest:
            checks.guest = guest
            agent = Agent(guest)
            agent.call("net", 60)
            agent.call("listen", PORT)
            rings = CardRings(guest, folder, "virtio-net", machine.ring == "packed")
            checks.run("net.lie_in_receive_queue", healed, guest, agent, port, lambda: rings.lie(RECEIVE))
            checks.run("net.lie_in_transmit_queue", healed, guest, agent, port, lambda: rings.lie(TRANSMIT))
            if not machine.legacy:   # a legacy device has no way to ask for a reset: QEMU's falls silent
                checks.run("net.device_needs_reset", healed, guest, agent, port, lambda: (rings.ruin(RECEIVE), reachable(agent)))
            checks.run("net.link_flaps", link_flaps, guest, port)
            rings.close()
    return checks.status()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
