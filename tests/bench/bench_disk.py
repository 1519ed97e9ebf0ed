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


def measure(image, machines=None):
    """A line of figures, as a dict, for each machine and each way of reading."""
    with Counter() as counter, tempfile.TemporaryDirectory(prefix="ringside-bench-") as folder:
        disk = Path(folder) / "disk.img"
        disk.write_bytes(bytes(16 << 20))
        for title in machines or MACHINES:
            options = MACHINES[title]
            # ioeventfd=off: each notification is handled by itself, so none is counted for two.
            machine = Machine(image=image, disks=[Disk(str(disk), "bench", options="" if options.get("machine") == "microvm" else "ioeventfd=off")],
                              network=False, balloon=False, entropy=False, command_line=[f"reads={READS}"], **options)
            lines, printed, code = counter.run(machine)
            results = re.findall(r"(?m)^RESULT (\S+) (.*?)\r?$", printed)
            marks = [line for line in lines if line.name.startswith("mark")]
            if code != 0 or not results or len(marks) != 2 * len(results):
                raise UserError(f"{title}: the guest ended with {code} and {len(marks)} marks:\n{printed}")
            for (name, text), start, end in zip(results, marks[::2], marks[1::2]):
                values = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", text)}
                if values["rescues"]:
                    raise UserError(f"{title}, {name}: the watchdog had to rescue {values['rescues']} times")
                thousand = 1000 / values["reads"]
                yield {"machine": title, "way": name, "kicks": values["kicks"] * thousand, "suppressed": values["suppressed"] * thousand,
                       "interrupts": values["interrupts"] * thousand, "instructions": (end.instructions - start.instructions) / values["reads"],
                       "halts": (end.halt - start.halt) / values["reads"]}


def main(_options):
    for line in measure(build.image("bench")):
        print(f"{line['machine']}, {line['way']}: per 1,000 reads {line['kicks']:.0f} kicks ({line['suppressed']:.0f} suppressed), "
              f"{line['interrupts']:.0f} interrupts; {line['instructions']:.0f} instructions and {line['halts']:.2f} halts per read")
    return 0, []
