"""How many instructions the guest executes from its entry to main(), and how large the images are. The same in every run."""

import sys
from pathlib import Path

from ringside import build
from ringside.machine import Machine
from ringside.messages import UserError
from ringside.size import measure as image_size

sys.path.insert(0, str(Path(__file__).resolve().parent))
from counting import Counter, entry, symbol  # noqa: E402

# Virtual time is counted in instructions, so that waiting for a device takes none of the host's chance with it.
ICOUNT = ["-icount", "shift=0,sleep=off"]


def measure(image, machine, devices):
    """(instructions, rounds of string instructions, halts) from the entry to main()"""
    addresses = {"entry": entry(image), "main": symbol(image, "main")}
    with Counter() as counter:
        described = Machine(image=image, machine=machine, memory=256, network=devices, balloon=devices, entropy=devices,
                            chardevs=["null,id=console"] if devices else [], console="console" if devices else "",
                            command_line=["only=none"], extra=list(ICOUNT))
        lines, printed, _ = counter.run(described, addresses)
    points = {line.name: line for line in lines}
    if set(points) != {"entry", "main"}:
        raise UserError(f"{machine}: the guest did not get to main():\n{printed}")
    return tuple(getattr(points["main"], what) - getattr(points["entry"], what) for what in ("instructions", "repeated", "halt"))


def main(_options):
    image = build.image("selftest")
    for name in ("q35", "pc", "microvm"):
        for devices in (True, False):
            count, repeated, halts = measure(image, name, devices)
            what = "network, console, balloon, entropy" if devices else "no devices"
            print(f"entry to main, {name}, {what}: {count} instructions, {repeated} rounds of string instructions, {halts} halts")
    for name in ("appliance", "selftest", "hello"):
        try:
            size = image_size(build.image(name))
        except UserError:
            continue
        print(f"{name}: {size['text'] + size['data']} bytes of code and data, {size['bss']} bytes zeroed")
    return 0, []
