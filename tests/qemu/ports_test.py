#!/usr/bin/env python3
"""Console ports that come and go while the guest runs, hosts that do not read, connections that end in the middle, and last words.

    ports_test.py q35|microvm
"""

import random
import re
import socket
import sys
import threading
import time

from ringside.guest import Guest, GuestError

from support import traffic
from support.agent import Agent
from support.checks import Checks, equal, eventually, need
from support.machines import image, make
from support.pattern import difference

MIB = 1 << 20


class Plug:
    """A port that is plugged in at run time, and this side of it."""

    def __init__(self, guest, name, number):
        self._guest = guest
        self._id = f"plugged{number}"
        path = guest.folder / self._id
        guest.qmp("chardev-add", id=self._id, backend={"type": "socket", "data": {
            "addr": {"type": "unix", "data": {"path": str(path)}}, "server": True, "wait": False}})
        guest.qmp("device_add", driver="virtserialport", bus="serial0.0", name=name, chardev=self._id, id=f"port-{self._id}")
        self.connection = connect(path)

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
    with Checks(f"ports {configuration}", 150) as checks:
        machine = make(configuration, image("selftest"), memory=128, network=False, command_line=["agent", "only=none"])
        with Guest(machine) as guest:
            checks.guest = guest
            agent = Agent(guest)
            checks.run("ports.hot_plug", hot_plug, guest, agent)
            checks.run("ports.unplugged_while_busy", unplugged_while_busy, guest, agent)
            checks.run("ports.log_for_everybody", log_for_everybody, guest)
            checks.run("ports.not_read", not_read, guest, agent)
            checks.run("ports.healthy", healthy, agent)
            checks.run("ports.last_words", last_words, guest, agent)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
