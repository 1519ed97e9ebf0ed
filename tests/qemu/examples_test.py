#!/usr/bin/env python3
"""The examples do what they say: hello reads a disk's first sector, echo gives back what it is sent."""

import os
import random
import socket
import sys
import tempfile
import threading
from pathlib import Path

from ringside.guest import Guest
from ringside.machine import Disk, Forward, Machine
from ringside.run import free_port

BUILD = Path(os.environ["RINGSIDE_BUILD"])


def image(name):
    return BUILD / "examples" / name / f"{name}.elf"


def hello(machine):
    with tempfile.NamedTemporaryFile() as disk:
        disk.truncate(3 << 20)
        with Guest(Machine(image=image("hello"), machine=machine, disks=[Disk(disk.name)], program_arguments=["one", "two words"])) as guest:
            guest.expect("Hello from")
            guest.expect("argument 1: one\r?\n")
            guest.expect("argument 2: two words\r?\n")
            guest.expect("3072 KiB, first sector read")
            assert guest.wait() == 0, "hello did not end well"
    # Without a disk it has nothing to complain about.
    with Guest(Machine(image=image("hello"), machine=machine)) as guest:
        guest.expect("Hello from")
        assert guest.wait() == 0, "hello without a disk did not end well"
        assert "sector" not in guest.console_text()


def receive(connection, size):
    data = bytearray()
    while len(data) < size:
        part = connection.recv(1 << 16)
        assert part, f"the connection ended after {len(data)} of {size} bytes"
        data += part
    return bytes(data)


def echo(machine):
    port = free_port(20000 + os.getpid() % 20000)
    sent = random.Random(3).randbytes(300_000)
    with Guest(Machine(image=image("echo"), machine=machine, forwards=[Forward(port, 7)])) as guest:
        guest.expect(r"echo on 10\.0\.2\.15, port 7")
        # Two connections at once: each is a task of its own.
        with socket.create_connection(("127.0.0.1", port), 20) as idle, socket.create_connection(("127.0.0.1", port), 20) as busy:
            busy.settimeout(60)
            idle.settimeout(60)
            sender = threading.Thread(target=busy.sendall, args=(sent,))
            sender.start()
            assert receive(busy, len(sent)) == sent, "the echo differs"
            sender.join()
            idle.sendall(b"still here")
            assert receive(idle, 10) == b"still here"


if __name__ == "__main__":
    hello(sys.argv[1])
    echo(sys.argv[1])
