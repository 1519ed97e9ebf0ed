"""A disk that boots, made in a file without root, without loop devices and without mounting: for x86_64 under BIOS and UEFI alike.

    sector 0            protective MBR with GRUB's boot.img as its code: the BIOS starts it; it loads the first sector of core.img
    sectors 1-33        GPT: header, 128 entries
    sectors 64-2047     BIOS boot partition: GRUB's core.img for i386-pc, which finds the second partition by itself
    sector 2048 on      EFI system partition, FAT32: EFI/BOOT/BOOTX64.EFI (GRUB for x86_64-efi, which UEFI starts where nothing else is
                        configured), boot/grub/grub.cfg and boot/ringside.elf, which both of them load by multiboot2
    last 33 sectors     the GPT once more

Both GRUBs have their modules inside; grub.cfg is a plain file and can be changed with mtools (mcopy -i disk.img@@1M ...).
Without a BIOS (aarch64) there is only the system partition, and the image itself is the application that UEFI starts.

    make("disk.img", elf_bytes, ["log=debug"])
    make_for_uefi("disk.img", application_bytes, "BOOTAA64.EFI")
"""

import os
import struct
import subprocess
import tempfile
import uuid
import zlib
from pathlib import Path

from .messages import UserError

SECTOR = 512
CORE_FIRST, CORE_LAST = 64, 2047
SYSTEM_FIRST = 2048
GPT_SECTORS = 33                # header and entries, at either end
ENTRIES, ENTRY_BYTES = 128, 128
# FAT32 begins with 65,525 clusters (UEFI 2.10, 13.3: a system partition on a fixed disk is FAT32); of one sector each, with their table
# of four bytes a cluster twice, that is 33 MiB. A file of holes mostly.
SYSTEM_SECTORS = 34 * 2048
BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
EFI_SYSTEM = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
NAMES = uuid.UUID("7b1f6ee2-2c2c-4c63-9a51-5f5c6f4d2a10")

GRUB = Path("/usr/lib/grub")
# `linux` is for those who change grub.cfg: it starts a bzImage.
MODULES = ["part_gpt", "fat", "multiboot2", "linux", "normal", "configfile", "echo", "serial", "terminal"]
# In GRUB's boot.img: where the sector of core.img stands, the byte for the drive, and the jump that skips the test of the BIOS's drive number.
BOOT_KERNEL_SECTOR, BOOT_CODE_BYTES, BOOT_DRIVE_CHECK = 0x5C, 440, 0x66
# In core.img's first sector: where the others are (sector, count, segment to load to).
CORE_BLOCK_LIST, CORE_SEGMENT = 0x1F4, 0x820


def run(*words, **options):
    """A tool, whose output is shown only if it fails."""
    try:
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL,
                              env={**os.environ, "MTOOLS_SKIP_CHECK": "1", "LC_ALL": "C"}, **options)
    except FileNotFoundError:
        raise UserError(f"there is no program '{words[0]}' here; its package is one of those that './ringside image' installs on Debian") from None
    if done.returncode:
        raise UserError(f"{words[0]} failed:\n{done.stdout}{done.stderr}".rstrip())


def quoted(words):
    """Words for GRUB's shell."""
    return " ".join("'" + word + "'" for word in words)


def grub_config(kernel, words):
    """GRUB hands the words on as they are, one with blanks in double quotes: a form in which the kernel reads them."""
    for word in words:
        if any(letter in word for letter in "'\"\\\n"):
            raise UserError(f"quotes and backslashes cannot stand in an image's command line: {word!r}", 2)
    return f"set timeout=0\nset gfxpayload=text\nmultiboot2 {kernel} {quoted(words)}\nboot\n"


def _entry(kind, disk, first, last, name):
    return struct.pack("<16s16sQQQ72s", kind.bytes_le, uuid.uuid5(disk, name).bytes_le, first, last, 0, name.encode("utf-16-le"))


def _gpt_header(disk, at, other, sectors, entries_at, entries):
    def header(checksum):
        return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, checksum, 0, at, other, 1 + GPT_SECTORS, sectors - 1 - GPT_SECTORS,
                           disk.bytes_le, entries_at, ENTRIES, ENTRY_BYTES, zlib.crc32(entries))
    return header(zlib.crc32(header(0)))


def partition_table(disk, sectors, partitions):
    """{sector: bytes} of the protective MBR's table (bytes 440 on) and both GPTs (UEFI 2.10, chapter 5)."""
    entries = b"".join(_entry(*partition) for partition in partitions).ljust(ENTRIES * ENTRY_BYTES, b"\0")
    last = sectors - 1
    protective = struct.pack("<IHB3sB3sII", 0, 0, 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, min(last, 0xFFFFFFFF))
    return {0: protective.ljust(70, b"\0") + b"\x55\xaa",
            1: _gpt_header(disk, 1, last, sectors, 2, entries), 2: entries,
            last - GPT_SECTORS + 1: entries, last: _gpt_header(disk, last, 1, sectors, last - GPT_SECTORS + 1, entries)}


def boot_code():
    """The MBR's 440 bytes of code, told where core.img is."""
    path = GRUB / "i386-pc" / "boot.img"
    try:
        code = bytearray(path.read_bytes())
    except OSError:
        raise UserError(f"GRUB's {path} is not there: package grub-pc-bin") from None
    struct.pack_into("<Q", code, BOOT_KERNEL_SECTOR, CORE_FIRST)
    # As grub-bios-setup does for every hard disk: believe no BIOS that says it booted from a floppy.
    code[BOOT_DRIVE_CHECK:BOOT_DRIVE_CHECK + 2] = b"\x90\x90"
    return bytes(code[:BOOT_CODE_BYTES])


def core_image(folder):
    """core.img, told where its own second sector is."""
    path = Path(folder) / "core.img"
    # A prefix without a drive is completed with the one that was booted.
    run("grub-mkimage", "-O", "i386-pc", "-p", "(,gpt2)/boot/grub", "-o", path, "biosdisk", *MODULES)
    core = bytearray(path.read_bytes())
    core += bytes(-len(core) % SECTOR)
    if len(core) // SECTOR > CORE_LAST - CORE_FIRST + 1:
        raise UserError(f"GRUB's core image has {len(core)} bytes: more than the partition for it")
    struct.pack_into("<QHH", core, CORE_BLOCK_LIST, CORE_FIRST + 1, len(core) // SECTOR - 1, CORE_SEGMENT)
    return bytes(core)


def system_partition(folder, files, serial):
    """A FAT32 file system with the files: {"boot/grub/grub.cfg": path}."""
    path = Path(folder) / "esp.img"
    with open(path, "wb") as file:
        file.truncate(SYSTEM_SECTORS * SECTOR)
    run("mformat", "-i", path, "-F", "-c", 1, "-T", SYSTEM_SECTORS, "-h", 255, "-s", 63, "-H", SYSTEM_FIRST, "-N", serial, "-v", "RINGSIDE", "::")
    made = set()
    for name, source in files.items():
        parts = name.split("/")
        for depth in range(1, len(parts)):
            directory = "/".join(parts[:depth])
            if directory not in made:
                made.add(directory)
                run("mmd", "-i", path, f"::/{directory}")
        run("mcopy", "-i", path, source, f"::/{name}")
    return path


def copy_with_holes(source, target, offset):
    """Copies what is not zero."""
    zeros = bytes(1 << 16)
    with open(source, "rb") as file:
        while block := file.read(1 << 16):
            if block != zeros[:len(block)]:
                target.seek(offset)
                target.write(block)
            offset += len(block)


def _identity(*parts):
    """The same disk twice has the same names."""
    return uuid.uuid5(NAMES, "\0".join(f"{zlib.crc32(part):08x}" if isinstance(part, bytes) else part for part in parts))


def _write(path, identity, partitions, code, contents, system):
    """code: the MBR's; contents: {sector: bytes}; system: the system partition's file."""
    sectors = SYSTEM_FIRST + SYSTEM_SECTORS + GPT_SECTORS + 2047
    sectors -= sectors % 2048
    partitions = [*partitions, (EFI_SYSTEM, identity, SYSTEM_FIRST, SYSTEM_FIRST + SYSTEM_SECTORS - 1, "EFI system")]
    table = partition_table(identity, sectors, partitions)
    with open(path, "wb") as file:
        file.truncate(sectors * SECTOR)
        for sector, content in {**table, **contents, 0: code.ljust(BOOT_CODE_BYTES, b"\0") + table[0]}.items():
            file.seek(sector * SECTOR)
            file.write(content)
        copy_with_holes(system, file, SYSTEM_FIRST * SECTOR)


def make(path, elf, words):
    """For x86_64. elf: the kernel's bytes; words: its command line."""
    identity = _identity(elf, *words)
    with tempfile.TemporaryDirectory(prefix="ringside-") as folder:
        loader, config, kernel = Path(folder) / "BOOTX64.EFI", Path(folder) / "grub.cfg", Path(folder) / "ringside.elf"
        config.write_text(grub_config("/boot/ringside.elf", words), encoding="utf-8")
        kernel.write_bytes(elf)
        core = core_image(folder)
        run("grub-mkimage", "-O", "x86_64-efi", "-p", "/boot/grub", "-o", loader, *MODULES)
        system = system_partition(folder, {"EFI/BOOT/BOOTX64.EFI": loader, "boot/grub/grub.cfg": config, "boot/ringside.elf": kernel},
                                  identity.hex[:8])
        _write(path, identity, [(BIOS_BOOT, identity, CORE_FIRST, CORE_LAST, "BIOS boot")], boot_code(), {CORE_FIRST: core}, system)


def make_for_uefi(path, application, name):
    """name: what this processor's UEFI starts from EFI/BOOT where nothing else is configured."""
    identity = _identity(application)
    with tempfile.TemporaryDirectory(prefix="ringside-") as folder:
        file = Path(folder) / name
        file.write_bytes(application)
        _write(path, identity, [], b"", {}, system_partition(folder, {f"EFI/BOOT/{name}": file}, identity.hex[:8]))
