"""The machines that every test runs on, and how their guests are described.

    machine = make("q35-intx", image("selftest"), disks=[...], command_line=["agent"])
"""

import os
import random
import socket
from pathlib import Path

from ringside import ports
from ringside.machine import Machine

# name -> how it differs
CONFIGURATIONS = {
    "q35": {"machine": "q35"},
    "q35-intx": {"machine": "q35", "vectors": 0},   # no MSI-X at all: one shared, level-triggered line
    "pc": {"machine": "pc"},
    "microvm": {"machine": "microvm"},              # virtio over MMIO, version 2
    "microvm-noacpi": {"machine": "microvm-noacpi"},
    "q35-packed": {"machine": "q35", "ring": "packed"},
    "pc-legacy": {"machine": "pc", "transport": "pci-legacy"},
    "q35-window": {"machine": "q35", "transport": "pci-cfg"},
    "microvm-legacy": {"machine": "microvm", "transport": "mmio-legacy"},
    "microvm-packed": {"machine": "microvm", "ring": "packed"},
}


def image(name):
    """An image of this build."""
    folder = Path(os.environ["RINGSIDE_BUILD"])
    found = sorted(folder.rglob(f"{name}.elf"))
    if not found:
        raise FileNotFoundError(f"no {name}.elf in {folder}")
    return found[0]


def make(configuration, elf, **options):
    """Of a name above, or of a processor and a machine of toolchain/ringside/platforms.py: "riscv64.virt-aia"."""
    processor, _, machine = configuration.rpartition(".")
    differs = {"arch": processor, "machine": machine} if processor else CONFIGURATIONS[configuration]
    options = {"memory": 256, "smp": 2, **differs, **options}
    return Machine(image=elf, **options)


def free_ports(count, kind=socket.SOCK_STREAM):
    """Ports of this computer that nobody uses now, and no connection of a test's own can come to: Linux takes those from 32768 on."""
    return [ports.reserve(random.sample(range(20000, 32768), 100), kind) for _ in range(count)]
