#!/usr/bin/env python3
"""What `ringside image` makes, booted: from disks and CDs by GRUB under SeaBIOS and UEFI (OVMF), whose own virtio drivers have used the
devices before; bzImages by QEMU's loaders and by GRUB. Every boot ends with a status that the guest chose.

    image_test.py raw-bios-q35|...               # cells() below, of the processor whose build it is
"""

import dataclasses
import hashlib
import os
import random
import re
import sys
import tempfile
from pathlib import Path

from ringside import boot_disk
from ringside import image as images
from ringside.guest import Guest
from ringside.machine import DEBUG_EXIT, Disk, Forward, Machine
from ringside.selftest import JOINED_PORTS, joined_chardevs

from support import traffic
from support.agent import Agent
from support.checks import Checks, equal, eventually, need
from support.data import FULL, Data
from support.machines import CONFIGURATIONS, free_ports, image
from support.pattern import difference, scribble

MIB = 1 << 20
TCP = 7000
STATUS = 37
WORDS = [f"debug-exit={DEBUG_EXIT:#x}", "log=debug", "agent"]
ARM_WORDS = ["debug-exit=semihosting", *WORDS[1:]]
FIRMWARE = {"x86_64": ["/usr/share/ovmf/OVMF.fd", "/usr/share/OVMF/OVMF_CODE.fd"], "aarch64": ["/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"]}


@dataclasses.dataclass
class Standalone(Machine):
    """A machine that boots by itself: from a disk or a CD."""

    def arguments(self):
        command = super().arguments()
        for option in ("-kernel", "-append"):
            at = command.index(option)
            del command[at:at + 2]
        return command


def firmware(kind, arch="x86_64"):
    if kind == "bios":
        return []
    found = [path for path in FIRMWARE[arch] if Path(path).exists()]
    need(found, f"no UEFI firmware in {' or '.join(FIRMWARE[arch])}: package ovmf, or qemu-efi-aarch64")
    return ["-bios", found[0]]


def cd_drive(path):
    return ["-drive", f"file={path},format=raw,if=none,id=cd,media=cdrom,readonly=on", "-device", "ide-cd,drive=cd,bootindex=0"]


# What every booted guest is put through.

def started_by(guest, what):
    said = eventually(10, lambda: re.search(r"started by (.*?,) ", guest.serial_text() + guest.console_text()), "the kernel says who started it")
    need(said[1].startswith(what), f"started by {said[1]!r}, not {what!r}")


def same_disk(agent, number, path):
    """Its first megabytes, in which all of it is that is not zero."""
    size = min(path.stat().st_size, 6 * MIB)
    with open(path, "rb") as file:
        expected = hashlib.sha256(file.read(size)).hexdigest()
    equal(agent.call("sha256", number, 0, size // 512, 256)["sha256"], expected, f"SHA-256 of disk {number}")


def writes(agent, number, path, content):
    agent.call("scribble", number, 5, 100, 8)
    agent.call("flush", number)
    expected = bytearray(content)
    scribble(expected, 5, 100)
    wrong = difference(path.read_bytes(), bytes(expected))
    need(not wrong, f"the image on the host: {wrong}")


def network(data, agent, port):
    data.net_address()
    agent.call("listen", TCP)
    with traffic.Service(port) as service:
        service.up(2 * MIB, 71)
        service.down(2 * MIB, 72)


def exits(guest, agent):
    agent.send_only("exit", STATUS)
    equal(guest.wait(20), STATUS, "status")


def with_module(guest, size):
    said = re.search(r"module [^:]*: (\d+) bytes", guest.serial_text() + guest.console_text())
    equal(int(said[1]) if said else None, size, "bytes of the initrd")


def boot(checks, name, machine, by, folder, disks=(), boot_disk_path=None, initrd=None, served=None):
    """disks: those beside the one for data; boot_disk_path: the first of them as it must look to the guest; initrd: bytes of the file that
    comes with the kernel; served: folder and name of the file that is booted by TFTP."""
    path = Path(folder) / "data.img"
    content = random.Random(3).randbytes(4 * MIB)
    path.write_bytes(content)
    port, = free_ports(1)
    machine = dataclasses.replace(machine, memory=256, smp=2, disks=[*disks, Disk(path, "data")], forwards=[Forward(port, TCP)],
                                  chardevs=joined_chardevs(folder), ports=JOINED_PORTS)
    if served:
        machine = dataclasses.replace(machine, netdev=f"user,tftp={served[0]},bootfile={served[1]},hostfwd=tcp:127.0.0.1:{port}-:{TCP}")
    with Guest(machine) as guest:
        checks.guest = guest
        data = Data(guest, machine, FULL, [path], port, 0, "msix")
        checks.run(f"{name}.own_checks", data.own_checks)
        agent = data.agent = Agent(guest)
        checks.run(f"{name}.started_by", started_by, guest, by)
        if initrd:
            checks.run(f"{name}.initrd", with_module, guest, initrd)
        if boot_disk_path:
            checks.run(f"{name}.boot_disk", same_disk, agent, 0, boot_disk_path)
        checks.run(f"{name}.writes", writes, agent, len(disks), path, content)
        checks.run(f"{name}.network", network, data, agent, port)
        checks.run(f"{name}.watchdog", data.no_rescues)
        checks.run(f"{name}.exit", exits, guest, agent)


# The cells.

def disk_node(kind, path):
    return {"driver": "qcow2" if kind == "qcow2" else "raw", "file": {"driver": "file", "filename": str(path)}}


def own_medium(checks, kind, start, name):
    """raw-bios-q35: from a virtio disk; iso from a CD drive, isodisk: the same file on a disk, as on a USB stick."""
    with tempfile.TemporaryDirectory(prefix="ringside-image-") as folder:
        path = images.make("iso" if kind == "isodisk" else kind, image("selftest"), Path(folder) / "image", WORDS)
        machine = Standalone(image="", extra=firmware(start), **CONFIGURATIONS[name])
        if kind == "iso":
            machine.extra += cd_drive(path)
            boot(checks, kind, machine, "multiboot2 from GRUB", folder)
            return
        os.truncate(path, -(-path.stat().st_size // 4096) * 4096)
        # QEMU's virtual size of a qcow2 file is that of the raw one: there the guest's checks of its own data must do.
        boot(checks, kind, machine, "multiboot2 from GRUB", folder, [Disk(path, "boot", options="bootindex=0", node=disk_node(kind, path))],
             path if kind != "qcow2" else None)


def kernel(checks, kind, name):
    """QEMU's own loaders, with a file beside the kernel."""
    with tempfile.TemporaryDirectory(prefix="ringside-image-") as folder:
        path = images.make(kind, image("selftest"), Path(folder) / "kernel")
        initrd = Path(folder) / "initrd"
        initrd.write_bytes(random.Random(4).randbytes(123_457))
        machine = Machine(image=path, command_line=WORDS[1:], extra=["-initrd", str(initrd)], **CONFIGURATIONS[name])
        boot(checks, f"{kind}.{name}", machine, "Linux from QEMU" if kind == "bzimage" else "PVH", folder, initrd=123_457)


def entry64(checks):
    """The bzImage by a loader of our own that enters it in 64 bits (loader64/), from four and from five levels of page tables."""
    def body(levels, name, cpu):
        with tempfile.TemporaryDirectory(prefix="ringside-image-") as folder:
            path = images.make("bzimage", image("hello"), Path(folder) / "bzimage")
            machine = Machine(image=image("loader64"), memory=256, command_line=["log=debug"], program_arguments=["one", "two words"],
                              extra=["-initrd", str(path), "-cpu", cpu], **CONFIGURATIONS[name])
            with Guest(machine) as guest:
                equal(guest.wait(30), 0, "status")
                equal(guest.serial_text()[:1], levels, "levels of page tables")
                need(re.search(r"argument 1: one\r?\nargument 2: two words\r?\n", guest.console_text()), f"its arguments: {guest.console_text()!r}")
                started_by(guest, "Linux,")
    for levels, name, cpu in (("4", "q35", "max,la57=off"), ("5", "q35", "max"), ("5", "microvm", "max")):
        checks.run(f"entry64.{name}.{levels}_levels", body, levels, name, cpu)


def uefi_kernel(checks, name):
    """The bzImage as a UEFI application that QEMU hands to the firmware with -kernel: started without GRUB, entered in 64 bits."""
    with tempfile.TemporaryDirectory(prefix="ringside-image-") as folder:
        path = images.make("bzimage", image("selftest"), Path(folder) / "kernel")
        machine = Machine(image=path, command_line=WORDS[1:], extra=firmware("uefi"), **CONFIGURATIONS[name])
        boot(checks, f"uefi.{name}", machine, "Linux from UEFI", folder)


def uefi_application(checks):
    """The same file as the one that UEFI starts from a disk where nothing is configured. Nobody gives it a command line."""
    def body():
        with tempfile.TemporaryDirectory(prefix="ringside-image-") as folder:
            bzimage = images.make("bzimage", image("hello"), Path(folder) / "bzimage")
            disk = boot_disk.system_partition(folder, {"EFI/BOOT/BOOTX64.EFI": bzimage}, "12345678")
            machine = Standalone(image="", memory=128, disks=[Disk(disk, "boot", options="bootindex=0")], extra=firmware("uefi"))
            with Guest(machine) as guest:
                equal(guest.wait(30), 0, "status")
                need("Hello from ringside!" in guest.console_text(), f"its greeting: {guest.console_text()!r}")
    checks.run("uefi_application", body)


def network_boot(checks, name):
    """The bzImage over the network: the firmware's driver has had the network card for all of it. Its command line is in the file."""
    with tempfile.TemporaryDirectory(prefix="ringside-image-") as folder:
        served = Path(folder) / "served"
        served.mkdir()
        images.make("bzimage", image("selftest"), served / "boot.efi", WORDS)
        machine = Standalone(image="", extra=firmware("uefi"), network_options="bootindex=0", **CONFIGURATIONS[name])
        boot(checks, f"network.{name}", machine, "Linux from UEFI", folder, served=(served, "boot.efi"))


def grub_linux(checks, start, name):
    """The bzImage by GRUB's `linux`, from the disk that `ringside image` made, with its configuration changed as a user would."""
    with tempfile.TemporaryDirectory(prefix="ringside-image-") as folder:
        path = images.make("raw", image("selftest"), Path(folder) / "disk")
        bzimage = images.make("bzimage", image("selftest"), Path(folder) / "bzimage")
        config = Path(folder) / "grub.cfg"
        config.write_text(f"linux /boot/ringside.bzimage {' '.join(WORDS)}\ninitrd /boot/grub/grub.cfg\nboot\n")
        system = f"{path}@@{boot_disk.SYSTEM_FIRST * boot_disk.SECTOR}"
        boot_disk.run("mcopy", "-i", system, bzimage, "::/boot/ringside.bzimage")
        boot_disk.run("mcopy", "-o", "-i", system, config, "::/boot/grub/grub.cfg")
        machine = Standalone(image="", extra=firmware(start), **CONFIGURATIONS[name])
        boot(checks, f"linux.{start}", machine, "Linux from GRUB", folder, [Disk(path, "boot", options="bootindex=0")], path,
             initrd=config.stat().st_size)


def arm_machine(name, start):
    """UEFI hands on the device tree only where it has no ACPI tables instead."""
    extra = ["-machine", "acpi=off", *firmware("uefi", "aarch64")] if start == "uefi" else []
    return {"arch": "aarch64", "machine": name, "extra": extra}


def arm_disk(checks, kind, name):
    with tempfile.TemporaryDirectory(prefix="ringside-image-") as folder:
        path = images.make(kind, image("selftest"), Path(folder) / "disk", ARM_WORDS, "aarch64")
        boot(checks, f"{kind}.{name}", Standalone(image="", **arm_machine(name, "uefi")), "Linux from UEFI", folder,
             [Disk(path, "boot", options="bootindex=0", node=disk_node(kind, path))], path if kind == "raw" else None)


def arm_kernel(checks, start, name):
    """The Image by QEMU's loader, and as a UEFI application that QEMU hands to the firmware: the command line comes with it."""
    with tempfile.TemporaryDirectory(prefix="ringside-image-") as folder:
        path = images.make("image", image("selftest"), Path(folder) / "image", ["not=these"], "aarch64")
        machine = Machine(image=path, command_line=ARM_WORDS[1:], **arm_machine(name, start))
        boot(checks, f"image.{start}.{name}", machine, "Linux from UEFI" if start == "uefi" else "Linux", folder)


def arm_without_tree(checks):
    """With ACPI's tables the firmware hands on no device tree: said, and the firmware goes on."""
    def body():
        with tempfile.TemporaryDirectory(prefix="ringside-image-") as folder:
            path = images.make("raw", image("hello"), Path(folder) / "disk", (), "aarch64")
            machine = Standalone(image="", arch="aarch64", machine="virt", network=False, extra=firmware("uefi", "aarch64"),
                                 disks=[Disk(path, "boot", options="bootindex=0")])
            with Guest(machine, console=False) as guest:
                eventually(60, lambda: "no device tree (in QEMU: -M virt,acpi=off)" in guest.serial_text(), "what is missing")
    checks.run("without_tree", body)


def power_off(checks, start, name):
    """Status 0 is a power-off by ACPI, whose tables come from the firmware that booted; the program's arguments come from the disk."""
    def body():
        with tempfile.TemporaryDirectory(prefix="ringside-image-") as folder:
            path = images.make("raw", image("hello"), Path(folder) / "disk", [*WORDS[:2], "--", "one", "two words"])
            machine = Standalone(image="", memory=128, disks=[Disk(path, "boot", options="bootindex=0")], extra=firmware(start),
                                 **CONFIGURATIONS[name])
            with Guest(machine) as guest:
                equal(guest.wait(30), 0, "status")
                need(re.search(r"argument 1: one\r?\nargument 2: two words\r?\n", guest.console_text()), f"its arguments: {guest.console_text()!r}")
    checks.run(f"power_off.{start}", body)


def no_boot_disk(checks):
    """A bzImage that somebody wrote to a disk says what it is."""
    def body():
        with tempfile.TemporaryDirectory(prefix="ringside-image-") as folder:
            path = images.make("bzimage", image("hello"), Path(folder) / "bzimage")
            os.truncate(path, 16 * MIB)     # a disk smaller than a cylinder is none for the BIOS
            machine = Standalone(image="", machine="pc", memory=64, network=False, balloon=False, entropy=False,
                                 disks=[Disk(path, "boot", options="bootindex=0")], extra=["-machine", "graphics=off"])
            with Guest(machine, console=False) as guest:
                eventually(20, lambda: "it needs a loader" in guest.serial_text(), "the boot sector's message")
    checks.run("no_boot_disk", body)


def arm_cells():
    found = {}
    for name in ("virt", "virt-gicv3"):
        for kind in ("raw", "qcow2"):
            found[f"{kind}-uefi-{name}"] = lambda checks, kind=kind, name=name: arm_disk(checks, kind, name)
        for start in ("none", "uefi"):
            found[f"image-{start}-{name}"] = lambda checks, start=start, name=name: arm_kernel(checks, start, name)
    found["without_tree"] = arm_without_tree
    return found


def cells():
    found = {}
    for kind in ("raw", "iso", "isodisk", "qcow2"):
        for start in ("bios", "uefi"):
            for name in ("q35", "pc"):
                found[f"{kind}-{start}-{name}"] = lambda checks, kind=kind, start=start, name=name: own_medium(checks, kind, start, name)
    for kind, names in (("bzimage", ("q35", "pc", "microvm", "microvm-noacpi")), ("elf", ("q35", "microvm"))):
        for name in names:
            found[f"{kind}-{name}"] = lambda checks, kind=kind, name=name: kernel(checks, kind, name)
    for start in ("bios", "uefi"):
        for name in ("q35", "pc"):
            found[f"linux-{start}-{name}"] = lambda checks, start=start, name=name: grub_linux(checks, start, name)
    for name in ("q35", "pc"):
        found[f"uefi-{name}"] = lambda checks, name=name: uefi_kernel(checks, name)
    found["network-uefi-q35"] = lambda checks: network_boot(checks, "q35")
    found["entry64"] = entry64
    found["uefi_application"] = uefi_application
    found["power_off"] = lambda checks: [power_off(checks, start, "q35") for start in ("bios", "uefi")]
    found["no_boot_disk"] = no_boot_disk
    return found


def main(names):
    found = {**cells(), **arm_cells()}
    names = names or list(arm_cells() if "aarch64" in Path(os.environ["RINGSIDE_BUILD"]).name else cells())
    with Checks(f"image {' '.join(names)}".strip(), 60 * len(names)) as checks:
        for name in names:
            found[name](checks)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
