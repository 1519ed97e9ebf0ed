#!/usr/bin/env python3
"""Console ports that come and go while the guest runs, hosts that do not read, connections that end in the middle, and last words.

    ports_test.py q35|microvm
"""

import random
import re
import socket
import sys
import tempfile
import threading
import time

from ringside.guest import Guest, GuestError

from support import status, traffic
from support.agent import Agent
from support.checks import Checks, Failure, equal, eventually, need
from support.machines import image, make
from support.pattern import difference
from support.rings import Rings, shared

MIB = 1 << 20
CONTROL = 2  # the queue of the device's messages


class Plug:
    """A port that is plugged in at run time, and this side of it."""

    def __init__(self, guest, name, number, **place):
        self._guest = guest
        self._id = f"plugged{number}"
        path = guest.folder / self._id
        guest.qmp("chardev-add", id=self._id, backend={"type": "socket", "data": {
            "addr": {"type": "unix", "data": {"path": str(path)}}, "server": True, "wait": False}})
        guest.qmp("device_add", driver="virtserialport", bus="serial0.0", name=name, chardev=self._id, id=f"port-{self._id}",
                  **place)
        self.connection = connect(path)

    def guest_side(self):
        """Whether the guest's side is open: on or off."""
        ports = self._guest.qmp("human-monitor-command", **{"command-line": "info qtree"})
        return re.search(rf'id "port-{self._id}".*?guest (on|off)', ports, re.S)[1]

    def unplug(self):
        self._guest.qmp("device_del", id=f"port-{self._id}")
        self.connection.close()
        eventually(10, self._forgotten, "the port's chardev is free")

    def _forgotten(self):
        try:
            self._guest.qmp("chardev-remove", id=self._id)
        except GuestError:
            return False
        return True


def connect(path):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(20)
    connection.connect(str(path))
    return connection


def echoed(connection, data):
    problems = []

    def send():
        try:
            connection.sendall(data)
        except OSError as error:
            problems.append(str(error))

    sender = threading.Thread(target=send)
    sender.start()
    try:
        wrong = difference(traffic.receive(connection, len(data)), data)
    finally:
        sender.join(20)
    need(not problems, f"sending: {problems}")
    need(not wrong, f"the echo: {wrong}")


def hot_plug(guest, agent):
    """The same port number again and again, and several at once."""
    chooser = random.Random(3)
    for number in range(12):
        plug = Plug(guest, "ringside.echo", f"a{number}")
        echoed(plug.connection, chooser.randbytes(chooser.randrange(1, 200_000)))
        plug.unplug()
    plugs = [Plug(guest, name, f"b{number}") for number, name in enumerate(["ringside.echo", "ringside.log", "org.example.other"])]
    echoed(plugs[0].connection, chooser.randbytes(MIB))
    need(b"MiB of memory" in plugs[1].connection.recv(65536), "the log from its beginning")
    for plug in plugs:
        plug.unplug()
    agent.call("clock")


def unplugged_while_busy(guest, agent):
    """The port goes with data on its way in both directions."""
    for number in range(6):
        plug = Plug(guest, "ringside.echo", f"c{number}")
        plug.connection.setblocking(False)
        try:
            for _ in range(64):
                plug.connection.send(bytes([0xA0 + number]) * 65536)
        except BlockingIOError:
            pass
        plug.unplug()
        agent.call("clock")
    last = Plug(guest, "ringside.echo", "d")
    echoed(last.connection, random.Random(4).randbytes(300_000))
    last.unplug()


def not_read(guest, agent):
    """A host that sends and does not read, then goes: QEMU keeps a buffer of ours each time. The console and the next connection must
    not mind, however often."""
    plug = Plug(guest, "ringside.echo", "e")
    plug.connection.close()
    for round_number in range(24):
        connection = connect(guest.folder / "pluggede")
        connection.setblocking(False)
        sent = 0
        try:
            while sent < 4 * MIB:
                sent += connection.send(bytes(65536))
        except BlockingIOError:
            pass
        time.sleep(0.1)
        connection.close()
        agent.call("clock")
    deadline = time.monotonic() + 30
    while True:
        connection = connect(guest.folder / "pluggede")
        connection.settimeout(3)
        try:
            # What the guest still had to send of the old connections may come first.
            connection.sendall(b"<the last one>")
            heard = b""
            while b"<the last one>" not in heard:
                part = connection.recv(1 << 20)
                need(part, "the port closed")
                heard += part
            break
        except (TimeoutError, OSError, AssertionError) as error:
            need(time.monotonic() < deadline, f"the port never echoed again: {error}")
            connection.close()
    connection.settimeout(20)
    echoed(connection, random.Random(6).randbytes(200_000))
    plug.connection = connection
    plug.unplug()


def kept_open(guest, agent):
    """What a program has open outlasts the resets that another port's lost buffers bring about; and the host hears when it is closed."""
    kept = Plug(guest, "org.example.kept", "g")
    eventually(10, lambda: opened(agent, "org.example.kept"), "the port can be opened")
    chooser = random.Random(7)
    first = agent.start("port-echo", 100_000)
    echoed(kept.connection, chooser.randbytes(100_000))
    agent.finish(first)
    second = agent.start("port-echo", 100_000)
    not_read(guest, agent)
    echoed(kept.connection, chooser.randbytes(100_000))
    # This side's connection stood all the time.
    need(agent.finish(second)[0]["ends"] > 0, "there was no reset")
    equal(kept.guest_side(), "on", "the guest's side")
    agent.call("port-close")
    eventually(10, lambda: kept.guest_side() == "off", "the host hears of it")
    # And from the beginning.
    need(opened(agent, "org.example.kept"), "it cannot be opened again")
    third = agent.start("port-echo", 10_000)
    echoed(kept.connection, chooser.randbytes(10_000))
    agent.finish(third)
    kept.unplug()
    gone(agent)


def lost_in_reset(guest, agent, rings, number, successor=None):
    """A port that goes while the device is out of order: no message can tell, but after the reset it is not there any more, or another one
    has come in its place, which nobody has opened."""
    lost = Plug(guest, "org.example.lost", number, nr=6)
    eventually(10, lambda: opened(agent, "org.example.lost"), "the port can be opened")
    first = agent.start("port-echo", 1000)
    echoed(lost.connection, bytes(1000))
    agent.finish(first)
    guest.qmp("stop")
    try:
        rings.ruin_descriptors(CONTROL)
        lost.unplug()
        need(needs_reset(guest), "QEMU found a place for its message")
        other = successor and Plug(guest, successor, f"{number}1", nr=6)
    finally:
        guest.qmp("cont")
    eventually(20, lambda: not needs_reset(guest), "the reset")
    gone(agent)
    if other:
        eventually(10, lambda: other.guest_side() == "off", "the other one is not open")
        other.unplug()
    last = Plug(guest, "ringside.echo", f"{number}2", nr=6)
    echoed(last.connection, random.Random(8).randbytes(10_000))
    last.unplug()


def heard_after_reset(guest, agent, rings):
    """What is typed while the device starts anew is heard at once, not with the next line, and answered."""
    for number in range(10):
        passing = Plug(guest, "org.example.passing", f"k{number}")
        guest.qmp("stop")
        try:
            rings.ruin_descriptors(CONTROL)
            passing.unplug()
        finally:
            guest.qmp("cont")
        eventually(20, lambda: not needs_reset(guest), "the reset")
        agent.call("clock", timeout=5)


def needs_reset(guest):
    path = next(path for name, path in status.devices(guest) if name == "virtio-serial")
    return status.status(guest, path)["broken"]


def opened(agent, name):
    try:
        agent.call("port-open", name)
        return True
    except Failure:
        return False


def gone(agent):
    """The port that the agent has open is one that there is not any more."""
    eventually(10, lambda: "No such device" in refusal(agent), "ENODEV")
    agent.call("port-close")


def refusal(agent):
    try:
        agent.finish(agent.start("port-echo", 1), 5)
    except (Failure, GuestError) as error:
        return str(error)
    return ""


def log_for_everybody(guest):
    """Each connection gets the log from its beginning, also one that ends in the middle."""
    plug = Plug(guest, "ringside.log", "f")
    first = None
    for _ in range(5):
        text = b""
        plug.connection.settimeout(10)
        while text.count(b"\n") < 2:
            part = plug.connection.recv(50)
            need(part, "the log ended")
            text += part
        line = text.split(b"\n")[0]
        need(re.match(rb"\[ *\d+\.\d+\] .*MiB of memory", line), f"not the log's first line: {line!r}")
        need(first in (None, line), f"{line!r} instead of {first!r}")
        first = line
        plug.connection.close()
        time.sleep(0.2)
        plug.connection = connect(guest.folder / "pluggedf")
    plug.unplug()


def healthy(agent):
    for device in agent.items("devices"):
        equal(device["broken"], 0, f"broken queues of {device['name']}")


def last_words(guest, agent):
    """A panic speaks on the console as well, by the emergency register."""
    agent.send_only("panic", "last_words")
    equal(guest.wait(20), 101, "status")
    for name, text in (("16550", guest.serial_text()), ("virtio console", guest.console_text())):
        need("PANIC: asked for by the host: last_words" in text, f"the message is not on the {name}")
        need(re.search(r"#\d+ [0-9a-f]+ .*panic_now", text), f"the backtrace is not on the {name}")


def main(configuration):
    with Checks(f"ports {configuration}", 150) as checks, tempfile.TemporaryDirectory(prefix="ringside-ports-") as folder:
        machine = shared(make(configuration, image("selftest"), memory=128, network=False, command_line=["agent", "only=none"]), folder)
        with Guest(machine) as guest:
            checks.guest = guest
            agent = Agent(guest)
            checks.run("ports.hot_plug", hot_plug, guest, agent)
            checks.run("ports.unplugged_while_busy", unplugged_while_busy, guest, agent)
            checks.run("ports.log_for_everybody", log_for_everybody, guest)
            checks.run("ports.kept_open", kept_open, guest, agent)
            rings = Rings(guest, folder, "virtio-serial", machine.ring == "packed")
            checks.run("ports.lost_in_reset", lost_in_reset, guest, agent, rings, "h")
            checks.run("ports.replaced_in_reset", lost_in_reset, guest, agent, rings, "i", "org.example.other")
            checks.run("ports.heard_after_reset", heard_after_reset, guest, agent, rings)
            rings.close()
            checks.run("ports.healthy", healthy, agent)
            checks.run("ports.last_words", last_words, guest, agent)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
