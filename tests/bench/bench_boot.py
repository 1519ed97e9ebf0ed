"""How many instructions the guest executes from its entry to main(), and how large the images are. The same in every run."""

import sys
from pathlib import Path

from ringside import build
from ringside.machine import MACHINES, Machine
from ringside.messages import UserError
from ringside.size import measure

sys.path.insert(0, str(Path(__file__).resolve().parent))
from counting import Counter, symbol  # noqa: E402

# Virtual time is counted in instructions, so that waiting for a device takes none of the host's chance with it.
ICOUNT = ["-icount", "shift=0,sleep=off"]


def main():
    image = build.image("selftest")
    addresses = {"entry": symbol(image, "ringside_pvh_entry"), "main": symbol(image, "main")}
    with Counter() as counter:
        for name in MACHINES:
            for devices in (True, False):
                machine = Machine(image=image, machine=name, memory=256, network=devices, balloon=devices, entropy=devices,
                                  chardevs=["null,id=console"] if devices else [], console="console" if devices else "",
                                  command_line=["only=none"], extra=list(ICOUNT))
                lines, printed, _ = counter.run(machine, addresses)
                points = {line.name: line for line in lines}
                if set(points) != {"entry", "main"}:
                    raise UserError(f"{name}: the guest did not get to main():\n{printed}")
                count = points["main"].instructions - points["entry"].instructions
                repeated = points["main"].repeated - points["entry"].repeated
                halts = points["main"].halt - points["entry"].halt
                what = "network, console, balloon, entropy" if devices else "no devices"
                print(f"entry to main, {name}, {what}: {count} instructions, {repeated} rounds of string instructions, {halts} halts")
    for name in ("appliance", "selftest", "hello"):
        try:
            size = measure(build.image(name))
        except UserError:
            continue
        print(f"{name}: {size['text'] + size['data']} bytes of code and data, {size['bss']} bytes zeroed")
    return 0
