"""The measuring image (boot/images/bench) on a counting emulator: what each operation costs a Ringside guest.

    with Counter() as counter:
        figures = measure(counter, image, Setting())     # {"qd1_sleep": Figures(operations=1000, instructions=350, kicks=1.0, ...), ...}
"""

import re
from dataclasses import dataclass, field

from counting import Span, entry, spans, symbol
from ringside.machine import Disk, Machine
from ringside.messages import UserError

# One instruction, one nanosecond; the clock goes on while the guest sleeps (with sleep=off, an answer that the host still works on
# comes "later" than a timer that is long off, and the counts are those of timers).
ICOUNT = ["-icount", "shift=0,sleep=on,align=off"]
DISK_BYTES = 1 << 30
# The slow disk's answer never comes before the guest sleeps.
SLOW_NS = 200_000

BLOCK = ("qd1_sleep", "qd1_poll", "qd32", "qd32_tasks", "read1m")
NET = ("tx60", "rx60")
CONSOLE = ("1mib", "1k", "64b")


@dataclass
class Setting:
    """What both guests get alike."""
    machine: str = "q35"
    arch: str = "x86_64"
    ioeventfd: bool = False
    packed: bool = False
    operations: int = 2048
    vectors: int = -1
    measure: tuple = BLOCK + NET + CONSOLE
    more: list = field(default_factory=list)   # of QEMU's options

    def properties(self, *others):
        """Of every virtio device on PCI."""
        return ",".join([*others, f"ioeventfd={'on' if self.ioeventfd else 'off'}", *(["packed=on"] if self.packed else [])])


@dataclass
class Figures:
    """Per operation, but for `operations` and `span`."""
    operations: int
    instructions: float
    kicks: float
    interrupts: float
    mmio: float
    span: Span


def null_disk(latency_ns):
    return {"driver": "null-co", "read-zeroes": True, "size": DISK_BYTES, "latency-ns": latency_ns}


def machine(image, setting):
    """A fast and a slow disk, a card whose frames nobody takes, two cards on one hub, a console with a port that goes nowhere."""
    properties = setting.properties() if setting.machine != "microvm" else "packed=on" if setting.packed else ""
    pci = setting.machine != "microvm"
    disks = [Disk(serial=name, node=null_disk(latency), options=properties) for name, latency in (("fast", 0), ("slow", SLOW_NS))]
    needs_disk = any(name in BLOCK for name in setting.measure)
    needs_net = any(name in NET for name in setting.measure)
    needs_console = any(name in CONSOLE for name in setting.measure)
    extra = list(ICOUNT) + list(setting.more)
    if pci and "rx60" in setting.measure:
        options = ",".join(word for word in ("disable-legacy=on,romfile=", properties, f"vectors={setting.vectors}" if setting.vectors >= 0 else "") if word)
        for number in (1, 2):
            extra += ["-netdev", f"hubport,id=net{number},hubid=0", "-device", f"virtio-net-pci,netdev=net{number},{options}"]
    return Machine(image=image, arch=setting.arch, machine=setting.machine, memory=256, disks=disks if needs_disk else [], network=needs_net,
                   netdev="user,restrict=on", network_options=properties, balloon=False, entropy=False, vectors=setting.vectors,
                   chardevs=["file,id=bench,path=/dev/null"] if needs_console else [], ports={"ringside.bench": "bench"} if needs_console else {},
                   command_line=[f"operations={setting.operations}", f"measure={','.join(setting.measure)}", "ip=10.0.2.15/24"], extra=extra)


def measure(counter, image, setting, profile=False, timeout=120):
    options = ["mmio", "profile"] if profile else ["mmio"]
    lines, printed, code = counter.run(machine(image, setting), timeout=timeout, options=options)
    results = re.findall(r"(?m)^RESULT (\S+) (.*?)\r?$", printed)
    measured = spans(lines)
    if code != 0 or len(measured) != len(results) or not results:
        raise UserError(f"the guest ended with {code} after {len(results)} results and {len(measured)} measurements:\n{printed}")
    figures = {}
    for (name, text), span in zip(results, measured):
        values = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", text)}
        if values["rescues"]:
            raise UserError(f"{name}: the watchdog had to rescue {values['rescues']} times")
        count = values["operations"]
        figures[name] = Figures(count, span.total / count, values["kicks"] / count, values["interrupts"] / count, span.mmio / count, span)
    return figures


def boot(counter, image, setting, options=()):
    """From the entry to main(), with a disk and a network card that are ready."""
    addresses = {"entry": entry(image), "main": symbol(image, "main")}
    properties = setting.properties() if setting.machine != "microvm" else "packed=on" if setting.packed else ""
    described = Machine(image=image, arch=setting.arch, machine=setting.machine, memory=256, disks=[Disk(serial="fast", node=null_disk(0), options=properties)],
                        netdev="user,restrict=on", network_options=properties, balloon=False, entropy=False,
                        command_line=["measure=nothing"], extra=list(ICOUNT))
    lines, printed, _ = counter.run(described, addresses, options=options)
    points = {line.name: line for line in lines}
    if not {"entry", "main"} <= set(points):
        raise UserError(f"the guest did not get to main():\n{printed}")
    span = Span()
    span.add(points["entry"], points["main"])
    span.profile = points["main"].counts.get("profile", {})
    return span
