#!/usr/bin/env python3
"""bzimage.py IMAGE.elf IMAGE.bzimage: the file that loaders of the Linux/x86 boot protocol take (boot/x86_64/setup.S), out of an image.

It is the image's section .linux_setup, which is the real-mode part with its header, and behind it the loadable segments as they will lie
in memory. Nothing is compressed, nothing is moved: the image runs where the protocol loads it, at 1 MiB. The same file is an application
for UEFI."""

import struct
import sys
from pathlib import Path

SETUP_SECTION = ".linux_setup"
SECTOR = 512
PT_LOAD = 1
FARTHEST = 1 << 28              # an image whose segments lie farther apart is none that anybody loads

# Offsets in the setup header.
SETUP_SECTS, SYSSIZE, MAGIC, CODE32_START, PREF_ADDRESS, INIT_SIZE = 0x1F1, 0x1F4, 0x202, 0x214, 0x258, 0x260

# In the header for UEFI: the section's size in the file.
PE_FILE_BYTES = 0x40 + 24 + 0xA0 + 16


class BadImage(Exception):
    pass


def _sections(elf):
    offset, = struct.unpack_from("<Q", elf, 0x28)
    size, count, names = struct.unpack_from("<HHH", elf, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", elf, offset + i * size) for i in range(count)]
    strings = headers[names][4]
    for name, _, _, address, start, length in headers:
        end = elf.index(b"\0", strings + name)
        yield elf[strings + name:end].decode("latin-1"), address, elf[start:start + length]


def _segments(elf):
    """(physical address, bytes in the file, size in memory) of what is loaded."""
    offset, = struct.unpack_from("<Q", elf, 0x20)
    size, count = struct.unpack_from("<HH", elf, 0x36)
    for i in range(count):
        kind, _, start, _, physical, in_file, in_memory = struct.unpack_from("<IIQQQQQ", elf, offset + i * size)
        if kind == PT_LOAD:
            if start + in_file > len(elf):
                raise BadImage("a segment is not in the file")
            yield physical, elf[start:start + in_file], in_memory


def flat(elf):
    """(address of the first byte, the bytes without the zeros at the end, size in memory)"""
    try:
        return _flat(elf)
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise BadImage(f"the ELF file is damaged: {error}") from None


def _flat(elf):
    segments = sorted(_segments(elf))
    if not segments:
        raise BadImage("no loadable segment")
    first = segments[0][0]
    image = bytearray()
    for address, content, _ in segments:
        if address - first < len(image):
            raise BadImage("segments overlap")
        if address - first > FARTHEST:
            raise BadImage("segments lie too far apart")
        image += bytes(address - first - len(image)) + content
    return first, bytes(image), max(address + size for address, _, size in segments) - first


def bzimage(elf):
    """The whole file, from the ELF file's bytes."""
    try:
        return _bzimage(elf)
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise BadImage(f"the ELF file is damaged: {error}") from None


def _bzimage(elf):
    if elf[:6] != b"\x7fELF\x02\x01":
        raise BadImage("not a 64-bit little-endian ELF file")
    setup = next((bytearray(content) for name, _, content in _sections(elf) if name == SETUP_SECTION), None)
    if setup is None:
        raise BadImage(f"no section {SETUP_SECTION}: not an image for x86_64")
    address, image, size = flat(elf)
    code32_start, = struct.unpack_from("<I", setup, CODE32_START)
    preferred, init_size = struct.unpack_from("<QI", setup, PREF_ADDRESS)
    if setup[MAGIC:MAGIC + 4] != b"HdrS" or len(setup) != (setup[SETUP_SECTS] + 1) * SECTOR:
        raise BadImage(f"{SETUP_SECTION} is damaged")
    # The header was filled in by the linker: it must tell of this image.
    if (code32_start, preferred, init_size) != (address, address, size):
        raise BadImage(f"the setup header tells of {size_text(preferred, init_size)}, the segments of {size_text(address, size)}")
    image += bytes(-len(image) % SECTOR)
    if setup[:2] == b"MZ" and struct.unpack_from("<I", setup, PE_FILE_BYTES)[0] != len(setup) - SECTOR + len(image):
        raise BadImage("UEFI's header tells of another length")
    struct.pack_into("<I", setup, SYSSIZE, len(image) // 16)
    return bytes(setup) + image


def size_text(address, size):
    return f"{size} bytes at {address:#x}"


def main(words):
    if len(words) != 2:
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    try:
        Path(words[1]).write_bytes(bzimage(Path(words[0]).read_bytes()))
    except (BadImage, OSError) as error:
        print(f"{words[0]}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
