#!/usr/bin/env python3
"""The host changes the console's size, the guest sees it. QEMU can say so to a guest only where it has the command chardev-resize (or
a terminal of its own); where it has not, the test writes the device's message into the control queue itself.
"""

import struct
import sys
import tempfile

from ringside.guest import Guest

from support.agent import Agent
from support.checks import Checks, eventually
from support.machines import image, make
from support.rings import Injector, shared

PORT, RESIZE, CONTROL_RECEIVE = 0, 5, 2      # VIRTIO 1.4, 5.3.2 and 5.3.6.2


def by_command(guest, agent, columns, rows):
    guest.qmp("chardev-resize", id="console", cols=columns, rows=rows)
    seen(agent, columns, rows)


def by_message(injector, agent, columns, rows):
    injector.send(struct.pack("<IHHHH", PORT, RESIZE, 0, columns, rows))
    seen(agent, columns, rows)


def seen(agent, columns, rows):
    eventually(20, lambda: agent.call("console") == {"columns": columns, "rows": rows}, f"{columns} x {rows} seen by the guest")


def main():
    with Checks("console resize", 60) as checks, tempfile.TemporaryDirectory(prefix="ringside-resize-") as folder:
        machine = make("q35", image("selftest"), memory=128, network=False, command_line=["agent", "only=none"])
        with Guest(shared(machine, folder)) as guest:
            checks.guest = guest
            agent = Agent(guest)
            checks.run("console.usual_size", seen, agent, 80, 25)
            if any(command["name"] == "chardev-resize" for command in guest.qmp("query-commands")):
                resize, by = by_command, guest
            else:
                resize, by = by_message, Injector(guest, folder, "virtio-serial", CONTROL_RECEIVE)
            checks.run("console.resize", resize, by, agent, 132, 43)
            checks.run("console.resize_again", resize, by, agent, 200, 60)
            checks.run("console.resize_back", resize, by, agent, 80, 25)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
