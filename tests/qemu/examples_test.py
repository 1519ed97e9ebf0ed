#!/usr/bin/env python3
"""The examples, run as a user would run them."""

import random
import re
import sys
import tempfile
import threading
from pathlib import Path

from ringside.guest import Guest
from ringside.machine import Disk, Forward

from support import traffic
from support.checks import Checks, equal, need
from support.machines import free_ports, image, make
from support.pattern import difference


def hello(configuration):
    with tempfile.TemporaryDirectory(prefix="ringside-hello-") as folder:
        disk = Path(folder) / "disk.img"
        disk.write_bytes(bytes(1 << 20))
        machine = make(configuration, image("hello"), disks=[Disk(disk, "one")], program_arguments=["a", "two words"])
        with Guest(machine) as guest:
            equal(guest.wait(30), 0, "status")
            text = guest.console_text()
            need("Hello from ringside!" in text, f"no greeting: {text!r}")
            need(re.search(r"argument 1: a\r?\nargument 2: two words\r?\n", text), f"its arguments: {text!r}")
            need(re.search(r"disk0: 1024 KiB, first sector read", text), f"its disk: {text!r}")


def echo(configuration):
    port, = free_ports(1)
    machine = make(configuration, image("echo"), forwards=[Forward(port, 7)])
    with Guest(machine) as guest:
        guest.expect(r"echo on 10\.0\.2\.15, port 7", 60)
        data = random.Random(3).randbytes(1 << 20)
        with traffic.connect(port) as connection:
            sender = threading.Thread(target=connection.sendall, args=(data,))
            sender.start()
            wrong = difference(traffic.receive(connection, len(data)), data)
            sender.join(30)
        need(not wrong, f"the echo: {wrong}")


def main():
    with Checks("examples", 100) as checks:
        for configuration in ("q35", "microvm"):
            checks.run(f"hello.{configuration}", hello, configuration)
            checks.run(f"echo.{configuration}", echo, configuration)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
