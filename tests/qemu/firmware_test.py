#!/usr/bin/env python3
"""What firmware says, wrong on purpose: the guest names the table and what is wrong with it, and goes on with the rest.

    firmware_test.py q35|microvm|aarch64.virt|riscv64.virt|armv7.virt
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from ringside.guest import Guest

from support.checks import Checks, equal, eventually, need
from support.machines import image, make


def boot(configuration, words=(), extra=()):
    """What the log showed of a boot that ended well."""
    machine = make(configuration, image("hello"), network=False, balloon=False, memory=128, smp=1, command_line=list(words), extra=list(extra))
    with Guest(machine, console=False) as guest:
        equal(guest.wait(60), 0, "status")
        text = guest.serial_text()
    need("Hello from ringside!" in text, f"it did not get to its program: {text}")
    return text


def expect(text, *patterns):
    for pattern in patterns:
        need(re.search(pattern, text), f"no '{pattern}' in: {text}")


def table(signature, body):
    """An ACPI table; QEMU puts its checksum right."""
    return signature + (36 + len(body)).to_bytes(4, "little") + b"\x02\0RINGSITEST    \x01\0\0\0TEST\x01\0\0\0" + body


def device(name, resources):
    """An AML device with the hardware id of virtio over MMIO."""
    body = name + b"\x08_HID\x0dLNRO0005\0" + b"\x08_CRS\x11" + bytes([3 + len(resources), 0x0a, len(resources)]) + resources
    return b"\x5b\x82" + bytes([0x40 | (len(body) + 2) & 15, (len(body) + 2) >> 4]) + body


def ssdt(folder):
    """One device of an SSDT has no interrupt, another one lies where no device is."""
    memory, interrupt, end = b"\x86\x09\0\x01\0\0\0\xd0\0\x02\0\0", b"\x89\x06\0\x01\x01\x14\0\0\0", b"\x79\0"
    path = Path(folder) / "ssdt.aml"
    path.write_bytes(table(b"SSDT", device(b"VR00", memory + end) + device(b"VR01", memory + interrupt + end)))
    text = boot("q35", extra=["-acpitable", f"file={path}"])
    expect(text, r"firmware: SSDT: a virtio device \(LNRO0005\) whose resources are not understood", r"mmio 0xd0000000: ")


def twice():
    """A slot that ACPI and the command line name is one device; a word that is no slot is passed over."""
    slots = [f"virtio_mmio.device=512@{0xfeb00000 + 0x200 * slot:#x}:{24 + slot}" for slot in range(1, 24)]
    text = boot("microvm", [*slots, "virtio_mmio.device=512@0xfeb00e00", "virtio_mmio.device=none"])
    equal(len(re.findall(r"entropy\d+: entropy at mmio 0xfeb02e00", text)), 1, "devices in the last slot")
    equal(len(re.findall(r"entropy at mmio", text)), 1, "devices")
    expect(text, r"virtio_mmio\.device=512@0xfeb00e00: ", r"virtio_mmio\.device=none: ")


def without_padding(blob):
    """QEMU pads a tree to 1 MiB and, given one, makes room for twice as much, which does not fit below an ELF image."""
    field = lambda at: int.from_bytes(blob[at:at + 4], "big")
    used = max(field(8) + field(36), field(12) + field(32))
    return blob[:4] + used.to_bytes(4, "big") + blob[8:used]


def cells(*values):
    return b"".join(value.to_bytes(4, "big") for value in values)


def change(blob, node, old, new):
    """Replaces the value of a property of a node: the first property behind the node's name that has it."""
    begin = blob.index(node + b"\0")
    found = re.compile(re.escape(cells(3, len(old))) + b"(?s:....)" + re.escape(old)).search(blob, begin)
    return blob[:found.end() - len(old)] + new + blob[found.end():]


def dumped(configuration, folder):
    machine = make(configuration, image("hello"), network=False, balloon=False, memory=128, smp=1)
    machine.serial = "null"
    path = Path(folder) / "tree.dtb"
    made = subprocess.run([*machine.arguments(), "-machine", f"dumpdtb={path}"], capture_output=True, text=True, timeout=60)
    need(path.exists(), f"no device tree: {made.stderr}")
    return path, without_padding(path.read_bytes())


def tree(configuration, folder):
    """A device tree in which a slot is too short, and another one has an interrupt that no chip has."""
    path, blob = dumped(configuration, folder)
    arm = not configuration.startswith("riscv64")
    first, size = (0x0a000000, 0x200) if arm else (0x10001000, 0x1000)
    names = [b"virtio_mmio@%x" % (first + slot * size) for slot in range(3)]
    blob = change(blob, names[1], cells(0, first + size, 0, size), cells(0, first + size, 0, 0x80))
    blob = change(blob, names[2], cells(0, 18, 1) if arm else cells(3), cells(0, 1018, 1) if arm else cells(3000))
    path.write_bytes(blob)
    text = boot(configuration, extra=["-dtb", str(path)])
    expect(text, rf"firmware: {names[1].decode()}: a virtio-mmio device without usable registers",
           rf"firmware: {names[2].decode()}: a virtio-mmio device without an interrupt that we know", r"entropy0: entropy at ")


def no_serial_port(configuration, folder):
    """Hypervisors that have none (Apple's): what is to be said is said on the virtio console."""
    path, blob = dumped(configuration, folder)
    need(b"arm,pl011\0" in blob, "the tree has no PL011")
    path.write_bytes(blob.replace(b"arm,pl011\0", b"none,none\0"))
    machine = make(configuration, image("hello"), network=False, balloon=False, memory=128, smp=1, extra=["-dtb", str(path)])
    with Guest(machine) as guest:
        equal(guest.wait(60), 0, "status")
        need("Hello from ringside!" in guest.console_text(), f"the console shows {guest.console_text()!r}")
        equal(guest.serial_text(), "", "what the serial port shows")


def broken(configuration, folder):
    """A tree that cannot be walked: the panic says what is wrong where. (Only where there is a console without a tree.)"""
    path, blob = dumped(configuration, folder)
    at = blob.index(cells(1) + b"virtio_mmio@10003000\0")
    path.write_bytes(blob[:at] + cells(77) + blob[at + 4:])
    machine = make(configuration, image("hello"), network=False, balloon=False, memory=128, smp=1, extra=["-dtb", str(path)])
    with Guest(machine, console=False) as guest:
        eventually(60, lambda: re.search(r"PANIC: device tree: an unknown token \(at byte \d+\)", guest.serial_text()), "the panic")


def main():
    configuration = sys.argv[1]
    with Checks(f"firmware {configuration}", 100) as checks, tempfile.TemporaryDirectory(prefix="ringside-firmware-") as folder:
        if configuration == "q35":
            checks.run("ssdt", ssdt, folder)
        elif configuration == "microvm":
            checks.run("twice", twice)
        else:
            checks.run("tree", tree, configuration, folder)
            if configuration.startswith("riscv64"):
                checks.run("broken", broken, configuration, folder)
            else:
                checks.run("no_serial_port", no_serial_port, configuration, folder)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
