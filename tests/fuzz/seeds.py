#!/usr/bin/env python3
"""seeds.py: writes the seeds anew: a few short programs for each target that reach every operation with an honest and with a lying device."""

import random
from pathlib import Path

from fuzz import RINGS, SEEDS


def program(rng, hostile, kind):
    shape = rng.randrange(8) | rng.choice([0, 8]) | rng.choice([0, 16]) | {"general": 0, "fixed": 0x20, "presets": 0x40}[kind] | (0x80 if hostile else 0)
    head = [shape, rng.choice([7, 5, 9]), *(rng.randrange(5) for _ in range(5)), rng.choice([0, 0, 2])]
    body = []
    for _ in range(rng.randrange(20, 60)):
        body += rng.choice([
            [2, rng.randrange(80), 0x80 | rng.randrange(1, 64)],
            [0, rng.randrange(80), rng.randrange(1, 5), rng.randrange(3), *(rng.randrange(1, 64) for _ in range(4))],
            [7], [14], [9], [11, rng.randrange(8), 0, 1, 1], [4, 0, rng.randrange(1, 128)], [5, rng.randrange(80), rng.randrange(8)],
            [12, rng.randrange(2), rng.randrange(3)], [13], [15, 1, 3],
        ])
    return bytes(head + body)


def words(*values, size=4):
    return b"".join(value.to_bytes(size, "little") for value in values)


def table(signature, body, head=b""):
    """An ACPI table; its checksum is put right by the fuzzer where it matters."""
    return signature + words(36 + len(head) + len(body)) + bytes(28) + head + body


def slot(number, items):
    """A virtio device in a DSDT (LNRO0005), with a resource template of these items."""
    template = b"".join(items) + bytes([0x79, 0])
    body = b"VR%02d" % number + b"\x08_HID\x0dLNRO0005\0\x08_UID\x0a" + bytes([number]) + b"\x08_STA\x0a\x0f\x08_CRS\x11" + \
        bytes([3 + len(template), 0x0a, len(template)]) + template
    length = len(body) + 2
    return b"\x5b\x82" + bytes([0x40 | length & 15, length >> 4]) + body


def acpi():
    memory, interrupt = b"\x86\x09\0\x01" + words(0xfeb00000, 0x200), b"\x89\x06\0\x01\x01" + words(24)
    event = b"\x5b\x82\x20GED_\x08_HID\x0dACPI0013\0" + b"\x89\x06\0\x03\x01" + words(9)
    event += b"\x5b\x80EREG\0\x0c" + words(0xfea00000) + b"\x0a\x04"
    sleep = b"\x08_S5_\x12\x07\x04\x0a\x05\x0a\x05\0\0"
    madt = table(b"APIC", b"\0\x08\0\0\x01\0\0\0" + b"\x01\x0c\0\0" + words(0xfec00000, 0) + b"\x02\x0a\0\x05" + words(5) + b"\x0d\0" +
                 b"\x09\x10" + bytes(6) + words(1) + bytes(4) + b"\x05\x0c\0\0" + words(0xfee00000, 0), words(0xfee00000, 1))
    yield "madt", b"\x80" + madt
    yield "madt_many", b"\x80" + table(b"APIC", b"\x02\x0a\0\x05" + words(5) + b"\x0d\0" + b"\x02\x0a\0\x05\x05\0\0\0\x0d\0" * 30 +
                               b"\x01\x0c\0\0\0\0\xc0\xfe\0\0\0\0" * 12, words(0xfee00000, 1))
    yield "fadt", b"\x81" + table(b"FACP", bytes(4) + words(0x1000, 0x2000) + bytes(5) + words(9, size=2) + words(0xb2) + bytes(216))
    yield "dsdt", b"\x82" + table(b"DSDT", slot(0, [memory, interrupt]) + slot(1, [interrupt, memory]) + event + sleep)
    yield "dsdt_odd", b"\x82" + table(b"DSDT", slot(1, [b"\x22\x01\0", memory]) + b"\x08_HID\x0dLNRO0005\0" + slot(2, [b"\x89\xff\xff", memory]))
    registers = b"".join(b"\x5b\x80" + name + b"\x01\x0b" + words(port, size=2) + bytes([0x0a, length])
                         for name, port, length in ((b"PCST", 0xcc0, 8), (b"SEJ_", 0xcc8, 4), (b"BNMR", 0xcd0, 8)))
    bridge = b"S18_\x08_ADR\x0c" + words(3 << 16) + b"\x08BSEL\x0a\x05"
    bridge = b"\x5b\x82" + bytes([1 + len(bridge)]) + bridge
    windows = b"\x88\x0d\0\x02\x0c\0\0\0\0\0\xff\0\0\0\0\x01" + b"\x88\x0d\0\x01\x0c\x03\0\0\0\x0d\xff\xff\0\0\0\xf3" + \
        b"\x87\x17\0\0\x0c\x01" + words(0, 0xc0000000, 0xfebfffff, 0, 0x3ec00000) + b"\x79\0"
    length = len(windows) + 4
    windows = b"\x08_CRS\x11" + bytes([0x40 | length & 15, length >> 4, 0x0a, len(windows)]) + windows
    yield "dsdt_hot_plug", b"\x82" + table(b"DSDT", registers + windows + b"\x08BSEL\0" + bridge)
    yield "dsdt_buses", b"\x82" + table(b"DSDT", b"\x08BSEL\x01" * 70)
    yield "mcfg", b"\x83" + table(b"MCFG", bytes(8) + words(0xb0000000, 0) + b"\0\0\0\xff" + bytes(4))
    yield "xsdt", b"\x84" + table(b"XSDT", words(0x1000, 0x2000, size=8))
    yield "rsdp", b"\x05RSD PTR " + bytes(7) + b"\x02" + words(0x1000, 36) + words(0x2000, size=8) + bytes(4)


def mp_table():
    entries = b"\0\0\x14\x03" + bytes(16) + b"\x01\0ISA   " + b"\x02\x01\x11\x01" + words(0xfec00000)
    entries += b"\x03\0\x0d\0\0\x05\x01\x05" + b"\x04\x03\0\0\0\0\xff\0"
    yield "usual", b"\x01PCMP" + words(44 + len(entries), size=2) + b"\x04\0" + bytes(36) + entries
    yield "entries", b"\x01PCMP" + bytes(40) + entries * 9


def boot_info():
    strings, where = b"quiet ip=10.0.2.15\0", 0x400

    def memory(choice, address, **parts):
        image = bytearray(0x600)
        for place, content in parts.items():
            at = int(place[1:], 16)
            image[at:at + len(content)] = content
        return bytes([choice]) + words(address, size=2) + bytes(image)

    entry = words(0x100000, size=8) + words(0x7f00000, size=8) + words(1, 0)
    module = words(0x200000, size=8) + words(0x1000, where, size=8) + bytes(8)
    start = words(0x336ec578, 1, 0, 1) + words(0x200, where, 0x300, size=8) + words(0x100, size=8) + words(2, 0)
    yield "pvh", memory(0, 0x40, _40=start, _100=entry * 2, _200=module, _400=strings)
    tags = [words(1, 8 + len(strings)) + strings, words(6, 16 + 24, 24, 0) + entry, words(4, 16, 640, 0x7f00),
            words(3, 18, 0x200000, 0x201000) + b"m\0", words(14, 28) + b"RSD PTR " + bytes(12), words(12, 16) + words(0x300, size=8),
            words(17, 16 + 40, 40, 1) + words(7, 0, 0, 0, 0, 0, 16, 0, 0, 0), words(0, 8)]
    body = b"".join(tag + bytes(-len(tag) % 8) for tag in tags)
    yield "multiboot2", memory(1, 0x40, _40=words(8 + len(body), 0) + body)
    zero = bytearray(0x400)
    zero[0x1e8:0x1e9] = b"\x02"
    zero[0x1fe:0x200], zero[0x202:0x206], zero[0x206:0x208] = b"\x55\xaa", b"HdrS", words(0x20c, size=2)
    zero[0x228:0x22c] = words(where + 0x100)
    zero[0x218:0x220] = words(0x200000, 0x1000)
    zero[0x2d0:0x2d0 + 20] = entry[:20]
    yield "linux", memory(2, 0, _0=bytes(zero), _500=strings)
    yield "efi", memory(3, 0x40, _40=words(7, 0) + words(0x100000, 0, 16, 0, size=8))
    yield "scan", memory(4, 0x100, _100=b"RSD PTR " + bytes(12), _200=b"_MP_" + words(0x300) + b"\x01\x04" + bytes(6))


def command_line():
    yield "usual", b"debug-exit=0xf4 ip=10.0.2.15/24,gw=10.0.2.2 log=debug quiet -- \"two words\" three %41 virtio_mmio.device=512@0xfeb00200:25"
    yield "quotes", b"a='b c' \"d=e f\" g=\"h i\" j=' unclosed -- 'x y' \"z"
    yield "slots", b"virtio_mmio.device=4K@0xd0000000:5 virtio_mmio.device=0x200@010:0x10:3 x=16G@1M:07"


class Tree:
    """Writes a flattened device tree."""
    def __init__(self):
        self.structure, self.strings = b"", b""

    def begin(self, name):
        self.structure += words(1)[::-1] + name + b"\0" + bytes(-(len(name) + 1) % 4)
        return self

    def end(self):
        self.structure += words(2)[::-1]
        return self

    def cells(self, name, *values):
        return self.bytes(name, b"".join(words(one)[::-1] for one in values))

    def text(self, name, value):
        return self.bytes(name, value + b"\0")

    def bytes(self, name, value):
        self.structure += b"".join(words(one)[::-1] for one in (3, len(value), len(self.strings))) + value + bytes(-len(value) % 4)
        self.strings += name + b"\0"
        return self

    def done(self):
        structure = self.structure + words(9)[::-1]
        total = 56 + len(structure) + len(self.strings)
        head = (0xd00dfeed, total, 56, 56 + len(structure), 40, 17, 16, 0, len(self.strings), len(structure))
        return b"".join(words(one)[::-1] for one in head) + bytes(16) + structure + self.strings


def device_tree():
    # Interrupt maps that point at each other and at themselves.
    tree = Tree().begin(b"").cells(b"#address-cells", 1).cells(b"#size-cells", 1)
    for name, handle, other in ((b"a", 1, 2), (b"b", 2, 1), (b"c", 3, 3)):
        tree.begin(name).cells(b"phandle", handle).cells(b"#interrupt-cells", 1).cells(b"interrupt-map", 1, other, 1).end()
        tree.begin(name + b"x").cells(b"interrupt-parent", handle).cells(b"interrupts", 1).end()
    yield "circle", b"\0" + tree.end().done()
    # A window of no size, a slot without room for its registers.
    tree = Tree().begin(b"").cells(b"#address-cells", 1).cells(b"#size-cells", 1).cells(b"interrupt-parent", 1)
    tree.begin(b"plic").text(b"compatible", b"riscv,plic0").cells(b"phandle", 1).cells(b"#interrupt-cells", 1)
    tree.cells(b"interrupt-controller").cells(b"reg", 0x1000, 64).end()
    tree.begin(b"pci").text(b"compatible", b"pci-host-ecam-generic").cells(b"reg", 0x10000000, 0x10000000)
    tree.cells(b"#address-cells", 3).cells(b"#size-cells", 2)
    tree.cells(b"ranges", 0x3000000, 0, 0x40000000, 0x40000000, 0, 0, 0x2000000, 0, 0x50000000, 0x50000000, 0, 0x1000).end()
    tree.begin(b"slot").text(b"compatible", b"virtio,mmio").cells(b"reg", 0x2000, 0x80).cells(b"interrupts", 3).end()
    yield "odd", b"\0" + tree.end().done()
    for number in range(12):
        rng = random.Random(f"tree {number}")
        body = []
        for _ in range(rng.randrange(20, 120)):
            values = [rng.randrange(256) for _ in range(8)]
            body += rng.choice([[rng.randrange(48)], [rng.randrange(48, 80)], [rng.randrange(86, 255), rng.randrange(1, 12), *values]])
        yield f"program_{number}", bytes([1, *body])


def main():
    for make in (acpi, mp_table, boot_info, command_line, device_tree):
        folder = SEEDS / make.__name__
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in make():
            (folder / name).write_bytes(content)
    for target in RINGS:
        folder = SEEDS / target
        folder.mkdir(parents=True, exist_ok=True)
        for kind in ("general", "fixed", "presets"):
            for hostile in (False, True):
                rng = random.Random(f"{target} {kind} {hostile}")
                name = f"{kind}_{'hostile' if hostile else 'referee'}"
                (folder / name).write_bytes(program(rng, hostile, kind))


if __name__ == "__main__":
    main()
