"""What 1,000 reads of 4 KiB cost the guest: notifications, interrupts and instructions, one at a time and 32 at once."""

import re
import sys
import tempfile
from pathlib import Path

from ringside import build
from ringside.machine import Disk, Machine
from ringside.messages import UserError

sys.path.insert(0, str(Path(__file__).resolve().parent))
from counting import Counter  # noqa: E402

READS = 1000
MACHINES = {"q35": {}, "q35 without messages": {"vectors": 0}, "microvm": {"machine": "microvm"}}


def main():
    image = build.image("bench")
    with Counter() as counter, tempfile.TemporaryDirectory(prefix="ringside-bench-") as folder:
        disk = Path(folder) / "disk.img"
        disk.write_bytes(bytes(16 << 20))
        for title, options in MACHINES.items():
            # ioeventfd=off: each notification is handled by itself, so none is counted for two.
            machine = Machine(image=image, disks=[Disk(str(disk), "bench", options="ioeventfd=off" if options.get("machine") != "microvm" else "")],
                              network=False, balloon=False, entropy=False, command_line=[f"reads={READS}"], **options)
            lines, printed, code = counter.run(machine)
            results = re.findall(r"(?m)^RESULT (\S+) (.*?)\r?$", printed)
            if code != 0 or not results:
                raise UserError(f"{title}: the guest ended with {code}:\n{printed}")
            marks = [line for line in lines if line.name.startswith("mark")]
            for (name, text), start, end in zip(results, marks[::2], marks[1::2]):
                values = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", text)}
                per = 1000 / values["reads"]
                instructions = (end.instructions - start.instructions) / values["reads"]
                print(f"{title}, {name}: per 1,000 reads {values['kicks'] * per:.0f} kicks ({values['suppressed'] * per:.0f} suppressed), "
                      f"{values['interrupts'] * per:.0f} interrupts; {instructions:.0f} instructions and {(end.halt - start.halt) / values['reads']:.2f} halts per read")
                if values["rescues"]:
                    raise UserError(f"{title}, {name}: the watchdog had to rescue {values['rescues']} times")
    return 0
