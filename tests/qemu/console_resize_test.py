#!/usr/bin/env python3
"""The host changes the console's size, the guest sees it. QEMU can say so to a guest only where it has the command chardev-resize (or
a terminal of its own); without it this test says that it was skipped, and tests/unit has the resize with a device of our own.
"""

import sys

from ringside.guest import Guest

from support.agent import Agent
from support.checks import Checks, eventually
from support.machines import image, make

SKIPPED = 77      # what ctest takes for it


def resized(guest, agent, columns, rows):
    guest.qmp("chardev-resize", id="console", cols=columns, rows=rows)
    eventually(20, lambda: agent.call("console") == {"columns": columns, "rows": rows}, f"{columns} x {rows} seen by the guest")


def main():
    with Checks("console resize", 60) as checks:
        with Guest(make("q35", image("selftest"), network=False, command_line=["agent", "only=none"])) as guest:
            checks.guest = guest
            agent = Agent(guest)
            commands = {command["name"] for command in guest.qmp("query-commands")}
            if "chardev-resize" not in commands:
                version = guest.qmp("query-version")["qemu"]
                print(f"SKIPPED: console resize: QEMU {version['major']}.{version['minor']} has no command to change a console's size, "
                      "so no guest can see one; tests/unit checks it with a device that can")
                return SKIPPED
            checks.run("console.resize", resized, guest, agent, 132, 43)
            checks.run("console.resize_again", resized, guest, agent, 80, 25)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
