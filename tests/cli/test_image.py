#!/usr/bin/env python3
"""`ringside image` without a guest: the bzImage's header, the disk's partition tables read by other eyes, damaged input, missing tools."""

import os
import random
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "toolchain"))

import bzimage  # noqa: E402
from ringside import boot_disk, image  # noqa: E402
from ringside.messages import UserError  # noqa: E402

LINK = 0x100000


def setup_part(init_size, address=LINK):
    setup = bytearray(0x1200)
    setup[0x1F1] = 8
    setup[0x202:0x206] = b"HdrS"
    struct.pack_into("<I", setup, 0x214, address)
    struct.pack_into("<QI", setup, 0x258, address, init_size)
    return bytes(setup)


def elf(setup, segments):
    """A small ELF file: segments of (address, content, size in memory) and the sections that a bzImage is made of."""
    names = b"\0.linux_setup\0.shstrtab\0"
    headers = 64 + 56 * len(segments)
    content, program = b"", b""
    for address, data, size in segments:
        program += struct.pack("<IIQQQQQQ", 1, 5, headers + len(content), address, address, len(data), size, 4096)
        content += data
    setup_at = headers + len(content)
    names_at = setup_at + len(setup)
    sections = bytes(64) + struct.pack("<IIQQQQIIQQ", 1, 1, 0, 0, setup_at, len(setup), 0, 0, 1, 0)
    sections += struct.pack("<IIQQQQIIQQ", 14, 3, 0, 0, names_at, len(names), 0, 0, 1, 0)
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, LINK, 64, names_at + len(names), 0, 64, 56, len(segments), 64, 3, 2)
    return head + program + content + setup + names + sections


GOOD = elf(setup_part(0x5000), [(LINK, b"text", 4), (LINK + 0x1000, b"rodata", 6), (LINK + 0x2000, b"data" * 5, 0x3000)])


class BzImage(unittest.TestCase):
    def test_parts(self):
        made = bzimage.bzimage(GOOD)
        self.assertEqual(made[0x200:0x1200], setup_part(0x5000)[0x200:])
        flat = made[0x1200:]
        self.assertEqual(len(flat) % 512, 0)
        self.assertEqual(struct.unpack_from("<I", made, 0x1F4)[0] * 16, len(flat))
        self.assertEqual(flat[:5], b"text\0")
        self.assertEqual(flat[0x1000:0x1007], b"rodata\0")
        self.assertEqual(flat[0x2000:].rstrip(b"\0"), b"data" * 5)

    def refused(self, content, why):
        with self.assertRaisesRegex(bzimage.BadImage, why):
            bzimage.bzimage(content)

    def test_no_image(self):
        self.refused(b"", "not a 64-bit")
        self.refused(b"\x7fELF\x01\x01" + bytes(100), "not a 64-bit")
        self.refused(elf(b"", []).replace(b".linux_setup", b".linux_nothing"[:12]), "no section")
        self.refused(elf(setup_part(4), []), "no loadable segment")
        self.refused(elf(setup_part(4)[:-512], [(LINK, b"text", 4)]), "is damaged")
        self.refused(elf(setup_part(8), [(LINK, b"text", 4)]), "tells of 8 bytes")
        self.refused(elf(setup_part(4, LINK * 2), [(LINK, b"text", 4)]), "tells of")
        self.refused(elf(setup_part(4), [(LINK, b"text", 4), (LINK + 2, b"more", 4)]), "overlap")
        self.refused(elf(setup_part(4), [(LINK, b"text", 4), (1 << 62, b"more", 4)]), "too far apart")

    def test_damage(self):
        chooser = random.Random(1)
        for length in range(0, len(GOOD) - 24, 7):   # the last section's header ends with what nobody reads
            with self.assertRaises(bzimage.BadImage):
                bzimage.bzimage(GOOD[:length])
        for _ in range(2000):
            bad = bytearray(GOOD)
            for _ in range(4):
                bad[chooser.choice([chooser.randrange(64 + 168), len(bad) - 1 - chooser.randrange(192)])] = chooser.randrange(256)
            try:
                bzimage.bzimage(bytes(bad))
            except bzimage.BadImage:
                pass

    def test_by_itself(self):
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "a.elf", Path(folder) / "a.bzimage"
            source.write_bytes(GOOD)
            run = subprocess.run([sys.executable, ROOT / "toolchain" / "bzimage.py", source, target], capture_output=True, text=True)
            self.assertEqual((run.returncode, run.stderr), (0, ""))
            self.assertEqual(target.read_bytes(), bzimage.bzimage(GOOD))
            source.write_bytes(b"nothing")
            run = subprocess.run([sys.executable, ROOT / "toolchain" / "bzimage.py", source, target], capture_output=True, text=True)
            self.assertEqual(run.returncode, 1)
            self.assertIn("not a 64-bit", run.stderr)


class Application(unittest.TestCase):
    """aarch64's, whose command line is in the file."""

    def content(self, count=1):
        place = b"ringside built-in command line\0\0".ljust(image.MARKER_BYTES + image.BUILT_IN_BYTES, b"\0")
        return elf(b"", [(LINK, b"code" + place * count, 1 << 16)])

    def test_words(self):
        made = image.application(self.content(), ["log=debug", "--", "two words"])
        self.assertEqual(len(made) % 512, 0)
        self.assertEqual(made[:4], b"code")
        self.assertEqual(made[36:36 + 26], b'log=debug -- "two words"\0\0')
        self.assertEqual(image.application(self.content(), [])[36], 0)

    def test_refused(self):
        self.assertEqual(image.application(self.content(), ["x" * 991])[36 + 990:36 + 993], b"x\0\0")
        with self.assertRaisesRegex(UserError, "room for 991"):
            image.application(self.content(), ["x" * 992])
        for count in (0, 2):
            with self.assertRaisesRegex(UserError, "no place"):
                image.application(self.content(count), [])
        with self.assertRaisesRegex(UserError, "no Image"):
            image.application(elf(b"", []), [])

    def test_disk(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "disk"
            boot_disk.make_for_uefi(path, b"application", "BOOTAA64.EFI")
            disk = path.read_bytes()
            self.assertEqual(disk[:440], bytes(440))
            self.assertEqual(disk[510:520], b"\x55\xaaEFI PART")
            run = subprocess.run(["mcopy", "-n", "-i", f"{path}@@1M", "::/EFI/BOOT/BOOTAA64.EFI", "-"], capture_output=True)
            self.assertEqual((run.returncode, run.stdout), (0, b"application"), run.stderr)


class Disk(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.path = Path(scratch.name) / "disk"
        boot_disk.make(self.path, b"kernel" * 1000, ["log=debug", "--", "two words"])
        self.disk = self.path.read_bytes()

    def test_both_tables(self):
        last = len(self.disk) // 512 - 1
        self.assertEqual(self.disk[510:512], b"\x55\xaa")
        kind, first, count = struct.unpack_from("<4xB3xII", self.disk, 446)
        self.assertEqual((kind, first, count), (0xEE, 1, last))
        for at, other in ((1, last), (last, 1)):
            header = bytearray(self.disk[at * 512:at * 512 + 92])
            signature, _, size, checksum, own, alternate, usable, usable_end = struct.unpack_from("<8sIII4xQQQQ", header)
            self.assertEqual((signature, size, own, alternate), (b"EFI PART", 92, at, other))
            header[16:20] = bytes(4)
            self.assertEqual(zlib.crc32(header), checksum)
            entries_at, count, size, checksum = struct.unpack_from("<QIII", header, 72)
            entries = self.disk[entries_at * 512:entries_at * 512 + count * size]
            self.assertEqual(zlib.crc32(entries), checksum)
            ranges = [struct.unpack_from("<QQ", entries, i * size + 32) for i in range(count) if any(entries[i * size:i * size + 16])]
            self.assertEqual(len(ranges), 2)
            for begin, end in ranges:
                self.assertTrue(usable <= begin <= end <= usable_end)
            self.assertLess(ranges[0][1], ranges[1][0])

    def test_files(self):
        for name, content in (("boot/ringside.elf", b"kernel" * 1000), ("boot/grub/grub.cfg", None), ("EFI/BOOT/BOOTX64.EFI", None)):
            run = subprocess.run(["mcopy", "-n", "-i", f"{self.path}@@1M", f"::/{name}", "-"], capture_output=True)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertTrue(run.stdout)
            if content:
                self.assertEqual(run.stdout, content)
            if name.endswith("cfg"):
                self.assertIn(b"multiboot2 /boot/ringside.elf 'log=debug' '--' 'two words'\n", run.stdout)

    def test_the_same_again(self):
        """But for the times of the files, which mtools takes from the clock."""
        again = self.path.with_name("again")
        boot_disk.make(again, b"kernel" * 1000, ["log=debug", "--", "two words"])
        self.assertEqual(self.disk[:1 << 20], again.read_bytes()[:1 << 20])

    def test_holes(self):
        self.assertLess(os.stat(self.path).st_blocks * 512, 6 << 20)

    def test_kernel_too_large(self):
        with self.assertRaisesRegex(UserError, "mcopy failed"):
            boot_disk.make(self.path, bytes(40 << 20), [])

    def test_missing_tools(self):
        with mock.patch.dict(os.environ, {"PATH": "/nonexistent"}), self.assertRaisesRegex(UserError, "there is no program 'grub-mkimage'"):
            boot_disk.make(self.path, b"kernel", [])
        with mock.patch.object(boot_disk, "GRUB", Path("/nonexistent")), self.assertRaisesRegex(UserError, "/nonexistent/i386-pc/boot.img"):
            boot_disk.make(self.path, b"kernel", [])


if __name__ == "__main__":
    unittest.main()
