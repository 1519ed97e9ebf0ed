"""The peer of `bench guest --versus-linux`: Debian's kernel for clouds with linux_init.c as its only program, on the same QEMU with the same
devices. The kernel's package is downloaded and unpacked in the build folder; nothing is installed.

    with Counter() as counter:
        peer = prepare(paths.build_folder("x86_64") / "linux-peer")
        figures = measure(counter, peer, Setting())          # {"guest.blk.read4k.qd1_sleep.instructions": 13,900.0, ...}
"""

import lzma
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import guest_goals
import guest_ours
from counting import spans
from ringside.machine import Disk, Machine
from ringside.messages import UserError, say

FOLDER = Path(__file__).resolve().parent
PACKAGE = "linux-image-cloud-amd64"     # names the newest one
MODULES = ["virtio_pci", "virtio_blk", "virtio_net", "virtio_console"]
TESTS = ("qd1_sleep", "qd1_poll", "qd32", "read1m", "tx60", "loop60", "1mib", "1k", "64b")
TIMEOUT = 900


@dataclass
class Peer:
    kernel: Path
    initrd: Path
    name: str       # "Linux 6.1.0-56"


def prepare(folder):
    folder.mkdir(parents=True, exist_ok=True)
    tree = folder / "tree"
    if not list(tree.glob("boot/vmlinuz-*")):
        _download(folder, tree)
    kernels = sorted(tree.glob("boot/vmlinuz-*"))
    if not kernels:
        raise UserError(f"{PACKAGE} brought no kernel")
    version = kernels[0].name.removeprefix("vmlinuz-")
    program = folder / "init"
    subprocess.run(["gcc", "-O2", "-static", "-Wall", "-Wextra", "-o", str(program), str(FOLDER / "linux_init.c")], check=True)
    initrd = folder / "initrd"
    initrd.write_bytes(_archive(tree, version, program.read_bytes()))
    return Peer(kernels[0], initrd, "Linux " + version.removesuffix("-cloud-amd64"))


def _download(folder, tree):
    text = subprocess.run(["apt-cache", "depends", PACKAGE], check=True, capture_output=True, text=True).stdout
    found = re.search(r"Depends: (linux-image-\S+-cloud-amd64)", text)
    if not found:
        raise UserError(f"the package lists do not know {PACKAGE}: apt-get update may help")
    say(f"downloading {found[1]}")
    done = subprocess.run(["apt-get", "download", "-qq", found[1]], cwd=folder, capture_output=True, text=True)
    packages = sorted(folder.glob(f"{found[1]}_*.deb"))
    if done.returncode != 0 or not packages:
        raise UserError(f"{found[1]} could not be downloaded:\n{done.stderr}")
    subprocess.run(["dpkg-deb", "-x", str(packages[-1]), str(tree)], check=True)


# --- the first file system ---

def _module(tree, version, name):
    for path in sorted((tree / "lib/modules" / version).rglob("*.ko*")):
        if path.name.split(".")[0].replace("-", "_") == name:
            data = path.read_bytes()
            return lzma.decompress(data) if path.suffix == ".xz" else data
    return None


def _in_order(tree, version):
    """(name, bytes) of the modules, each after those that it needs."""
    loaded = {}

    def load(name):
        if name in loaded:
            return
        data = _module(tree, version, name)
        if data is None:
            raise UserError(f"{PACKAGE} has no module {name}")
        needs = re.search(rb"\0depends=([^\0]*)\0", data)
        for other in filter(None, needs[1].decode().replace("-", "_").split(",") if needs else []):
            load(other)
        loaded[name] = data

    for name in MODULES:
        load(name)
    return loaded


def _archive(tree, version, program):
    modules = _in_order(tree, version)
    order = "".join(f"{name}.ko\n" for name in modules)
    files = [("init", 0o100755, program), ("mods", 0o040755, b""), ("mods/order", 0o100644, order.encode())]
    files += [(f"mods/{name}.ko", 0o100644, data) for name, data in modules.items()]
    # The cpio format that Linux unpacks ("newc"): a header of 8-digit numbers, the name, the bytes, each filled up to four.
    out = bytearray()
    for number, (name, mode, data) in enumerate([*files, ("TRAILER!!!", 0, b"")], 1):
        fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        out += b"070701" + "".join(f"{value:08x}" for value in fields).encode() + name.encode() + b"\0"
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return bytes(out)


# --- measuring ---

def _machine(peer, setting):
    properties = setting.properties()
    extra = [*guest_ours.ICOUNT, "-initrd", str(peer.initrd)]
    for number in (1, 2):
        extra += ["-netdev", f"hubport,id=net{number},hubid=0",
                  "-device", f"virtio-net-pci,netdev=net{number},disable-legacy=on,romfile=,{properties}"]
    disks = [Disk(serial=name, node=guest_ours.null_disk(latency), options=properties) for name, latency in (("fast", 0), ("slow", guest_ours.SLOW_NS))]
    return Machine(image=peer.kernel, memory=512, disks=disks, netdev="user,restrict=on", network_options=properties, balloon=False, entropy=False,
                   chardevs=["file,id=bench,path=/dev/null"], console="bench",
                   command_line=["console=ttyS0", "quiet", "panic=-1", "net.ifnames=0", f"T={','.join(TESTS)}", f"N={setting.operations}"], extra=extra)


def measure(counter, peer, setting):
    """{name of a result: the peer's value}; of what it has"""
    lines, printed, code = counter.run(_machine(peer, setting), timeout=TIMEOUT, options=["mmio"])
    results = re.findall(r"(?m)^RESULT (\S+) operations=(\d+) interrupts=(\d+)\r?$", printed)
    measured = spans(lines)
    if code != 0 or [name for name, _, _ in results] != list(TESTS) or len(measured) != len(results):
        raise UserError(f"the Linux guest ended with {code} after {len(results)} of {len(TESTS)} results:\n{printed[-3000:]}")
    figures = {}
    for (name, operations, interrupts), span in zip(results, measured):
        count = int(operations)
        # The only device registers that are written here besides the local APIC's are the queues' notifications.
        figures[name] = guest_ours.Figures(count, span.total / count, span.device_writes / count, int(interrupts) / count, span.mmio / count, span)
    both, sent = figures.pop("loop60"), figures["tx60"]
    # Both ways at once, less the sending: it cannot be told apart inside one kernel.
    figures["rx60"] = guest_ours.Figures(both.operations, both.instructions - sent.instructions, max(0.0, both.kicks - sent.kicks),
                                         max(0.0, both.interrupts - sent.interrupts), both.mmio - sent.mmio, both.span)
    values = {name: guest_goals.value(name, figures[what]) for name, (_, _, what, _) in guest_goals.RESULTS.items() if what in figures}
    start = [line for line in lines if line.name == "mark 0"]
    values[guest_goals.BOOT[0]] = start[0].instructions + start[0].repeated
    return values
