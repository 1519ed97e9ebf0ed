"""The sample disk: a ustar archive with a page, text and pictures, the same on every computer, made of nothing but code."""

import os
import random
import shutil
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path

from .messages import say
from .paths import BUILD

# A change of the content below needs a new name here: the old image stays valid for nobody.
SAMPLE = BUILD / "sample-disk-1.img"
MEBIBYTE = 1 << 20

WORDS = ("ring descriptor available used notify doorbell barrier fence queue device driver feature status config transport "
         "indirect chain buffer segment page guest host balloon inflate deflate console port network frame packet checksum "
         "interrupt vector poll kick batch publish wrap index shadow negotiate reset acknowledge capability memory clock task").split()

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Ringside's sample disk</title><link rel="stylesheet" href="style.css"></head>
<body>
<h1>Ringside's sample disk</h1>
<p>This page came off a virtio disk, out of a tar archive, through the block driver, over a TCP connection that the network driver
carried, and no operating system was involved.</p>
<p><img src="pictures/plasma.png" alt="Soft coloured waves" width="512" height="384"></p>
<p><img src="pictures/rings.png" alt="Concentric rings" width="512" height="512"></p>
<ul>
<li><a href="text/small.txt">a short text</a></li>
<li><a href="text/words.txt">a long text (3 MB)</a></li>
<li><a href="pictures/plasma.ppm">the first picture without compression</a></li>
</ul>
</body>
</html>
"""

STYLE = "body { font: 16px/1.5 sans-serif; margin: 2em auto; max-width: 40em; color: #222; }\nimg { border-radius: 8px; }\n"

SMALL = "Two queues in a ring, one device, one guest:\nthe kick goes west, the interrupt goes east,\nand what was lent comes home when it is used.\n"


def _text(size):
    chooser = random.Random(1)
    lines = []
    length = 0
    while length < size:
        line = " ".join(chooser.choices(WORDS, k=12)) + "\n"
        lines.append(line)
        length += len(line)
    return "".join(lines).encode()


def _triangle(value):
    """0..255..0, without floating point: the same everywhere."""
    value %= 510
    return value if value < 256 else 510 - value


def _plasma(width, height):
    rows = []
    for y in range(height):
        row = bytearray()
        for x in range(width):
            row += bytes((_triangle(x + y), _triangle(x * 2 + (y * y >> 7)), _triangle((x * x >> 8) + y * 3)))
        rows.append(bytes(row))
    return rows


def _rings(size):
    centre = size // 2
    rows = []
    for y in range(size):
        row = bytearray()
        for x in range(size):
            distance = ((x - centre) ** 2 + (y - centre) ** 2) >> 5
            row += bytes((_triangle(distance), _triangle(distance + 170), _triangle(distance + 340)))
        rows.append(bytes(row))
    return rows


def _png(rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", len(rows[0]) // 3, len(rows), 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows), 6))
            + chunk(b"IEND", b""))


def write_content(folder):
    plasma = _plasma(512, 384)
    files = {"index.html": PAGE.encode(), "style.css": STYLE.encode(), "text/small.txt": SMALL.encode(), "text/words.txt": _text(3_000_000),
             "pictures/plasma.ppm": b"P6\n512 384\n255\n" + b"".join(plasma), "pictures/plasma.png": _png(plasma),
             "pictures/rings.png": _png(_rings(512)), "text/empty.txt": b""}
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def pad(path, unit=MEBIBYTE):
    """A whole number of units: disks come in sectors, and round sizes are easier to compare."""
    os.truncate(path, -(-os.path.getsize(path) // unit) * unit)


def make_tar_disk(content, image):
    """A raw disk image with the folder's files as a ustar archive."""
    subprocess.run(["tar", "--format=ustar", "--sort=name", "--mtime=@1700000000", "--owner=0", "--group=0", "--numeric-owner",
                    "--mode=u=rwX,go=rX", "-cf", image, "-C", content, *sorted(os.listdir(content))], check=True)
    pad(image)


def sample():
    """The sample disk's path; made at the first call."""
    if not SAMPLE.exists():
        say("making the sample disk")
        BUILD.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILD) as work:
            content = Path(work) / "content"
            content.mkdir()
            write_content(content)
            image = Path(work) / "image"
            make_tar_disk(content, image)
            os.replace(image, SAMPLE)
    return SAMPLE


def scratch_copy(folder):
    """A copy to write to, so that the next run finds the sample as it was."""
    copy = Path(folder) / "sample.img"
    shutil.copyfile(sample(), copy)
    return copy
